"""`HttpRunner` against real server processes with sample networks: a drawn evening is understood as in one process."""

from __future__ import annotations

import asyncio
import functools
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson
import pytest

from hearthwatch.adapter.options import LoadOptions
from hearthwatch.analysis import Analyzer, Event
from hearthwatch.client import BreakerLimits, ClientConfig, HttpRunner, RetryPolicy
from hearthwatch.client.breaker import State
from hearthwatch.client.questions import QUESTIONS
from hearthwatch.enrichment import ComposedRunner, ModelCall, Outcome
from hearthwatch.errors import WeightsMissing
from hearthwatch.hosting import LocalRunner
from hearthwatch.models.depth_estimator import METHODS
from hearthwatch.pipeline import EnrichmentPipeline, EnrichmentTrackingResult
from hearthwatch.services import SERVICES
from hearthwatch.settings import PACKAGE_SAMPLES
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from server_process import ServerProcess, server_process
from test_from_wire import STEP, TWINS

pytestmark = pytest.mark.slow
EVENING = (PACKAGE_SAMPLES / "evening.jpg").read_bytes()
DRAWN = orjson.loads((PACKAGE_SAMPLES / "evening.json").read_bytes())["things"]
BOXES = tuple(Box(*thing["box"]) for thing in DRAWN)
#: One engine in float32 on both sides: what differs is what the wire rounds.
SAMPLES = {
    "HEARTHWATCH_WEIGHTS": "sample",
    "HEARTHWATCH_DEVICE": "cpu",
    "HEARTHWATCH_PRECISION": "f32",
    "HEARTHWATCH_PROBE": "false",
}
#: By the last part of a name: a step of the wire's rounding, on either side of which two runs may fall.
PIXELS, SHARES, MAPS = 0.21, 2.1e-4, STEP
LIGHT = {"threat_detector", "pose_estimator", "person_reid", "depth_estimator"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def services(empty: Path) -> Iterator[ServerProcess]:
    """All services in one process."""
    names = [*(service.name for service in SERVICES), "--port-offset", str(free_offset())]
    variables = {"PORT": "", "ONDEMAND_VRAM_BUDGET_MB": "4000", **SAMPLES}
    with server_process(empty / "models", empty / "cache", names, verbose=False, **variables) as served:
        yield served


def free_offset() -> int:
    """What brings the first documented port to a free one; the others are close to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return min(int(probe.getsockname()[1]), 65_000) - min(service.port for service in SERVICES)


@pytest.fixture(scope="module")
def config(services: ServerProcess) -> ClientConfig:
    return ClientConfig({name: f"http://127.0.0.1:{port}" for name, port in services.ports.items()})


def local_runner(folder: Path) -> LocalRunner:
    return LocalRunner(LoadOptions(folder / "models", device="cpu", precision="f32", weights="sample"), threads=2)


def told(result: Any) -> Any:
    return result and orjson.loads(orjson.dumps(result.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


def assert_close(mine: Any, theirs: Any, name: str = "") -> None:
    """Two answers of equal networks, told."""
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys(), name
        for key in mine.keys() - TWINS - {"depth_map_base64", "embedding_hash"}:
            assert_close(mine[key], theirs[key], f"{name}.{key}")
    elif isinstance(mine, list):
        assert len(mine) == len(theirs), name
        for one, other in zip(mine, theirs, strict=True):
            assert_close(one, other, name)
    elif isinstance(mine, float) and theirs is not None:
        last = name.rpartition(".")[2]
        step = PIXELS if last in {"x", "y", "width", "height"} else MAPS if last.endswith("_depth") else SHARES
        assert mine == pytest.approx(theirs, abs=step), name
    else:
        assert mine == theirs, name


def call_of(model: str, boxes: tuple[Box, ...]) -> ModelCall:
    if QUESTIONS[model].about == "texts":
        return ModelCall(model, texts=("a person with a box", "an empty porch"))
    frames = (Picture(EVENING),) * 2 if QUESTIONS[model].about == "frames" else ()
    # Routes about whole pictures may decode them at reduced size.
    return ModelCall(model, Picture(EVENING), boxes, frames, alone=not boxes)


@pytest.mark.parametrize("model", QUESTIONS)
def test_sample_networks_say_the_same_in_a_service(model: str, config: ClientConfig, empty: Path) -> None:
    async def run() -> list[tuple[list[Outcome], list[Outcome]]]:
        async with local_runner(empty) as local, HttpRunner(config) as http:
            several = [()] if model == "yolo26" else [(), BOXES]
            calls = [functools.partial(call_of, model, boxes) for boxes in several]
            return [(await local.run(call()), await http.run(call())) for call in calls]

    for mine, theirs in asyncio.run(run()):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            if isinstance(one.error, WeightsMissing):
                assert isinstance(other.error, WeightsMissing)
                continue
            assert (one.error, other.error) == (None, None)
            assert type(one.result) is type(other.result)
            assert (one.weights, other.weights) == ("sample", "sample")
            assert_close(told(one.result), told(other.result))
            if model == "depth_estimator":
                for method in METHODS:
                    assert_close(told(one.result.distance(method)), told(other.result.distance(method)))


def test_an_evening_is_judged_the_same_wherever_the_models_run(config: ClientConfig, empty: Path) -> None:
    """The pipeline and everything above it are the same code; what has no route runs in this process."""

    async def run() -> tuple[Event, Event]:
        async with local_runner(empty) as local, HttpRunner(config) as http:
            both = ComposedRunner(http, local)
            return (
                await Analyzer(local).analyze(Picture(EVENING), "evening.jpg"),
                await Analyzer(both).analyze(Picture(EVENING), "evening.jpg"),
            )

    here, there = asyncio.run(run())
    assert here.detections
    assert there.status == here.status
    assert [(d.id, d.class_name) for d in there.detections] == [(d.id, d.class_name) for d in here.detections]
    assert (there.risk.risk_score, there.risk.reasoning) == (here.risk.risk_score, here.risk.reasoning)
    assert there.enrichment.successful_models == here.enrichment.successful_models
    assert there.weights == here.weights
    assert here.enrichment.data is not None
    assert there.enrichment.data is not None
    assert there.enrichment.data.skipped == here.enrichment.data.skipped


def light_on(port: int, folder: Path) -> AbstractContextManager[ServerProcess]:
    """The light service in a process of its own; 0: on any free port."""
    variables = SAMPLES | {"PORT": str(port)}
    return server_process(folder / "models", folder / "cache", ("light",), verbose=False, **variables)


def test_a_light_service_that_is_stopped_and_started_again(config: ClientConfig, empty: Path) -> None:
    """A process that ends and another one on its port, under a pipeline that goes on."""
    detections = [{"id": f"thing-{i}", "label": "person", "bbox": list(box)} for i, box in enumerate(BOXES)]

    async def enriched(http: HttpRunner) -> EnrichmentTrackingResult:
        return await EnrichmentPipeline(http).enrich_batch_with_tracking(detections, {None: EVENING})

    def assert_without_light(found: EnrichmentTrackingResult, *words: str) -> None:
        assert (found.status.value, set(found.failed_models)) == ("partial", LIGHT)
        assert all(any(word in found.errors[model] for word in words) for model in LIGHT), found.errors
        assert "fashion_clip" in found.successful_models

    async def assert_back(http: HttpRunner) -> None:
        await asyncio.sleep(0.6)  # until the circuits let somebody try
        found = await enriched(http)
        assert (found.status.value, set(found.failed_models)) == ("full", set())
        circuits = [http.service("light").circuit(QUESTIONS[model].capability) for model in LIGHT]
        assert {circuit.state for circuit in circuits} == {State.CLOSED}

    async def run() -> None:
        with light_on(0, empty) as first:
            port = first.ports["light"]
            settings = ClientConfig(
                {**config.urls, "light": f"http://127.0.0.1:{port}"},
                retries=RetryPolicy(attempts=1),
                breaker=BreakerLimits(1, recovery_timeout_s=0.5, half_open_max_calls=1),
            )
            http = HttpRunner(settings)
            pending = asyncio.create_task(enriched(http))
            await asyncio.sleep(0.03)  # it is asked, and still loads its models
            first.process.kill()
            assert_without_light(await pending, "hung up", "refuses connections")
        with light_on(port, empty) as second:
            await assert_back(http)
            assert await asyncio.to_thread(second.stop) == 0
        assert_without_light(await enriched(http), "refuses connections", "hung up")
        # Where the other service took its time, the circuits let somebody try in between.
        assert_without_light(await enriched(http), "is not asked for now", "refuses connections")
        with light_on(port, empty):
            await assert_back(http)
        await http.close()

    asyncio.run(run())


#: The example at the end of the pipeline's document, word for word but for the name of the package.
EXAMPLE = """
from hearthwatch.client import EnrichmentClient
from PIL import Image

# Initialize client
client = EnrichmentClient()

# Check health
health = await client.check_health()
if health.get("status") == "healthy":
    # Classify vehicle
    image = Image.open("vehicle.jpg")
    result = await client.classify_vehicle(image)
    print(f"Vehicle type: {result.display_name}")
    print(f"Commercial: {result.is_commercial}")

    # Analyze pose
    person_image = Image.open("person.jpg")
    pose = await client.analyze_pose(person_image)
    print(f"Posture: {pose.posture}")
    print(f"Alerts: {pose.alerts}")

# Clean up
await client.close()
"""


def test_the_documented_example_runs_against_the_two_services(config: ClientConfig, tmp_path: Path) -> None:
    for name in ("vehicle.jpg", "person.jpg"):
        (tmp_path / name).write_bytes(EVENING)
    program = "import asyncio\n\nasync def main():\n" + EXAMPLE.replace("\n", "\n    ") + "\n\nasyncio.run(main())\n"
    urls = {"ENRICHMENT_URL": config.urls["enrichment"], "ENRICHMENT_LIGHT_URL": config.urls["light"]}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path), **urls}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert all(line.startswith("sample weights answer") for line in run.stderr.splitlines()), run.stderr
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == [
        "Vehicle type",
        "Commercial",
        "Posture",
        "Alerts",
    ]
