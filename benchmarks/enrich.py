"""`/enrich`: one call beside the bare networks and beside the routes; eight people; and too little memory."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.bare import bare_calls, recording
from benchmarks.clip_checkpoint import VIT_B_32, byte_vocabulary, write_checkpoint
from benchmarks.comparison import Goal
from benchmarks.markdown import milliseconds, table
from benchmarks.pairs import Call
from benchmarks.plan import Plan
from benchmarks.processes import MeasurementFailed, run_job
from benchmarks.scene import load_options
from benchmarks.serving.client import Client, form
from benchmarks.serving.cold import percentile
from benchmarks.serving.pictures import RAW, write_bodies
from benchmarks.serving.servers import Server, ours
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.adapter.conversion import convert
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import find, load
from hearthwatch.artifacts.tokens import read_vocabulary
from hearthwatch.enrichment.pace import by_value
from hearthwatch.errors import HearthwatchError
from hearthwatch.models import get_model
from hearthwatch.selection import get_models_for_detection_type
from hearthwatch.services import Kind, get_service
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import decode

GROUP, SERVICE = "enrich", "enrichment"
CLOTHING = "fashion_clip"
#: Folder of CLIP's own vocabulary, where it is beside the weights.
VOCABULARY = "clip-tokenizer"
#: The service with little memory: its models are small enough that some fit.
SMALL = "light"
#: One decode and the bare networks one after the other take at least 1 / 1.10 of one call.
GOAL_BARE = Goal(1.10)
#: One call takes less than the routes one by one.
GOAL_ROUTES = Goal(1.0)
PEOPLE = 8
#: MiB, for the light models (1,150 declared): room for the weapon detector and a few of the others.
TIGHT_MB = 700
#: Requests in turns of a person and a dog, so that models come and go.
TIGHT_REQUESTS, QUICK_REQUESTS = 100, 8
#: What models cost is measured elsewhere, and here a budget counts what they declare.
UNPROBED = {"HEARTHWATCH_PROBE": "false"}
TIGHT, LOADS = f"{GROUP} in too little memory", f"{GROUP} loads"
#: Loads of each model, with an empty cache and with what an earlier one left; of a quick run.
COLD_LOADS, WARM_LOADS, QUICK_LOADS = 8, 20, 1
#: Milliseconds at the 95th percentile of the loads, with an empty cache (the documents' aim) and with one (ours).
COLD_AIM_MS, WARM_AIM_MS = 5000.0, 1000.0


def prepare(
    models_dir: Path, frames: Sequence[Path], folder: Path, tell: Callable[[str], None], *, quick: bool
) -> Plan:
    """Write the picture, and find out which networks of a person there are. One for clothing is made where none is.

    Args:
        models_dir: where weights are.
        frames: the first of them is the picture; one is made where there is none.
        folder: for what a run needs while it lasts.
        tell: what happens.
        quick: few requests.
    """
    missing = _missing(models_dir, folder)
    if len(missing) == len(models_of_a_person()):
        return Plan(skipped={GROUP: "no weights of any model that a person is shown to"})
    models_dir = with_clothing(models_dir, folder, tell)
    missing = _missing(models_dir, folder)
    write_bodies(frames, folder)
    places = {"models_dir": str(models_dir), "cache_dir": str(folder / "cache"), "picture": str(folder / RAW.file)}
    tight = {**places, "requests": QUICK_REQUESTS if quick else TIGHT_REQUESTS}
    times = [QUICK_LOADS] * 2 if quick else [COLD_LOADS, WARM_LOADS]
    tell("preparing: each model is loaded again and again")
    loads = {"models_dir": str(models_dir), "cache_dir": str(folder / "loads"), "cold": times[0], "warm": times[1]}
    facts = {LOADS: run_job(Job(LOADS, "enrich loads", loads), rounds=0).facts}
    return Plan([Job(GROUP, "enrich", places), Job(TIGHT, "enrich tight", tight)], rows(), missing, facts)


def rows() -> list[Row]:
    """What is compared."""
    one = "one person on a 1080p JPEG"
    return [
        Row(GROUP, one, (GROUP, "enrich"), (GROUP, "bare"), GOAL_BARE, ("`/enrich`", "decode and bare networks")),
        Row(GROUP, one, (GROUP, "enrich"), (GROUP, "routes"), GOAL_ROUTES, ("`/enrich`", "the routes one by one")),
        Row(GROUP, f"{PEOPLE} people", (GROUP, "batch"), (GROUP, "enrich"), names=("`/enrich/batch`", "`/enrich`")),
    ]


def with_clothing(models_dir: Path, folder: Path, tell: Callable[[str], None]) -> Path:
    """The folder of weights, or a copy of it with a network for clothing where there is none and PyTorch can make one.

    Args:
        models_dir: where weights are.
        folder: where the copy is put.
        tell: what happens.
    """
    copy = folder / "models"
    if copy.is_dir() or not models_dir.is_dir():
        return copy if copy.is_dir() else models_dir
    if f"{GROUP}: {CLOTHING}" not in _missing(models_dir, folder) or importlib.util.find_spec("torch") is None:
        return models_dir
    tell("preparing: a FashionCLIP with seeded weights")
    made = Job(
        "clothing weights",
        "clothing weights",
        {"folder": str(folder / "fashion-clip"), "vocabulary": str(models_dir / VOCABULARY)},
    )
    try:
        run_job(made, rounds=0)
    except MeasurementFailed:  # the model stays missing, with its reason
        return models_dir
    shutil.copytree(models_dir, copy)
    shutil.move(folder / "fashion-clip", copy)
    return copy


def clothing_work(folder: str, vocabulary: str) -> Work:
    """Both towers of FashionCLIP's size as ONNX files, with seeded weights: what they weigh is not what they know.

    Args:
        folder: for both.
        vocabulary: where CLIP's own may be; with that of single bytes every prompt is as long as a text may be.
    """
    place = Path(folder)
    files = read_vocabulary(Path(vocabulary)) or byte_vocabulary(VIT_B_32.tokens)
    source = write_checkpoint(place / "checkpoint", VIT_B_32, files=files)
    for name in (CLOTHING, f"{CLOTHING}_text"):
        convert(source, place / f"{name}.onnx", get_model(name))
    shutil.rmtree(source)
    return Work({})


def models_of_a_person() -> list[str]:
    """Those that the service has, in the order of their value."""
    offered = get_service(SERVICE).models
    return [name for name in by_value(get_models_for_detection_type("person")) if name in offered]


def work(models_dir: str, cache_dir: str, picture: str) -> Work:
    """The service in a process of its own, and its networks bare in this one; they take turns."""
    data = Path(picture).read_bytes()
    width, height = decode(data).pixels.shape[1::-1]
    boxes = people_in(width, height)
    asked = _with_weights(models_dir, cache_dir)
    bare, engines = _bare(asked, data, boxes[0])
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(ours(SERVICE, models_dir, cache_dir, **UNPROBED)))
        client = Client(server.port)
        stack.callback(client.close)
        person, batch = _one(data, boxes[0]), _several(data, boxes)
        routes = {
            route.path: _box_form(data, boxes[0])
            for route in get_service(SERVICE).routes
            if route.model in asked and route.kind is Kind.MODEL
        }
        alternatives: dict[str, Call] = {
            "enrich": lambda: client.post("/enrich", *person),
            "routes": lambda: [client.post(path, *body) for path, body in routes.items()],
            "batch": lambda: client.post("/enrich/batch", *batch),
            "bare": bare,
        }
        _check(client.post("/enrich", *person), asked)
        for row in client.post("/enrich/batch", *batch)["results"]:
            _check(row, asked)

        def facts() -> Mapping[str, Any]:
            return {"models": list(asked), "people": len(boxes), "engines": engines, "memory_mib": server.memory_mib()}

        return Work(alternatives, facts, close=stack.pop_all().close)


def tight_work(models_dir: str, cache_dir: str, picture: str, requests: int) -> Work:
    """People and dogs in turns under a budget that is too small for the models of both at once."""
    data = Path(picture).read_bytes()
    width, height = decode(data).pixels.shape[1::-1]
    box = people_in(width, height)[0]
    bodies = [_one(data, box, kind) for kind in ("person", "dog")]
    command = ours(SMALL, models_dir, cache_dir, ONDEMAND_VRAM_BUDGET_MB=str(TIGHT_MB), **UNPROBED)
    with Server(command) as server:
        client = Client(server.port)
        for body in bodies:
            client.post("/enrich", *body)
        taken, failed = [], 0
        for number in range(requests):
            started = time.perf_counter()
            answer = client.post("/enrich", *bodies[number % 2])
            taken.append((time.perf_counter() - started) * 1000)
            failed += bool(answer["errors"])
        evictions = sum(row["evictions"] for row in client.get("/models")["models"])
        client.close()
    counts = {"budget_mb": TIGHT_MB, "requests": requests, "failed": failed, "evictions": evictions}
    times = {"per_s": 1000 * len(taken) / sum(taken), "median_ms": median(taken), "p95_ms": percentile(taken, 95)}
    return Work({}, lambda: {**counts, **times})


def loads_work(models_dir: str, cache_dir: str, cold: int, warm: int) -> Work:
    """Each model of the service by itself, in one process: milliseconds from nothing to its first answer."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in get_service(SERVICE).models:
        caches = [f"{cache_dir}/{name}-{number}" for number in range(cold)]
        with contextlib.suppress(HearthwatchError):  # it has no weights, which the run says elsewhere
            times = {"cold": [_load(name, models_dir, cache) for cache in caches]}
            times["warm"] = [_load(name, models_dir, caches[0]) for _ in range(warm)]
            found[name] = times
    return Work({}, lambda: {"load_ms": found})


