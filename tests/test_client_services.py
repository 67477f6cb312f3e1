"""The client against the services themselves, on made-up networks and real ports: each method, its typed result."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
import pytest
from PIL import Image as PILImage

from hearthwatch.client import (
    BreakerLimits,
    CircuitOpen,
    Classification,
    ClientConfig,
    ClipClient,
    DetectorClient,
    EnrichmentClient,
    RetryPolicy,
    Surroundings,
    capabilities,
)
from hearthwatch.client.capabilities import Capability
from hearthwatch.client.client import ServiceClient
from hearthwatch.client.enriched import Enriched
from hearthwatch.enrichment.parts import PARTS
from hearthwatch.errors import (
    BadBox,
    BudgetTooSmall,
    InputError,
    NotAnImage,
    ServiceRefused,
    UnknownDetectionType,
    UnknownModel,
    WeightsMissing,
)
from hearthwatch.models import (
    ActionResult,
    ClothingClassificationResult,
    DemographicsResult,
    DepthResult,
    Detection,
    ObjectDistance,
    PetClassificationResult,
    PoseResult,
    ReIDResult,
    ThreatResult,
    VehicleClassificationResult,
)
from hearthwatch.models.pose_estimator import Poses
from hearthwatch.services import SERVICES
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture
from loopback import on_loopback
from served import BASELINE, CONTRACT, Served, picture, serve
from test_from_wire import TWINS

PERSON = [2, 2, 30, 30]
TEXTS = ["a person", "an empty porch"]
#: Routes about several pictures or about texts alone: no method of API.md asks for them.
UNASKED = {"/detect/batch", "/embed/batch", "/embed-text"}
ROWS: list[dict[str, Any]] = [
    {"id": "a", "detection_type": "person", "bbox": PERSON},
    {"id": 7, "detection_type": "dog"},
]


@dataclass(frozen=True)
class Method:
    """One method of a client.

    Attributes:
        capability: that it asks for.
        client: whose method it is.
        call: with a client and a picture.
        kind: of its result.
        sent: the fields that are sent beside the picture.
    """

    capability: Capability
    client: type[ServiceClient]
    call: Callable[[Any, Any], Awaitable[Any]]
    kind: type
    sent: dict[str, Any]


BOX = {"bbox": PERSON}
#: The methods of API.md, by name.
METHODS: dict[str, Method] = {
    "classify_vehicle": Method(
        capabilities.VEHICLE,
        EnrichmentClient,
        lambda c, image: c.classify_vehicle(image, PERSON),
        VehicleClassificationResult,
        BOX,
    ),
    "classify_pet": Method(
        capabilities.PET, EnrichmentClient, lambda c, image: c.classify_pet(image, PERSON), PetClassificationResult, BOX
    ),
    "classify_clothing": Method(
        capabilities.CLOTHING,
        EnrichmentClient,
        lambda c, image: c.classify_clothing(image, PERSON),
        ClothingClassificationResult,
        BOX,
    ),
    "analyze_pose": Method(capabilities.POSE, EnrichmentClient, lambda c, image: c.analyze_pose(image), PoseResult, {}),
    "analyze_poses": Method(
        capabilities.POSE,
        EnrichmentClient,
        lambda c, image: c.analyze_poses(image, min_confidence=0.3),
        Poses,
        {"min_confidence": 0.3},
    ),
    "detect_threats": Method(
        capabilities.THREAT,
        EnrichmentClient,
        lambda c, image: c.detect_threats(image, min_confidence=0.3),
        ThreatResult,
        {"min_confidence": 0.3},
    ),
    "extract_reid": Method(
        capabilities.REID, EnrichmentClient, lambda c, image: c.extract_reid(image, Box(2, 2, 30, 30)), ReIDResult, BOX
    ),
    "predict_demographics": Method(
        capabilities.DEMOGRAPHICS,
        EnrichmentClient,
        lambda c, image: c.predict_demographics(image, PERSON),
        DemographicsResult,
        {"face_bbox": PERSON},
    ),
    "estimate_depth": Method(
        capabilities.DEPTH, EnrichmentClient, lambda c, image: c.estimate_depth(image, PERSON), DepthResult, BOX
    ),
    "estimate_object_distance": Method(
        capabilities.DISTANCE,
        EnrichmentClient,
        lambda c, image: c.estimate_object_distance(image, {"x": 2, "y": 2, "width": 28, "height": 28}, "median"),
        ObjectDistance,
        {**BOX, "method": "median"},
    ),
    "classify_action": Method(
        capabilities.ACTION,
        EnrichmentClient,
        lambda c, image: c.classify_action([image, image], TEXTS),
        ActionResult,
        {"labels": TEXTS},
    ),
    "enrich": Method(
        capabilities.ENRICH,
        EnrichmentClient,
        lambda c, image: c.enrich(image, "person", PERSON, options={"depth_map": True}),
        Enriched,
        {**BOX, "detection_type": "person", "options": {"depth_map": True}},
    ),
    "enrich_batch": Method(
        capabilities.ENRICH_BATCH,
        EnrichmentClient,
        lambda c, image: c.enrich_batch(image, ROWS),
        list,
        {"detections": ROWS},
    ),
    "embed": Method(capabilities.EMBED, ClipClient, lambda c, image: c.embed(image, PERSON), object, BOX),
    "anomaly_score": Method(
        capabilities.ANOMALY,
        ClipClient,
        lambda c, image: c.anomaly_score(image, BASELINE),
        object,
        {"baseline_embedding": BASELINE},
    ),
    "classify": Method(
        capabilities.CLASSIFY,
        ClipClient,
        lambda c, image: c.classify(image, TEXTS, use_ensemble=False),
        Classification,
        {"labels": TEXTS, "use_ensemble": False},
    ),
    "similarity": Method(
        capabilities.SIMILARITY, ClipClient, lambda c, image: c.similarity(image, TEXTS[0]), float, {"text": TEXTS[0]}
    ),
    "batch_similarity": Method(
        capabilities.BATCH_SIMILARITY,
        ClipClient,
        lambda c, image: c.batch_similarity(image, TEXTS),
        dict,
        {"texts": TEXTS},
    ),
    "detect": Method(
        capabilities.DETECT,
        DetectorClient,
        lambda c, image: c.detect(image, 0.4, ["person", "car"]),
        list,
        {"confidence": 0.4, "classes": ["person", "car"]},
    ),
}


@dataclass(frozen=True)
class World:
    """All services, each on a port."""

    served: dict[str, Served]
    config: ClientConfig

    def ask(self, method: Method, image: Any, **options: Any) -> Any:
        async def run() -> Any:
            async with method.client(self.config, **options) as client:
                return await method.call(client, image)

        return asyncio.run(run())

    def run(self, question: Callable[[EnrichmentClient], Awaitable[Any]], **options: Any) -> Any:
        async def run() -> Any:
            async with EnrichmentClient(self.config, **options) as client:
                return await question(client)

        return asyncio.run(run())

    def told(self, method: Method, data: bytes) -> Any:
        """What the route answers to who speaks JSON with it."""
        answer = self.served[method.capability.service].ask(method.capability.path, data, **method.sent)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        names = [service.name for service in SERVICES]
        served = {name: stack.enter_context(serve(tmp_path_factory.mktemp(name), name)) for name in names}
        urls = {name: stack.enter_context(on_loopback(one)) for name, one in served.items()}
        yield World(served, ClientConfig(urls, retries=RetryPolicy(attempts=1)))


def plain(value: Any) -> Any:
    """A result as JSON has it; what JSON made itself stays."""
    told = value.to_wire() if hasattr(value, "to_wire") else value
    return orjson.loads(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))


def assert_within(part: Any, whole: Any, abs_: float = 1e-6) -> None:
    """Everything that one says, the other says too."""
    if isinstance(part, dict):
        assert part.keys() <= whole.keys()
        for name, value in part.items():
            assert_within(value, whole[name], 1 / 255 if name.endswith("_depth") else abs_)
    elif isinstance(part, list):
        assert len(part) == len(whole)
        for one, other in zip(part, whole, strict=True):
            assert_within(one, other, abs_)
    elif isinstance(part, float):
        assert part == pytest.approx(whole, abs=abs_)
    else:
        assert part == whole


def test_every_route_that_is_about_one_picture_has_a_method() -> None:
    routes = {path for service in CONTRACT["services"].values() for path in service["routes"]} - UNASKED
    assert {method.capability.path for method in METHODS.values()} == routes
    for method in METHODS.values():
        row = CONTRACT["services"][method.capability.service]["routes"][method.capability.path]
        assert method.capability.raw is bool(row.get("raw"))


@pytest.mark.parametrize("name", METHODS)
def test_each_method_gives_what_its_route_tells(name: str, world: World) -> None:
    method, data = METHODS[name], picture()
    result = world.ask(method, data)
    assert isinstance(result, method.kind)
    if hasattr(result, "to_wire"):
        said = {part: value for part, value in plain(result).items() if part not in TWINS}
        assert_within(said, world.told(method, data))


@pytest.mark.parametrize("name", METHODS)
def test_any_form_of_a_picture_has_the_same_answer(name: str, world: World, tmp_path: Path) -> None:
    method, data = METHODS[name], picture()
    path = tmp_path / "porch.png"
    path.write_bytes(data)
    pixels = np.asarray(PILImage.open(path))
    forms = [data, path, str(path), Picture(data), PILImage.open(path), pixels, Image.of(pixels)]
    answers = [repr(world.ask(method, form)) for form in forms]
    assert all(answer == answers[0] for answer in answers[1:])


def test_what_enrich_knows_is_what_each_model_says(world: World) -> None:
    found: Enriched = world.ask(METHODS["enrich"], picture())
    told = world.told(METHODS["enrich"], picture())
    assert found.status.value == told["status"] == "full"
    assert list(found.models_loaded) == told["models_loaded"]
    assert dict(found.skipped) == told["skipped"]
    names = {part.name for part in PARTS.values()}
    assert {name for name in names if getattr(found, name) is not None} == {n for n in names if told[n] is not None}
    assert_within(plain(found.clothing), told["clothing"])
    assert_within(plain(found.depth), told["depth"])
    assert_within(plain(found.depth_map), told["depth"])
    assert found.pose is not None
    assert_within(plain(found.pose), told["pose"])
    assert found.reid_embedding is not None
    np.testing.assert_allclose(found.reid_embedding.embedding, told["reid_embedding"])
    assert found.reid_embedding.space == told["reid_space"] != ""


def test_rows_of_a_batch_come_in_order_and_one_that_is_none_costs_no_other(world: World) -> None:
    rows = [
        *ROWS,
        {"id": "c", "detection_type": "unicorn"},
        {"id": "d", "detection_type": "car", "bbox": [90, 90, 99, 99]},
    ]
    first, second, third, fourth = world.run(lambda client: client.enrich_batch(picture(), rows))
    assert (first.id, first.status, first.error) == ("a", "full", None)
    assert (second.id, second.pet is not None) == ("7", True)
    assert isinstance(third.error, UnknownDetectionType)
    assert isinstance(fourth.error, BadBox)
    assert world.run(lambda client: client.enrich_batch(picture(), [])) == []


def test_frames_beside_a_picture_reach_the_action_model(world: World) -> None:
    found = world.run(
        lambda client: client.enrich(
            picture(), "person", PERSON, suspicious_score=80, frames=[picture(value=60), picture(value=80)]
        )
    )
    assert isinstance(found.action, ActionResult)


def test_a_face_that_nobody_finds_is_no_answer_and_says_why(world: World) -> None:
    found = world.run(lambda client: client.predict_demographics(picture(), [2, 2, 9, 9]))
    assert (found.age_range, found.gender) == (None, None)
    assert "at least 20 are needed" in found.missing[0]
    assert "not told" in found.to_context_string()


@pytest.mark.parametrize("name", ["analyze_poses", "detect_threats", "detect", "estimate_depth"])
def test_a_picture_that_was_made_smaller_is_answered_in_its_own_pixels(name: str, world: World) -> None:
    large = picture(400, 320, kind=".jpg")
    method = METHODS[name]
    whole, small = (world.ask(method, large, max_side=side) for side in (None, 160))
    assert _places(whole)
    assert _places(small) == pytest.approx(_places(whole), abs=2.0)


def test_so_is_everything_about_a_detection_of_it(world: World) -> None:
    large, box = picture(400, 320, kind=".jpg"), [37, 80, 113, 290]
    whole, small = (
        world.run(lambda client: client.enrich(large, "person", box), max_side=side) for side in (None, 160)
    )
    assert _places(whole.pose)
    assert _places(small.pose) == pytest.approx(_places(whole.pose), abs=2.0)
    assert small.depth.relative_depth == pytest.approx(whole.depth.relative_depth, abs=0.05)


def _places(result: Any) -> list[float]:
    """Every coordinate of a result."""
    if isinstance(result, list):
        return [value for row in result for value in _places(row)]
    if isinstance(result, Detection):
        return list(result.box)
    told = plain(result) if hasattr(result, "to_wire") else result
    if not isinstance(told, dict):
        return []
    own = [told[name] for name in ("x", "y", "width", "height") if told.get(name) is not None]
    inside = [value for name, row in told.items() if name not in TWINS for value in _places(row)]
    return [*own, *told.get("region", ()), *inside]


def test_models_are_asked_where_they_are_at_home(world: World) -> None:
    config = ClientConfig(world.config.urls, homes={"pet_classifier": "enrichment"})

    async def run() -> tuple[Any, ...]:
        async with EnrichmentClient(config) as client:
            await client.classify_pet(picture())
            await client.extract_reid(picture())
            return client.service("enrichment"), client.service("light")

    heavy, light = asyncio.run(run())
    assert list(heavy._circuits) == ["enrichment_pet"]
    assert list(light._circuits) == ["enrichment_reid"]


def test_what_answers_come_from_is_known(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> dict[str, str]:
        async with EnrichmentClient(world.config) as client:
            await client.classify_pet(picture())
            await client.enrich(picture(), "dog")
            return client.weights

    assert asyncio.run(run()) == {"enrichment_pet": "real", "enrichment_enrich": "real"}
    assert not caplog.records


def test_health_and_models_of_both_services(world: World) -> None:
    health = world.run(lambda client: client.check_health())
    assert health["status"] == "healthy"
    assert set(health["services"]) == {"enrichment", "light"}
    status = world.run(lambda client: client.get_model_status())
    assert {row["name"] for row in status["light"]["models"]} >= {"pose_estimator", "pet_classifier"}
    assert world.run(lambda client: client.preload_model("reid")) == {"model_name": "person_reid", "state": "ready"}
    with pytest.raises(UnknownModel):
        world.run(lambda client: client.preload_model("toaster"))


def test_a_service_that_is_away_leaves_the_other_and_is_told(world: World) -> None:
    away = ClientConfig({**world.config.urls, "light": "http://127.0.0.1:1"}, retries=RetryPolicy(attempts=1))

    async def run() -> None:
        async with EnrichmentClient(away) as client:
            assert (await client.check_health())["status"] == "degraded"
            with pytest.raises(ServiceRefused):
                await client.classify_pet(picture())
            assert await client.classify_vehicle(picture())

    asyncio.run(run())


def test_a_service_that_ends_opens_its_circuits_and_closes_them_when_it_is_back(world: World) -> None:
    """As somebody sees it who stops the light service and starts it again."""
    light, now = world.served["light"], [0.0]
    with on_loopback(light) as url:
        port = urlsplit(url).port
    assert port is not None
    config = ClientConfig({"light": url}, retries=RetryPolicy(attempts=1), breaker=BreakerLimits(2, 60.0, 2))

    async def run() -> None:
        async with EnrichmentClient(config, surroundings=Surroundings(clock=lambda: now[0])) as client:
            with on_loopback(light, port):
                assert await client.classify_pet(picture())
            for kind in (ServiceRefused, ServiceRefused, CircuitOpen):
                with pytest.raises(kind):
                    await client.classify_pet(picture())
            with on_loopback(light, port):
                with pytest.raises(CircuitOpen):
                    await client.classify_pet(picture())
                now[0] += 60.0
                for _ in range(3):
                    assert await client.classify_pet(picture())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (lambda client: client.classify_pet(b"no picture"), NotAnImage),
        (lambda client: client.classify_pet(picture(), [9, 9, 1, 1]), BadBox),
        (lambda client: client.classify_pet(picture(), [500, 500, 600, 600]), BadBox),
        (lambda client: client.enrich(picture(), "unicorn"), UnknownDetectionType),
        (lambda client: client.detect_threats(picture(), min_confidence=7), InputError),
        (lambda client: client.classify_action([]), InputError),
    ],
)
def test_a_mistake_of_the_caller_has_the_type_that_it_has_without_a_service(
    question: Callable[[EnrichmentClient], Awaitable[Any]], error: type[Exception], world: World
) -> None:
    with pytest.raises(error):
        world.run(question)


def test_the_example_of_the_page_runs_as_it_stands(world: World, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/client.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    for name in ("vehicle.jpg", "person.jpg"):
        (tmp_path / name).write_bytes(picture(kind=".jpg"))
    urls = {"ENRICHMENT_URL": world.config.urls["enrichment"], "ENRICHMENT_LIGHT_URL": world.config.urls["light"]}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path, env={**os.environ, **urls}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == [
        "Vehicle type",
        "Commercial",
        "Posture",
        "Alerts",
    ]


def test_what_a_service_lacks_is_told_as_it_is(tmp_path: Path) -> None:
    for folder, options, error in (
        ("none", {"with_weights": ()}, WeightsMissing),
        ("small", {"budget_mb": 10}, BudgetTooSmall),
    ):
        with serve(tmp_path / folder, **options) as served, on_loopback(served) as url:

            async def run(address: str = url, kind: type[Exception] = error) -> None:
                async with EnrichmentClient(ClientConfig({"light": address})) as client:
                    with pytest.raises(kind, match=r"pose_estimator|MiB"):
                        await client.analyze_pose(picture())

            asyncio.run(run())
