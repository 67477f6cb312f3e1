"""The pipeline: over services beside this process, beside one call after the other, and what it costs by itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from PIL import Image as PILImage

from benchmarks.comparison import Goal
from benchmarks.enrich import people_in, with_clothing
from benchmarks.pictures import FULL_HD, camera_picture
from benchmarks.plan import Plan
from benchmarks.processes import MeasurementFailed
from benchmarks.scene import load_options
from benchmarks.serving.client import Client
from benchmarks.serving.cold import percentile
from benchmarks.serving.http_load import HOST
from benchmarks.serving.servers import JSON, Server, ours
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.client import ClientConfig, HttpRunner
from hearthwatch.enrichment.composed import ComposedRunner
from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.hosting import LocalRunner
from hearthwatch.pipeline import DetectionInput, EnrichmentPipeline, EnrichmentTrackingResult
from hearthwatch.selection import get_models_for_detection_type
from hearthwatch.services import HEAVY, LIGHT, Kind, Service
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.picture import Picture

GROUP = "pipeline"
ONE_BY_ONE = f"{GROUP} one by one"
PICTURES, KINDS = 4, ("person", "person", "car", "dog")
#: Of the issue: over HTTP at most so much of the time in this process, and at most a third of one call after the other.
GOAL_HTTP, GOAL_ONE_BY_ONE = Goal(1.25), Goal(1 / 3)
#: Milliseconds for each detection that the pipeline itself may take.
GOAL_OVERHEAD_MS = 1.0
#: One reading is 56 requests with a picture of some megabytes.
SLOW_ROUNDS = 3
OVERHEAD_BATCHES, QUICK_BATCHES = 200, 5
#: What models cost is measured elsewhere.
UNPROBED = {"HEARTHWATCH_PROBE": "false"}


def prepare(
    models_dir: Path, frames: Sequence[Path], folder: Path, tell: Callable[[str], None], *, quick: bool
) -> Plan:
    """Choose four pictures; a network for clothing is made where none is.

    Args:
        models_dir: where weights are.
        frames: the first four of them, again from the first where there are fewer; made pictures where there are none.
        folder: for what a run needs while it lasts.
        tell: what happens.
        quick: few readings.
    """
    models_dir = with_clothing(models_dir, folder, tell)
    data = [path.read_bytes() for path in frames[:PICTURES]] or [camera_picture(FULL_HD)]
    files = []
    for number in range(PICTURES):
        files.append(str(folder / f"pipeline-{number}.jpg"))
        Path(files[-1]).write_bytes(data[number % len(data)])
    places = {"models_dir": str(models_dir), "cache_dir": str(folder / "cache"), "pictures": files}
    batches = QUICK_BATCHES if quick else OVERHEAD_BATCHES
    jobs = [
        Job(GROUP, "pipeline", places | {"batches": batches}),
        Job(ONE_BY_ONE, "pipeline one by one", places, most_rounds=SLOW_ROUNDS),
    ]
    return Plan(jobs, rows())


def rows() -> list[Row]:
    """What is compared."""
    what = f"{PICTURES * len(KINDS)} detections on {PICTURES} pictures"
    over_http = "over HTTP"
    return [
        Row(GROUP, what, (GROUP, "http"), (GROUP, "here"), GOAL_HTTP, (over_http, "in this process")),
        Row(GROUP, what, (ONE_BY_ONE, "http"), (ONE_BY_ONE, "sequential"), GOAL_ONE_BY_ONE,
            (over_http, "call after call, PNG in base64")),
    ]  # fmt: skip


def work(models_dir: str, cache_dir: str, pictures: Sequence[str], batches: int) -> Work:
    """Services in a process of their own, and the same models in this one; they take turns."""
    setting = _Setting(models_dir, cache_dir, pictures)
    expected = _check(setting.here(), "in this process")
    if _check(setting.http(), "over HTTP") != expected:
        raise MeasurementFailed("over HTTP other models answer than in this process")
    overhead = setting.overhead(batches)

    def facts() -> Mapping[str, Any]:
        return {"models": expected, "detections": PICTURES * len(KINDS), "overhead_ms": overhead}

    return Work({"http": setting.http, "here": setting.here}, facts, close=setting.close)


def one_by_one_work(models_dir: str, cache_dir: str, pictures: Sequence[str]) -> Work:
    """The pipeline over HTTP, and one request for each model and detection, each waited for."""
    setting = _Setting(models_dir, cache_dir, pictures)
    _check(setting.http(), "over HTTP")
    requests = setting.sequential()

    def facts() -> Mapping[str, Any]:
        return {"requests": requests}

    return Work({"http": setting.http, "sequential": setting.sequential}, facts, close=setting.close)


def sections(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the table of ratios does not say."""
    batch, one_by_one = facts.get(GROUP), facts.get(ONE_BY_ONE)
    if batch:
        yield ""
        yield f"Asked were {', '.join(batch['models'])}; those without a route in the services run in this"
        yield "process either way."
        times = batch["overhead_ms"]
        low, middle, high = percentile(times, 5), median(times), percentile(times, 95)
        yield f"With models that answer at once, the pipeline takes {middle:.2f} ms for each detection ({low:.2f} to"
        yield f"{high:.2f} for nine of ten of {len(times)} batches); the goal is {GOAL_OVERHEAD_MS:g} ms."
    if one_by_one:
        yield f"Call after call there were {one_by_one['requests']} requests, each with a PNG of its own making."