def _load(name: str, models_dir: str, cache_dir: str) -> float:
    started = time.perf_counter()
    loaded = load(get_model(name), load_options(models_dir, cache_dir))
    loaded.warm_up()
    taken = (time.perf_counter() - started) * 1000
    loaded.close()
    return taken


def sections(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the table of ratios does not say."""
    served, tight, loads = facts.get(GROUP), facts.get(TIGHT), facts.get(LOADS)
    if served:
        yield ""
        yield f"Asked were {', '.join(served['models'])}. The row of {served['people']} people is of one call about all"
        yield f"of them: divide its ratio by {served['people']} for what one of them costs beside a call of its own."
    if tight:
        yield ""
        middle, slow = milliseconds(tight["median_ms"]), milliseconds(tight["p95_ms"])
        yield f"With {tight['budget_mb']} MB for all models, person and dog in turns: {tight['per_s']:.1f} requests a"
        yield f"second, {middle} ms in the median, {slow} ms at the 95th percentile, {tight['evictions']} evictions in"
        yield f"{tight['requests']} requests, {tight['failed']} of them with a failed model."
    if loads:
        yield from ("", "### From nothing to the first answer", "")
        aims = f"{COLD_AIM_MS / 1000:g} s with an empty cache and {WARM_AIM_MS / 1000:g} s with one"
        yield f"Aimed at are {aims}, at the 95th percentile."
        yield ""
        heads = ("model", "cold: median, ms", "95 %", "loads", "with the cache: median, ms", "95 %", "loads")
        yield from table(heads, [_load_cells(name, times) for name, times in loads["load_ms"].items()])


def _load_cells(name: str, times: Mapping[str, Sequence[float]]) -> list[str]:
    cells = [name]
    for state in ("cold", "warm"):
        readings = times[state]
        cells += [milliseconds(median(readings)), milliseconds(percentile(readings, 95)), str(len(readings))]
    return cells


def people_in(width: int, height: int) -> list[Box]:
    """Eight boxes of a person's shape side by side; what is in them makes no difference to what it takes."""
    step, top = width / PEOPLE, height * 0.2
    return [Box(step * i + step * 0.1, top, step * i + step * 0.9, height * 0.9) for i in range(PEOPLE)]


def _missing(models_dir: Path, folder: Path) -> dict[str, str]:
    """Why a model of a person cannot be measured."""
    missing: dict[str, str] = {}
    for name in models_of_a_person():
        try:
            find(get_model(name), load_options(str(models_dir), str(folder / "cache")))
        except HearthwatchError as error:
            missing[f"{GROUP}: {name}"] = str(error).splitlines()[0]
    return missing


def _with_weights(models_dir: str, cache_dir: str) -> dict[str, LoadedModel]:
    loaded: dict[str, LoadedModel] = {}
    for name in models_of_a_person():
        with contextlib.suppress(HearthwatchError):
            loaded[name] = load(get_model(name), load_options(models_dir, cache_dir))
    return loaded


def _bare(loaded: Mapping[str, LoadedModel], data: bytes, box: Box) -> tuple[Call, dict[str, str]]:
    """One decode, then each network by its engine's own call with the inputs that ours gives it."""
    image, calls, engines = decode(data), [], {}
    for name, model in loaded.items():
        with recording(model) as asked:
            model.for_boxes(image, [box])
        calls += bare_calls(model.info, model.adapter.description.graph.path, asked)
        engines[name] = f"{model.info.engine}, {model.info.precision}"

    def call() -> object:
        decoded = decode(data)
        return [decoded, *(one() for one in calls)]

    return call, engines


def _check(answer: Mapping[str, Any], asked: Mapping[str, LoadedModel]) -> None:
    """Refuse to measure what did not do all of the work."""
    if sorted(answer["models_loaded"]) != sorted(asked) or answer["errors"]:
        answered = ", ".join(answer["models_loaded"]) or "no model"
        raise MeasurementFailed(f"{answered} answered, {answer['errors']}; asked were {', '.join(asked)}")


def _sides(box: Box) -> str:
    return ",".join(f"{side:.1f}" for side in box)


def _box_form(data: bytes, box: Box) -> tuple[bytes, str]:
    return form(data, [("bbox", _sides(box))])


def _one(data: bytes, box: Box, kind: str = "person") -> tuple[bytes, str]:
    return form(data, [("detection_type", kind), ("bbox", _sides(box))])


def _several(data: bytes, boxes: Sequence[Box]) -> tuple[bytes, str]:
    detections = [{"id": i, "detection_type": "person", "bbox": list(box)} for i, box in enumerate(boxes)]
    return form(data, [("detections", orjson.dumps(detections).decode())])
