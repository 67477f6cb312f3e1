"""Batches of detections over several pictures: grouping, accounting, and what one bad input costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from hearthwatch import pipeline as public
from hearthwatch.enrichment import PIPELINE
from hearthwatch.errors import BadBox, InferenceFailed, InputError, WeightsMissing
from hearthwatch.models import MODELS
from hearthwatch.pipeline import (
    DetectionInput,
    EnhancedEnrichmentPipeline,
    EnrichmentError,
    EnrichmentPipeline,
    EnrichmentResult,
    EnrichmentStatus,
    EnrichmentTrackingResult,
)
from hearthwatch.selection import get_models_for_detection_type, models_beside, models_of_picture
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture
from scene import HEIGHT, INSIDE, WIDTH, FakeRunner, answer, cut_off, detection, inner, nothing, photo, picture

#: Every model that any class asks for, without those that only follow.
SELECTED = {
    name
    for kind in ("person", "car", "cat", "bird")
    for name in get_models_for_detection_type(kind) + models_beside(kind)
}
#: Those that look at a picture as a whole.
OF_PICTURES = frozenset(models_of_picture(["person", "person"]))
NAMES = [model.SPEC.name for model in MODELS]
#: A version that has the models of this one.
HERE = FakeRunner(lacks=frozenset((SELECTED | OF_PICTURES) - {model.SPEC.name for model in MODELS}))


def here(**behaviour: Any) -> FakeRunner:
    return FakeRunner(lacks=HERE.lacks, **behaviour)


def track(
    runner: FakeRunner, detections: Any, images: Mapping[str | None, Any] | None = None
) -> EnrichmentTrackingResult:
    files: dict[str | None, Any] = {None: picture()} if images is None else dict(images)
    return asyncio.run(EnrichmentPipeline(runner, looks=()).enrich_batch_with_tracking(detections, files))


def data_of(tracked: EnrichmentTrackingResult) -> EnrichmentResult:
    assert tracked.data is not None
    return tracked.data


def codes(result: EnrichmentResult) -> dict[str | None, str]:
    """The stable code of each detection that was lost."""
    return {error.detection_id: error.category for error in result.structured_errors if error.model == PIPELINE}


def accounted(result: EnrichmentResult) -> set[str | None]:
    """Every detection that the result says anything about."""
    failed = {error.detection_id for error in result.structured_errors}
    found: list[Mapping[str, Any]] = [
        result.pose_results, result.threat_results, result.pet_classifications, distances(result),
        result.reid_embeddings, result.face_by_detection, result.plate_by_detection, result.vehicle_classifications,
        result.clothing_classifications,
        result.demographics_results, result.vehicle_damage,
    ]  # fmt: skip
    return {*failed, *chain.from_iterable(found), *result.skipped, *result.nothing}


def test_the_documented_names_are_there() -> None:
    assert EnhancedEnrichmentPipeline is EnrichmentPipeline
    for name in public.__all__:
        assert hasattr(public, name)
    assert [status.value for status in EnrichmentStatus] == ["full", "partial", "failed", "skipped"]


# ------------------------------------------------------------------------------------------------------------ results


def test_every_answer_arrives_under_its_detection() -> None:
    person, car = detection("p", "person", Box(10, 10, 50, 100)), detection("c", "car", Box(60, 40, 150, 110))
    result = data_of(track(here(), [person, car]))
    assert result.pose_results == {"p": answer("pose_estimator", person.bbox)}
    assert result.threat_results == {"p": answer("threat_detector", person.bbox)}
    assert result.reid_embeddings == {"p": answer("person_reid", person.bbox)}
    assert result.clothing_classifications == {"p": answer("fashion_clip", person.bbox)}
    assert result.face_by_detection == {"p": answer("face_detector", person.bbox)}
    assert result.faces == [answer("face_detector", person.bbox)]
    assert result.vehicle_classifications == {"c": answer("vehicle_classifier", car.bbox)}
    plate = result.plate_by_detection["c"]
    assert plate.text == answer("plate_ocr", inner(car.bbox)).text
    assert (plate.vehicle_id, plate.detection_confidence) == ("c", 0.9)
    assert plate.bbox == inner(car.bbox)
    assert result.license_plates == [plate]
    assert result.has_faces
    assert result.has_threats
    assert result.has_license_plates
    assert result.errors == []


def test_the_box_of_a_plate_is_the_detectors_and_not_the_readers_margin() -> None:
    reader = {"plate_ocr": lambda box: answer("plate_ocr", Box(box.x1 - 2, box.y1 - 2, box.x2 + 2, box.y2 + 2))}
    car = detection("c", "car")
    assert data_of(track(here(finds=reader), [car])).plate_by_detection["c"].bbox == inner(car.bbox)


def distances(result: EnrichmentResult) -> Mapping[str, Any]:
    return result.depth_analysis.distances if result.depth_analysis else {}


def findings(result: EnrichmentResult) -> int:
    return sum(
        len(found)
        for found in (
            result.pose_results,
            result.threat_results,
            result.clothing_classifications,
            result.pet_classifications,
            result.vehicle_classifications,
            distances(result),
            result.reid_embeddings,
            result.face_by_detection,
            result.plate_by_detection,
            result.demographics_results,
            result.vehicle_damage,
        )
    )


@pytest.mark.parametrize("model", [name for name in NAMES if name in SELECTED])
def test_no_answer_of_any_model_that_exists_is_dropped(model: str) -> None:
    """Every model of `MODELS` that a class asks for shows in the result; else somebody forgot to merge it."""
    detections = [detection(kind, kind) for kind in ("person", "car", "cat", "bird")]
    with_it, without = (
        data_of(track(FakeRunner(lacks=lacks), detections)) for lacks in (HERE.lacks, HERE.lacks | {model})
    )
    assert findings(with_it) > findings(without)


def test_enrich_batch_gives_the_data_alone() -> None:
    result = asyncio.run(EnrichmentPipeline(here()).enrich_batch([detection("p")], {None: picture()}))
    assert set(result.pose_results) == {"p"}
    assert result.processing_time_ms > 0


# ------------------------------------------------------------------------------------------------------------- status


def test_full_when_every_model_that_was_asked_answered() -> None:
    tracked = track(here(), [detection("p"), detection("c", "car")])
    assert tracked.status is EnrichmentStatus.FULL
    assert tracked.successful_models == [
        "demographics", "depth_estimator", "face_detector", "fashion_clip", "license_plate_detector", "person_reid",
        "plate_ocr", "pose_estimator", "scene_text", "threat_detector", "vehicle_classifier", "vehicle_damage",
        "weather_classifier",
    ]  # fmt: skip
    assert (tracked.failed_models, tracked.errors, tracked.success_rate) == ([], {}, 1.0)
    assert tracked.has_data
    assert not tracked.is_partial


def test_partial_when_some_answered_and_some_failed() -> None:
    tracked = track(here(fails={"pose_estimator": InferenceFailed("it broke")}), [detection("p")])
    assert tracked.status is EnrichmentStatus.PARTIAL
    assert tracked.is_partial
    assert tracked.successful_models == [
        "demographics", "depth_estimator", "face_detector", "fashion_clip", "person_reid", "scene_text",
        "threat_detector", "weather_classifier",
    ]  # fmt: skip
    assert tracked.failed_models == ["pose_estimator"]
    assert tracked.errors == {"pose_estimator": "it broke"}
    assert tracked.success_rate == pytest.approx(8 / 9)
    result = data_of(tracked)
    assert result.errors == ["pose_estimator: it broke"]
    assert result.structured_errors == [EnrichmentError("pose_estimator", "p", "internal", "it broke")]


def test_failed_when_all_failed() -> None:
    broken = {model.SPEC.name: InferenceFailed("it broke") for model in MODELS}
    tracked = track(here(fails=broken), [detection("p")])
    assert tracked.status is EnrichmentStatus.FAILED
    assert tracked.success_rate == 0.0


def test_failed_when_nothing_but_lost_detections_came() -> None:
    tracked = track(FakeRunner(lacks=HERE.lacks | OF_PICTURES), [detection("p", box=Box(500, 500, 600, 600))])
    assert tracked.status is EnrichmentStatus.FAILED
    assert tracked.success_rate == 1.0  # no model was asked


def test_partial_when_one_detection_is_lost_and_the_others_are_not() -> None:
    tracked = track(here(), [detection("p"), detection("q", box=Box(500, 500, 600, 600))])
    assert tracked.status is EnrichmentStatus.PARTIAL
    assert tracked.failed_models == []


@pytest.mark.parametrize("detections", [[], [detection("x", "bench")]], ids=["none", "a bench"])
def test_skipped_when_nobody_was_asked(detections: list[DetectionInput]) -> None:
    tracked = track(FakeRunner(lacks=HERE.lacks | OF_PICTURES), detections)
    assert tracked.status is EnrichmentStatus.SKIPPED
    assert tracked.success_rate == 1.0


def test_skipped_when_no_weights_are_installed() -> None:
    missing = {model.SPEC.name: WeightsMissing(model.SPEC.name, ["here"], "") for model in MODELS}
    tracked = track(here(fails=missing), [detection("p")])
    assert tracked.status is EnrichmentStatus.SKIPPED
    assert tracked.success_rate == 1.0
    assert data_of(tracked).skipped["p"]["pose_estimator"] == "no weights installed"


def test_a_model_that_failed_on_one_picture_only_has_failed_and_its_answers_are_there() -> None:
    class OneBadPicture(FakeRunner):
        async def run(self, call: Any) -> Any:
            outcomes = await super().run(call)
            bad = call.picture is second and call.model == "pose_estimator"
            return [type(o)(o.model, error=InferenceFailed("it broke")) for o in outcomes] if bad else outcomes

    first, second = picture(), picture()
    runner = OneBadPicture(lacks=frozenset(SELECTED | OF_PICTURES) - {"pose_estimator"})
    tracked = track(runner, [detection("a"), detection("b")], {"a": first, "b": second})
    assert tracked.failed_models == ["pose_estimator"]
    assert tracked.successful_models == []
    assert tracked.status is EnrichmentStatus.PARTIAL
    assert set(data_of(tracked).pose_results) == {"a"}


def test_success_rate_counts_models() -> None:
    def rate(good: int, bad: int) -> float:
        return EnrichmentTrackingResult(successful_models=["m"] * good, failed_models=["n"] * bad).success_rate

    assert [rate(0, 0), rate(1, 0), rate(0, 1), rate(1, 3)] == [1.0, 1.0, 0.0, 0.25]


def test_times_of_several_pictures_add_up_and_weights_are_told() -> None:
    tracked = track(here(), [detection("a"), detection("b")], {"a": picture(), "b": picture()})
    assert tracked.timings_ms["pose_estimator"] == 4.0
    assert tracked.infer_ms["pose_estimator"] == 2.0
    assert tracked.weights == dict.fromkeys(tracked.successful_models, "real")
    assert "pose_estimator" in tracked.weights


# ----------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_picture_is_decoded_exactly_once_whatever_the_number_of_detections(count: int) -> None:
    frame = picture()
    kinds = ("person", "car", "cat", "bird")
    track(here(), [detection(f"d{i}", kinds[i % 4]) for i in range(count)], {None: frame})
    assert frame.decodes == 1


def test_a_picture_that_nobody_looks_at_is_not_decoded() -> None:
    frame = picture()
    runner = FakeRunner(lacks=HERE.lacks | OF_PICTURES)
    track(runner, [detection("x", "bench"), detection("b", "sofa")], {None: frame})
    assert frame.decodes == 0


def test_a_detection_goes_to_its_own_picture_and_the_others_to_the_frame() -> None:
    frame, own = picture(), picture()
    runner = here()
    own_box, frame_box = Box(1, 1, 30, 30), Box(2, 2, 40, 40)
    boxes = {"a": own_box, "b": frame_box, "c": frame_box}
    track(runner, [detection(key, box=box) for key, box in boxes.items()], {None: frame, "a": own})
    by_picture = {id(call.picture): call.boxes for call in runner.asked("pose_estimator")}
    assert by_picture == {id(own): (own_box,), id(frame): (frame_box, frame_box)}


def test_one_picture_under_two_names_is_asked_about_once() -> None:
    shared = picture()
    runner = here()
    track(runner, [detection("a"), detection("b")], {"a": shared, "b": shared})
    assert [len(call.boxes) for call in runner.asked("pose_estimator")] == [2]
    assert shared.decodes == 1


def test_every_kind_of_picture_gives_the_same_answers(tmp_path: Path) -> None:
    data = photo(name="PNG")
    path = tmp_path / "porch.png"
    path.write_bytes(data)
    pil = PILImage.open(BytesIO(data))
    kinds: list[Any] = [data, path, str(path), pil, np.asarray(pil), Picture(data), Picture(data).image()]
    for kind in kinds:
        tracked = track(here(), [detection("p")], {None: kind})
        assert tracked.status is EnrichmentStatus.FULL
        assert data_of(tracked).pose_results == {"p": answer("pose_estimator", INSIDE)}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"", "not_an_image"),
        (b"GIF89a and nothing more", None),
        (cut_off(), "image_truncated"),
        ("/no/such/picture.jpg", "not_an_image"),
        (np.zeros((4, 4, 7), np.uint8), "unsupported_media_type"),
        (5, "not_an_image"),
        (Image(np.zeros((4, 4, 3), np.uint8), (2.0, 2.0, 6.0, 6.0)), "not_an_image"),
    ],
    ids=["empty", "no picture", "cut off", "no file", "seven channels", "a number", "a crop"],
)
def test_a_picture_that_is_none_costs_only_its_own_detection(bad: Any, code: str | None) -> None:
    good, lost = detection("good"), detection("lost")
    alone = data_of(track(here(), [good]))
    tracked = track(here(), [good, lost], {None: picture(), "lost": bad})
    result = data_of(tracked)
    assert result.pose_results == alone.pose_results
    assert result.reid_embeddings == alone.reid_embeddings
    assert set(codes(result)) == {"lost"}
    assert code is None or codes(result) == {"lost": code}
    assert result.errors == [error.message for error in result.structured_errors]
    assert len(result.errors) == 1
    # The models did nothing wrong.
    assert tracked.failed_models == []
    assert tracked.status is EnrichmentStatus.PARTIAL


def test_a_picture_cut_off_is_decoded_once_and_told_once_per_detection() -> None:
    bad = picture(cut_off())
    tracked = track(here(), [detection("a"), detection("b"), detection("c", "car")], {None: bad})
    assert bad.decodes == 1
    assert codes(data_of(tracked)) == dict.fromkeys("abc", "image_truncated")
    assert len(data_of(tracked).errors) == 3
    assert tracked.status is EnrichmentStatus.FAILED
    assert tracked.success_rate == 1.0


def test_a_detection_without_a_picture_is_lost_alone() -> None:
    tracked = track(here(), [detection("a"), detection("b")], {"a": picture()})
    assert set(data_of(tracked).pose_results) == {"a"}
    assert codes(data_of(tracked)) == {"b": "bad_input"}
    assert data_of(tracked).errors == ["detection b has no picture"]


# -------------------------------------------------------------------------------------------------------------- boxes


def asked_boxes(box: Box, **fields: Any) -> tuple[Box, ...]:
    runner = here()
    track(runner, [detection("p", box=box, **fields)])
    return runner.asked("pose_estimator")[0].boxes


def test_a_box_that_sticks_out_is_clamped() -> None:
    assert asked_boxes(Box(-50, 20, 500, 900)) == (Box(0, 20, WIDTH, HEIGHT),)


@pytest.mark.parametrize("scale", [(2.0, 2.0), (0.5, 0.5), (3.0, 0.25)], ids=str)
def test_a_box_of_another_size_is_moved_to_the_picture(scale: tuple[float, float]) -> None:
    sx, sy = scale
    measured = Box(INSIDE.x1 * sx, INSIDE.y1 * sy, INSIDE.x2 * sx, INSIDE.y2 * sy)
    moved = asked_boxes(measured, source_size=(WIDTH * sx, HEIGHT * sy))[0]
    assert tuple(moved) == pytest.approx(tuple(INSIDE))


def test_the_face_box_moves_with_the_box() -> None:
    moved = detection("p", box=Box(0, 0, 8, 8), face_bbox=Box(2, 2, 4, 4), source_size=(16.0, 8.0)).in_picture(32, 32)
    assert (moved.bbox, moved.face_bbox, moved.source_size) == (Box(0, 0, 16, 32), Box(4, 8, 8, 16), None)
    untouched = detection("p")
    assert untouched.in_picture(32, 32) is untouched


@pytest.mark.parametrize(
    "box",
    [
        Box(500, 10, 600, 50),
        Box(-50, 10, -20, 50),
        Box(WIDTH, 0, WIDTH + 5, 5),
        Box(50, 50, 20, 90),
        Box(20, 20, 20, 90),
        Box(float("nan"), 0, 10, 10),
        Box(0, 0, float("inf"), 10),
    ],
    ids=str,
)
def test_a_box_that_shows_nothing_costs_only_its_own_detection(box: Box) -> None:
    good = detection("good")
    tracked = track(here(), [good, detection("lost", box=box)])
    result = data_of(tracked)
    assert set(result.pose_results) == {"good"}
    assert codes(result) == {"lost": "bad_box"}
    assert tracked.failed_models == []
    assert len(result.errors) == 1


def test_boxes_of_numpy_numbers_are_boxes() -> None:
    assert asked_boxes(Box(*np.array(INSIDE, np.float32))) == (INSIDE,)


# ------------------------------------------------------------------------------------------------------- the accounts

KINDS = ["person", "Person", "car", "bicycle", "dog", "bird", "bench", "knife"]
SIDES = st.floats(-200, 400, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    boxes=st.lists(st.tuples(st.sampled_from(KINDS), st.tuples(SIDES, SIDES, SIDES, SIDES)), max_size=6),
    pictures=st.lists(st.sampled_from(["frame", "own", "cut off", "garbage", "none"]), min_size=6, max_size=6),
    silent=st.sets(st.sampled_from(NAMES)),
    broken=st.sets(st.sampled_from(NAMES)),
    absent=st.sets(st.sampled_from(NAMES)),
    frame=st.booleans(),
)
def test_every_detection_is_accounted_for(
    boxes: list[tuple[str, tuple[float, float, float, float]]],
    pictures: list[str],
    silent: set[str],
    broken: set[str],
    absent: set[str],
    frame: bool,
) -> None:
    """Whatever fails, is not offered, or finds nothing: no detection vanishes without a word."""
    detections = [detection(f"d{i}", kind, Box(*box)) for i, (kind, box) in enumerate(boxes)]
    files: dict[str | None, bytes] = {None: photo()} if frame else {}
    own = {"own": photo(), "cut off": cut_off(), "garbage": b"?"}
    files |= {d.id: own[kind] for d, kind in zip(detections, pictures, strict=False) if kind in own}
    runner = FakeRunner(
        lacks=HERE.lacks | absent,
        finds=dict.fromkeys(silent, nothing),
        fails=dict.fromkeys(broken, InferenceFailed("it broke")),
    )
    result = data_of(track(runner, detections, files))
    assert accounted(result) - {None} == {d.id for d in detections}


def test_what_was_looked_for_in_vain_is_told() -> None:
    silent = {"pose_estimator": nothing, "license_plate_detector": nothing}
    result = data_of(track(here(finds=silent), [detection("p"), detection("c", "car"), detection("x", "bench")]))
    assert result.nothing == {"p": ["pose_estimator"], "c": ["license_plate_detector"], "x": []}


def test_a_plate_that_nobody_could_read_is_a_finding_without_a_text() -> None:
    for behaviour in ({"finds": {"plate_ocr": nothing}}, {"fails": {"plate_ocr": InferenceFailed("it broke")}}):
        car = detection("c", "car")
        result = data_of(track(here(**behaviour), [car]))
        (plate,) = result.license_plates
        assert (plate.text, plate.bbox, plate.detection_confidence) == ("", inner(car.bbox), 0.9)
        assert (result.nothing == {"c": ["plate_ocr"]}) == (not result.errors)


# -------------------------------------------------------------------------------------------------------- what comes in


def test_two_detections_of_one_id_are_refused() -> None:
    with pytest.raises(InputError, match="same id"):
        track(here(), [detection("p"), detection("p")])


def test_the_camera_of_the_batch_is_that_of_detections_that_name_none() -> None:
    # Nobody passes the camera on yet, so this looks at the step itself.
    from hearthwatch.pipeline.pipeline import _with_camera

    assert _with_camera(detection("a"), "porch").camera == "porch"
    assert _with_camera(detection("a", camera="gate"), "porch").camera == "gate"
    assert _with_camera(detection("a"), None).camera is None


BOX_FORMS: list[Any] = [
    [1, 2, 30, 40],
    (1.0, 2.0, 30.0, 40.0),
    {"x1": 1, "y1": 2, "x2": 30, "y2": 40},
    {"x": 1, "y": 2, "width": 29, "height": 38},
]


@pytest.mark.parametrize("box", BOX_FORMS, ids=str)
@pytest.mark.parametrize("key", ["label", "class_name", "class"])
def test_the_documented_dictionaries_are_read(key: str, box: Any) -> None:
    given_detection = {key: "person", "bbox": box, "face_visible": True, "face_bbox": box, "suspicious_score": 75}
    found = DetectionInput.of(given_detection, 3)
    expected = Box(1, 2, 30, 40)
    assert found == DetectionInput(
        "3", "person", 1.0, expected, face_visible=True, face_bbox=expected, suspicious_score=75.0
    )


def test_every_field_of_a_dictionary_is_read_and_unknown_ones_are_ignored() -> None:
    text = json.dumps({
        "id": 7, "label": "person", "confidence": 0.5, "bbox": [0, 0, 1, 1], "track_id": 12, "camera": "porch",
        "time": "2026-11-20T22:30:00+00:00", "zones": ["drive", "gate"], "dwell_s": 61, "stationary": False,
        "source_size": [1920, 1080], "known": "Ada", "plate": "AB12", "colour": "red", "face_bbox": None,
    })  # fmt: skip
    assert DetectionInput.of(json.loads(text)) == DetectionInput(
        "7", "person", 0.5, Box(0, 0, 1, 1), track_id="12", camera="porch",
        time=datetime(2026, 11, 20, 22, 30, tzinfo=UTC), zones=("drive", "gate"), dwell_s=61.0, stationary=False,
        source_size=(1920.0, 1080.0), known="Ada", plate="AB12",
    )  # fmt: skip


def test_one_zone_is_a_zone_and_not_its_letters() -> None:
    assert DetectionInput.of({"label": "car", "bbox": [0, 0, 1, 1], "zones": "drive"}).zones == ("drive",)


def test_a_detection_input_is_taken_as_it_is() -> None:
    given_detection = detection("p")
    assert DetectionInput.of(given_detection, 4) is given_detection


def test_dictionaries_without_ids_are_counted_and_enriched() -> None:
    rows = [{"label": "person", "bbox": [0, 0, 50, 50]}, {"label": "person", "bbox": [0, 0, 60, 60], "id": None}]
    assert set(data_of(track(here(), rows)).pose_results) == {"0", "1"}


GOOD = {"label": "person", "bbox": [0, 0, 10, 10]}


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"label": None}, InputError, "no class"),
        ({"label": 5}, InputError, "no class"),
        ({"label": ""}, InputError, "no class"),
        ({"bbox": None}, BadBox, "no bbox"),
        ({"bbox": 5}, BadBox, "5"),
        ({"bbox": "abcd"}, BadBox, "abcd"),
        ({"bbox": [1, 2, 3]}, BadBox, r"\[1, 2, 3\]"),
        ({"bbox": [10, 10, 5, 20]}, BadBox, "inverted"),
        ({"bbox": [0, 0, float("nan"), 5]}, BadBox, "finite"),
        ({"bbox": {"x": 1, "y": 2}}, BadBox, "neither"),
        ({"face_bbox": [3, 3, 1, 1]}, BadBox, "face_bbox"),
        ({"id": True}, InputError, "id True"),
        ({"id": ["p"]}, InputError, "id"),
        ({"confidence": 1.5}, InputError, "confidence 1.5 .* 0 to 1"),
        ({"confidence": float("nan")}, InputError, "confidence nan"),
        ({"confidence": "sure"}, InputError, "confidence 'sure'"),
        ({"confidence": True}, InputError, "confidence True"),
        ({"suspicious_score": 101}, InputError, "suspicious_score 101 .* 0 to 100"),
        ({"suspicious_score": -1}, InputError, "suspicious_score -1"),
        ({"face_visible": "false"}, InputError, "face_visible 'false'"),
        ({"stationary": "no"}, InputError, "stationary 'no'"),
        ({"known": False}, InputError, "known False"),
        ({"known": 1}, InputError, "known 1"),
        ({"plate": ["AB"]}, InputError, "plate"),
        ({"zones": [1]}, InputError, "zones"),
        ({"zones": 3}, InputError, "zones 3"),
        ({"dwell_s": -5}, InputError, "dwell_s -5"),
        ({"dwell_s": float("inf")}, InputError, "dwell_s inf"),
        ({"time": "yesterday"}, InputError, "time 'yesterday'"),
        ({"time": 5}, InputError, "time 5"),
        ({"source_size": [0, 10]}, InputError, r"source_size \[0, 10\]"),
        ({"source_size": [10]}, InputError, r"source_size \[10\]"),
        ({"source_size": [10, float("nan")]}, InputError, "source_size"),
        ({"source_size": 10}, InputError, "source_size 10"),
    ],
    ids=str,
)
def test_a_dictionary_that_cannot_be_read_is_refused_with_its_index(
    changed: dict[str, Any], error: type[InputError], words: str
) -> None:
    with pytest.raises(error, match=words) as told:
        track(here(), [GOOD, GOOD | changed])
    assert str(told.value).startswith("detection 1")
    assert told.value.code == ("bad_box" if error is BadBox else "bad_input")


@pytest.mark.parametrize("value", [5, "person", None, [1, 2, 3, 4]], ids=str)
def test_what_is_no_dictionary_is_refused_with_its_index(value: Any) -> None:
    with pytest.raises(InputError, match=r"^detection 1 is a .*label and bbox"):
        track(here(), [GOOD, value])


KEYS = st.sampled_from(["label", "bbox", "id", "confidence", "time", "zones", "known", "source_size"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats())


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES))
def test_any_dictionary_is_read_or_refused_with_a_sentence(value: dict[str, Any]) -> None:
    refusal = None
    try:
        found = DetectionInput.of(value, 2)
    except InputError as error:
        refusal = error
    if refusal is not None:
        assert str(refusal).startswith("detection 2")
    else:
        assert found.bbox.area > 0
        assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("size", [(0.0, 10.0), (-1.0, 5.0), (float("nan"), 5.0)], ids=str)
def test_a_source_size_that_measures_nothing_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="source_size"):
        detection("p", source_size=size)