class Replay:
    """Answers at once what a runner answered before to the same question."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._told: dict[tuple[str, tuple[Box, ...]], list[Outcome]] = {}

    def offers(self, model: str) -> bool:
        return self._runner.offers(model)

    async def run(self, call: ModelCall) -> list[Outcome]:
        key = (call.model, call.boxes)
        if key not in self._told:
            self._told[key] = await self._runner.run(call)
        return self._told[key]


class _Setting:
    """One batch, and every way to have it enriched."""

    def __init__(self, models_dir: str, cache_dir: str, pictures: Sequence[str]) -> None:
        self._data = [Path(path).read_bytes() for path in pictures]
        self._detections = [found for number, data in enumerate(self._data) for found in _detections(number, data)]
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._loop.close)
        try:
            self._start(models_dir, cache_dir)
        except BaseException:
            self.close()
            raise

    def http(self) -> EnrichmentTrackingResult:
        """The batch over the services."""
        return self._loop.run_until_complete(self._enrich(self._remote, self._pictures()))

    def here(self) -> EnrichmentTrackingResult:
        """The batch in this process."""
        return self._loop.run_until_complete(self._enrich(self._local, self._pictures()))

    def sequential(self) -> int:
        """One call after the other, as the documents' client makes them; gives how many there were."""
        count = 0
        for number, data in enumerate(self._data):
            for found in _detections(number, data):
                for model in get_models_for_detection_type(found.class_name):
                    client, path = self._routes[model]
                    client.post(path, _png_body(data, found.bbox), JSON)
                    count += 1
        return count

    def overhead(self, batches: int) -> list[float]:
        """Milliseconds for each detection, by batch, where every model answers at once."""
        pictures = self._pictures()
        pipeline = EnrichmentPipeline(Replay(self._local_runner), looks=())
        self._run(self._enrich(pipeline, pictures))
        taken = []
        for _ in range(batches):
            started = time.perf_counter()
            self._run(self._enrich(pipeline, pictures))
            taken.append((time.perf_counter() - started) * 1000 / len(self._detections))
        return taken

    def close(self) -> None:
        """Stop the services and the models here."""
        self._stack.close()

    def _start(self, models_dir: str, cache_dir: str) -> None:
        command = ours(HEAVY.name, models_dir, cache_dir, beside=(LIGHT.name,), **UNPROBED)
        self._stack.enter_context(Server(command))
        ports = {HEAVY.name: command.port, LIGHT.name: command.port + LIGHT.port - HEAVY.port}
        self._local_runner = LocalRunner(load_options(models_dir, cache_dir))
        self._run(self._local_runner.__aenter__())
        self._stack.callback(lambda: self._run(self._local_runner.close()))
        config = ClientConfig({name: f"http://{HOST}:{port}" for name, port in ports.items()})
        services = HttpRunner(config)
        self._stack.callback(lambda: self._run(services.close()))
        self._local = EnrichmentPipeline(self._local_runner)
        self._remote = EnrichmentPipeline(ComposedRunner(services, self._local_runner))
        self._routes: dict[str, tuple[Client, str]] = {}
        for service in (HEAVY, LIGHT):
            client = Client(ports[service.name])
            self._stack.callback(client.close)
            self._routes |= {model: (client, path) for model, path in _paths(service).items()}

    async def _enrich(self, pipeline: EnrichmentPipeline, pictures: Sequence[Picture]) -> EnrichmentTrackingResult:
        images: dict[str | None, Picture | PictureLike] = {
            found.id: pictures[index // len(KINDS)] for index, found in enumerate(self._detections)
        }
        return await pipeline.enrich_batch_with_tracking(self._detections, images)

    def _pictures(self) -> list[Picture]:
        """As they came: nobody has decoded them yet."""
        return [Picture(data) for data in self._data]

    def _run(self, task: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(task)


def _detections(number: int, data: bytes) -> list[DetectionInput]:
    """Four boxes of a picture, side by side; what is in them makes no difference to what it takes."""
    boxes = people_in(*Picture(data).size)
    return [DetectionInput(f"{number}-{i}", kind, 0.9, boxes[2 * i]) for i, kind in enumerate(KINDS)]


def _paths(service: Service) -> dict[str, str]:
    return {route.model: route.path for route in service.routes if route.kind is Kind.MODEL}


def _png_body(data: bytes, box: Box) -> bytes:
    file = BytesIO()
    PILImage.open(BytesIO(data)).save(file, "PNG")
    return orjson.dumps({"image": base64.b64encode(file.getvalue()).decode("ascii"), "bbox": list(box)})


def _check(result: EnrichmentTrackingResult, where: str) -> list[str]:
    """The models that answered.

    Raises:
        MeasurementFailed: one failed.
    """
    if result.errors or (result.data is not None and result.data.errors):
        raise MeasurementFailed(f"{where}: {result.errors or (result.data and result.data.errors)}")
    return result.successful_models
