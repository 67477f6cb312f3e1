"""One picture's detections: who is asked, and what one failure costs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hearthwatch.enrichment import PIPELINE, DetectionEnrichment, PictureEnrichment, enrich_picture
from hearthwatch.enrichment.asking import NOT_IN_THIS_VERSION
from hearthwatch.errors import (
    DeadlineExceeded,
    HearthwatchError,
    InferenceFailed,
    LoadFailed,
    NotAnImage,
    WeightsInvalid,
    WeightsMissing,
)
from hearthwatch.pipeline import DetectionInput
from hearthwatch.selection import FOLLOW_UPS, get_models_for_detection_type, models_beside, models_of_picture
from hearthwatch.vision.boxes import Box
from scene import HEIGHT, WIDTH, FakeRunner, answer, cut_off, detection, inner, nothing, picture

SUBJECTS = [
    detection("p1", "person", Box(10, 10, 40, 100)),
    detection("p2", "person", Box(50, 10, 80, 100)),
    detection("c1", "car", Box(90, 50, 150, 110)),
    detection("c2", "truck", Box(80, 20, 120, 60)),
    detection("d1", "dog", Box(5, 80, 30, 118)),
    detection("b1", "bird", Box(100, 5, 110, 12)),
    detection("x1", "bench", Box(0, 60, 60, 110)),
]
#: Every model that these detections deserve, the ones that follow included.
ASKED = sorted(
    {name for s in SUBJECTS for name in get_models_for_detection_type(s.class_name) + models_beside(s.class_name)}
    | {*FOLLOW_UPS.values(), *models_of_picture(s.class_name for s in SUBJECTS)}
    | {"demographics"}
)
#: What is asked about because of what another model found.
ON_THE_WAY = {**FOLLOW_UPS, "face_detector": "demographics"}
#: A failing model's own part: its answers, and those of the model that looks at what it found.
OWN_PART = {model: {model, ON_THE_WAY.get(model, model)} for model in ASKED}
#: The models that wait for a model: the head's joints say better than the detector where a face is.
WAITING_FOR = {**OWN_PART, "pose_estimator": {"pose_estimator", "demographics"}}


def enrich(runner: FakeRunner, subjects: list[DetectionInput] | None = None, **options: Any) -> PictureEnrichment:
    data = options.pop("data", None)
    return asyncio.run(enrich_picture(runner, picture(data), SUBJECTS if subjects is None else subjects, **options))


def results_without(enrichment: PictureEnrichment, models: set[str]) -> dict[str, dict[str, Any]]:
    return {
        key: {model: result for model, result in found.results.items() if model not in models}
        for key, found in enrichment.detections.items()
    }


def test_every_detection_gets_the_answers_of_its_own_models() -> None:
    enrichment = enrich(FakeRunner())
    for subject in SUBJECTS:
        models = get_models_for_detection_type(subject.class_name) + models_beside(subject.class_name)
        expected = {model: answer(model, subject.bbox) for model in models}
        if "license_plate_detector" in models:
            expected["plate_ocr"] = answer("plate_ocr", inner(subject.bbox))
        if "face_detector" in models:
            expected["demographics"] = answer("demographics", inner(subject.bbox))
        assert enrichment.detections[subject.id] == DetectionEnrichment(results=expected)
    assert enrichment.succeeded == ASKED
    assert enrichment.failed == {}
    assert enrichment.weights == dict.fromkeys(ASKED, "real")
    assert enrichment.timings_ms == dict.fromkeys(ASKED, 2.0)
    assert enrichment.infer_ms == dict.fromkeys(ASKED, 1.0)


@pytest.mark.parametrize(
    "error", [InferenceFailed("broken"), LoadFailed("no engine"), WeightsInvalid("a card")], ids=repr
)
@pytest.mark.parametrize("model", ASKED)
def test_a_failing_model_costs_only_its_own_part(model: str, error: HearthwatchError) -> None:
    whole = enrich(FakeRunner())
    enrichment = enrich(FakeRunner(fails={model: error}))
    assert results_without(enrichment, set()) == results_without(whole, OWN_PART[model])
    assert enrichment.failed == {model: error}
    assert enrichment.succeeded == [name for name in ASKED if name not in OWN_PART[model]]
    for key, found in enrichment.detections.items():
        was_asked = model in whole.detections[key].results
        assert found.errors == ({model: error} if was_asked else {})
        assert (found.nothing, found.skipped) == ([], {})


@pytest.mark.parametrize("model", ASKED)
def test_a_runner_that_raises_costs_only_the_model_that_it_was_asked_about(model: str) -> None:
    whole = enrich(FakeRunner())
    enrichment = enrich(FakeRunner(breaks={model: OSError("the disk is gone")}))
    assert results_without(enrichment, set()) == results_without(whole, OWN_PART[model])
    assert isinstance(enrichment.failed[model], InferenceFailed)
    assert str(enrichment.failed[model]) == f"{model} could not be asked: OSError: the disk is gone"


@pytest.mark.parametrize("model", ASKED)
def test_answers_that_cannot_be_told_apart_count_as_a_failure_of_that_model(model: str) -> None:
    whole = enrich(FakeRunner())
    enrichment = enrich(FakeRunner(miscounts=frozenset({model})))
    assert results_without(enrichment, set()) == results_without(whole, OWN_PART[model])
    assert isinstance(enrichment.failed[model], InferenceFailed)


@pytest.mark.parametrize("model", ASKED)
def test_missing_weights_are_skipped_with_the_reason_and_are_no_failure(model: str) -> None:
    missing = WeightsMissing(model, ["here"], "Pull them.")
    whole, enrichment = enrich(FakeRunner()), enrich(FakeRunner(fails={model: missing}))
    assert results_without(enrichment, set()) == results_without(whole, OWN_PART[model])
    assert enrichment.failed == {}
    assert model not in enrichment.succeeded
    for key, found in enrichment.detections.items():
        was_asked = model in whole.detections[key].results
        assert found.skipped == ({model: "no weights installed"} if was_asked else {})
        assert found.errors == {}


@pytest.mark.parametrize("model", ASKED)
def test_a_model_that_is_not_offered_is_skipped_with_the_reason_and_never_asked(model: str) -> None:
    runner = FakeRunner(lacks=frozenset({model}))
    whole, enrichment = enrich(FakeRunner()), enrich(runner)
    assert results_without(enrichment, set()) == results_without(whole, OWN_PART[model])
    assert runner.asked(model) == []
    assert enrichment.failed == {}
    for key, found in enrichment.detections.items():
        was_meant = model in whole.detections[key].results
        # Of the age and gender of people, who does not offer them says nothing.
        assert found.skipped == ({model: NOT_IN_THIS_VERSION} if was_meant and model != "demographics" else {})


def test_each_model_is_asked_once_about_all_boxes_of_the_picture() -> None:
    runner = FakeRunner()
    enrich(runner)
    assert sorted(call.model for call in runner.calls) == ASKED
    boxes = {call.model: call.boxes for call in runner.calls}
    assert boxes["pose_estimator"] == tuple(s.bbox for s in SUBJECTS if s.class_name == "person")
    assert boxes["vehicle_classifier"] == tuple(s.bbox for s in SUBJECTS if s.class_name in {"car", "truck"})
    assert boxes["depth_estimator"] == tuple(s.bbox for s in SUBJECTS if s.class_name != "bench")
    assert boxes["weather_classifier"] == ()


def test_only_plates_that_were_found_are_read_and_the_texts_go_to_their_vehicles() -> None:
    cars = [detection(f"c{i}", "car", Box(i * 30, 10, i * 30 + 28, 60)) for i in range(4)]
    with_plates = {cars[1].bbox, cars[3].bbox}

    def find(box: Box) -> Any:
        return answer("license_plate_detector", box) if box in with_plates else None

    runner = FakeRunner(finds={"license_plate_detector": find})
    enrichment = enrich(runner, cars)
    assert [call.boxes for call in runner.asked("plate_ocr")] == [(inner(cars[1].bbox), inner(cars[3].bbox))]
    for car in cars:
        found = enrichment.detections[car.id]
        if car.bbox in with_plates:
            assert found.results["plate_ocr"] is answer("plate_ocr", inner(car.bbox))
            assert found.nothing == []
        else:
            assert "plate_ocr" not in found.results
            assert found.nothing == ["license_plate_detector"]


def test_no_plate_means_no_reading() -> None:
    runner = FakeRunner(finds={"license_plate_detector": nothing})
    enrich(runner)
    assert runner.asked("plate_ocr") == []


@pytest.mark.parametrize("model", [name for name in ASKED if name not in ON_THE_WAY])
def test_a_model_that_finds_nothing_has_answered(model: str) -> None:
    whole, enrichment = enrich(FakeRunner()), enrich(FakeRunner(finds={model: nothing}))
    assert results_without(enrichment, set()) == results_without(whole, {model})
    assert enrichment.succeeded == ASKED
    for key, found in enrichment.detections.items():
        assert found.nothing == ([model] if model in whole.detections[key].results else [])


@pytest.mark.parametrize("model", ASKED)
def test_a_model_that_hangs_keeps_no_other_from_answering(model: str) -> None:
    async def scenario() -> PictureEnrichment:
        released = asyncio.Event()
        runner = FakeRunner(waits={model: released})
        task = asyncio.create_task(enrich_picture(runner, picture(), SUBJECTS))
        others = {name for name in ASKED if name not in WAITING_FOR[model]}
        async with asyncio.timeout(30):
            await runner.until_answered(others)
        assert not task.done()
        released.set()
        return await task

    assert results_without(asyncio.run(scenario()), set()) == results_without(enrich(FakeRunner()), set())


def test_a_picture_that_cannot_be_decoded_is_no_models_failure() -> None:
    runner = FakeRunner()
    enrichment = enrich(runner, data=cut_off())
    assert enrichment.failed == {}
    assert enrichment.succeeded == []
    for subject in SUBJECTS:
        found = enrichment.detections[subject.id]
        codes = {model: error.code for model, error in found.errors.items()}
        assert codes == ({} if subject.id == "x1" else {PIPELINE: "image_truncated"})
        assert found.results == {}


def test_a_picture_is_decoded_once_whoever_looks_at_it() -> None:
    for data, error in ((None, False), (cut_off(), True)):
        shared = picture(data)
        enrichment = asyncio.run(enrich_picture(FakeRunner(), shared, SUBJECTS))
        assert shared.decodes == 1
        assert bool(enrichment.detections["p1"].errors) == error


def test_a_deadline_reaches_every_question_and_what_is_late_is_a_failure() -> None:
    runner = FakeRunner()
    enrichment = enrich(runner, deadline=0.0)
    assert {call.deadline for call in runner.calls} == {0.0}
    assert {type(error) for error in enrichment.failed.values()} == {DeadlineExceeded}
    assert sorted(enrichment.failed) == [name for name in ASKED if name not in ON_THE_WAY.values()]


def test_no_detection_asks_nobody_but_who_looks_at_pictures_as_a_whole() -> None:
    runner = FakeRunner()
    enrichment = enrich(runner, [])
    assert [call.model for call in runner.calls] == ["weather_classifier", "scene_text"]
    assert enrichment.detections == {}
    whole = Box(0, 0, WIDTH, HEIGHT)
    assert enrichment.whole.results == {name: answer(name, whole) for name in ("weather_classifier", "scene_text")}
    alone = FakeRunner()
    assert enrich(alone, [], data=b"no picture at all", beside=False) == PictureEnrichment()
    assert alone.calls == []


@pytest.mark.parametrize(("people", "asked"), [(0, False), (1, False), (2, True), (3, True)])
def test_violence_needs_two_people(people: int, asked: bool) -> None:
    runner = FakeRunner()
    boxes = [Box(10 + 30 * i, 10, 40 + 30 * i, 100) for i in range(people)]
    enrich(runner, [detection("d", "dog"), *(detection(f"p{i}", box=box) for i, box in enumerate(boxes))])
    assert bool(runner.asked("violence_detector")) == asked


@pytest.mark.parametrize("model", ["violence_detector", "weather_classifier"])
def test_a_failure_about_the_whole_picture_is_told_of_the_picture(model: str) -> None:
    error = InferenceFailed("broken")
    enrichment = enrich(FakeRunner(fails={model: error}))
    assert enrichment.whole.errors == {model: error}
    assert enrichment.failed == {model: error}
    assert not any(found.errors for found in enrichment.detections.values())


def test_a_detection_that_no_model_is_meant_for_is_there_and_empty() -> None:
    assert enrich(FakeRunner()).detections["x1"] == DetectionEnrichment()


def test_suspicion_alone_asks_for_no_action_model_where_there_are_no_frames() -> None:
    runner = FakeRunner()
    enrich(runner, [detection("p", suspicious_score=100.0)])
    assert runner.asked("action_recognizer") == []


def test_the_first_error_of_a_model_is_the_one_that_is_told() -> None:
    errors = iter([NotAnImage("a"), InferenceFailed("b"), InferenceFailed("c")])

    class Moody(FakeRunner):
        async def run(self, call: Any) -> Any:
            outcomes = await super().run(call)
            return [type(outcome)(call.model, error=next(errors)) for outcome in outcomes]

    subjects = [detection(f"d{i}", "bird") for i in range(3)]
    enrichment = enrich(Moody(), subjects, beside=False)
    assert {model: str(error) for model, error in enrichment.failed.items()} == {"depth_estimator": "b"}
