"""CLIP: `/embed` served beside the bare engine, texts that are kept, and what loading its towers takes."""

from __future__ import annotations

import http.client
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bare import bare_calls, recording
from benchmarks.clip_checkpoint import VIT_L_14, Size, Tower, byte_vocabulary, write_checkpoint
from benchmarks.comparison import Goal
from benchmarks.markdown import milliseconds, table
from benchmarks.plan import Plan
from benchmarks.processes import MeasurementFailed, run_job
from benchmarks.scene import load_options
from benchmarks.serving.client import Client, form
from benchmarks.serving.http_load import HOST
from benchmarks.serving.pictures import RAW, write_bodies
from benchmarks.serving.servers import JPEG, START_S, Server, ours
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.adapter.conversion import convert
from hearthwatch.adapter.loading import find, load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.errors import HearthwatchError
from hearthwatch.models import get_model
from hearthwatch.models.clip import SPEC
from hearthwatch.vision.decode import decode

GROUP, EMBED = "clip", "`/embed`"
TOWERS = ("clip", "clip_text")
#: Requests per second of the service are at least 0.95 of the bare engine's, so its time is at most 1 / 0.95.
GOAL = Goal(1 / 0.95)
TEXTS = [f"a person number {number} in front of the house" for number in range(100)]
#: Of a quick run: does it work?
SMALL = Size(Tower(128, 2, 4, 256), Tower(128, 2, 4, 256), 224, 32, 64, VIT_L_14.tokens)


def prepare(
    models_dir: Path, frames: Sequence[Path], folder: Path, tell: Callable[[str], None], *, quick: bool
) -> Plan:
    """Find weights, or make some of ViT-L/14's size: what a network weighs does not depend on what it learned.

    Args:
        models_dir: where weights are looked for.
        frames: the first of them is the picture; one is made where there is none.
        folder: for what a run needs while it lasts.
        tell: what happens.
        quick: a small network, which says nothing about speed.
    """
    weights = models_dir
    try:
        for name in TOWERS:
            find(get_model(name), LoadOptions(models_dir))
    except HearthwatchError:
        if importlib.util.find_spec("torch") is None:
            return Plan(skipped={GROUP: "no weights of CLIP, and no PyTorch to make some"})
        tell(f"preparing: a CLIP with seeded weights{'' if quick else ', of the size of ViT-L/14'}")
        weights = folder / "clip-vit-l"
        try:
            run_job(Job("clip weights", "clip weights", {"folder": str(weights), "quick": quick}), rounds=0)
        except MeasurementFailed as error:
            return Plan(skipped={GROUP: str(error)})
    write_bodies(frames, folder)
    places = {"models_dir": str(weights), "cache_dir": str(folder / "cache"), "picture": str(folder / RAW.file)}
    return Plan([Job(GROUP, "clip", places), Job(f"{GROUP} load", "clip load", places)], rows())


def rows() -> list[Row]:
    """What is compared."""
    return [
        Row(GROUP, "a 1080p JPEG, served", (GROUP, "embed"), (GROUP, "bare"), GOAL, (EMBED, "bare engine")),
        Row(
            GROUP, "100 texts once more", (GROUP, "texts"), (GROUP, "embed"), names=("`/batch-similarity`", "`/embed`")
        ),
    ]


def weights_work(folder: str, *, quick: bool) -> Work:
    """Write both towers as ONNX files."""
    size = SMALL if quick else VIT_L_14
    place = Path(folder)
    source = write_checkpoint(place / "checkpoint", size, files=byte_vocabulary(size.tokens))
    for name, file in zip(TOWERS, ("vision_encoder.onnx", "text_encoder.onnx"), strict=True):
        convert(source, place / file, get_model(name))
    for path in source.iterdir():
        path.unlink()
    source.rmdir()
    return Work({})


def work(models_dir: str, cache_dir: str, picture: str) -> Work:
    """The service in a process of its own, and its engine bare in this one; they take turns."""
    data, options = Path(picture).read_bytes(), load_options(models_dir, cache_dir)
    adapter = get_model(SPEC.name)
    loaded = load(adapter, options)
    with recording(loaded) as asked:
        expected = loaded.predict([decode(data)])[0][0].embedding
    [bare] = bare_calls(loaded.info, find(adapter, options).path, asked)
    server = Server(ours("clip", models_dir, cache_dir))
    client = Client(server.port)

    def close() -> None:
        client.close()
        server.stop()

    try:
        client.wait()
        served = client.post("/embed", data, JPEG)["embedding"]
        if abs(sum(a * b for a, b in zip(served, expected, strict=True)) - 1) > 1e-3:
            raise MeasurementFailed("the service embeds the picture otherwise than the model does")
        body, kind = form(data, [("texts", text) for text in TEXTS])
        client.post("/batch-similarity", body, kind)
    except BaseException:
        close()
        raise
    before = _read_texts(server)

    def facts() -> Mapping[str, Any]:
        info = loaded.info
        return {
            "engine": info.engine,
            "precision": info.precision,
            "texts_read_once": before,
            "texts_read_again": _read_texts(server) - before,
            "memory_mib": server.memory_mib(),
        }

    alternatives = {
        "embed": lambda: client.post("/embed", data, JPEG),
        "texts": lambda: client.post("/batch-similarity", body, kind),
        "bare": bare,
    }
    return Work(alternatives, facts, close=close)


def load_work(models_dir: str, cache_dir: str, picture: str) -> Work:  # noqa: ARG001 - of the whole group
    """Each tower with an empty cache and with what that left: milliseconds until its first answer."""
    found: dict[str, dict[str, float]] = {}
    for name in TOWERS:
        cache = Path(cache_dir) / f"load-{name}-{time.monotonic_ns()}"
        found[name] = {}
        for state in ("cold", "warm"):
            started = time.perf_counter()
            loaded = load(get_model(name), load_options(models_dir, str(cache)))
            loaded.warm_up()
            found[name][state] = (time.perf_counter() - started) * 1000
            found[name]["network"] = loaded.info.load_ms
            loaded.close()
    return Work({}, lambda: {"load_ms": found})


def sections(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the table of ratios does not say."""
    served, loads = facts.get(GROUP), facts.get(f"{GROUP} load")
    if served:
        once, again = served["texts_read_once"], served["texts_read_again"]
        yield ""
        yield f"The service ran in {served['engine']}, {served['precision']}. Its text tower read {once:g} texts for"
        yield f"the first `/batch-similarity`, and {again:g} for all that followed."
    if loads:
        yield from ("", "### Until the first answer", "")
        cells = [
            [name, milliseconds(row["cold"]), milliseconds(row["warm"]), milliseconds(row["network"])]
            for name, row in loads["load_ms"].items()
        ]
        yield from table(("tower", "ms, empty cache", "ms, with the cache", "of that, compiling or reading"), cells)


def _read_texts(server: Server) -> float:
    """How many texts the text tower has read."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=START_S)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    line = next(line for line in page.splitlines() if line.startswith('clip_texts_total{source="network"}'))
    return float(line.rpartition(" ")[2])
