"""One picture becomes an assessed event."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from hearthwatch.analysis import DEFAULT_CONFIDENCE, DETECTOR, Analyzer, Event
from hearthwatch.errors import ImageTruncated, InferenceFailed, InputError, WeightsMissing
from hearthwatch.models.threat_detector import SEVERITIES
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, Detection, Detections
from hearthwatch.pipeline import EnrichmentStatus
from hearthwatch.vision.boxes import Box
from scene import HEIGHT, WIDTH, FakeRunner, answer, cut_off, detection, nothing, picture, pose

NIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
PORCH = Box(20, 10, 60, 110)
#: What the models of this version do not do here.
LATER = frozenset({"threat_detector", "fashion_clip", "depth_estimator", "vehicle_classifier", "pet_classifier"})

#: Who looks where somebody is, and at the picture as a whole.
MODELS_OF_A_PERSON = {
    DETECTOR, "demographics", "face_detector", "person_reid", "pose_estimator", "scene_text", "weather_classifier",
}  # fmt: skip


def seeing(*found: Detection, **behaviour: Any) -> FakeRunner:
    """A runner whose detector sees these."""
    finds = behaviour.pop("finds", {}) | {DETECTOR: lambda _box: Detections(found)}
    return FakeRunner(finds=finds, lacks=LATER, **behaviour)


def analyze(runner: FakeRunner, data: bytes | None = None, **options: Any) -> Event:
    confidence = options.pop("confidence", DEFAULT_CONFIDENCE)
    return asyncio.run(Analyzer(runner, confidence=confidence).analyze(picture(data), "porch.jpg", **options))


def test_a_picture_becomes_an_event_with_everything_in_it() -> None:
    runner = seeing(Detection("person", 0.9, PORCH))
    event = analyze(runner, camera="porch", when=NIGHT)
    assert (event.source, event.camera, event.time) == ("porch.jpg", "porch", NIGHT)
    (found,) = event.detections
    assert (found.id, found.class_name, found.confidence, found.bbox) == ("person-1", "person", 0.9, PORCH)
    assert (found.camera, found.time) == ("porch", NIGHT)
    assert event.enrichment.data is not None
    assert event.enrichment.data.pose_results == {"person-1": answer("pose_estimator", PORCH)}
    assert event.status is EnrichmentStatus.FULL
    assert event.errors == []
    assert event.risk.risk_score == 35
    assert event.scene.subjects("person") == ["person-1"]
    assert event.weights == dict.fromkeys({*MODELS_OF_A_PERSON, "clip"}, "real")  # the camera's view is compared


def test_times_are_told_for_decoding_each_model_and_the_whole() -> None:
    event = analyze(seeing(Detection("person", 0.9, PORCH)))
    looks = {"image_quality", "scene_change"}
    assert set(event.timings_ms) == {"decode", *MODELS_OF_A_PERSON, *looks, "total"}
    assert set(event.infer_ms) == MODELS_OF_A_PERSON
    assert event.timings_ms["decode"] == event.picture.decode_ms > 0
    assert event.timings_ms["total"] > event.timings_ms["decode"]


def test_the_picture_is_decoded_once() -> None:
    event = analyze(seeing(*[Detection(name, 0.9, PORCH) for name in DEFAULT_CLASSES]))
    assert event.picture.decodes == 1


def test_an_empty_picture_is_looked_at_as_a_whole_and_low() -> None:
    event = analyze(seeing())
    assert (event.status, event.risk.risk_score, event.detections) == (EnrichmentStatus.FULL, 0, [])
    assert event.enrichment.data is not None
    assert event.enrichment.data.image_quality is not None


@pytest.mark.parametrize(("confidence", "counts"), [(0.49, False), (0.5, True), (0.9, True)])
def test_what_is_less_sure_than_asked_for_does_not_count(confidence: float, counts: bool) -> None:
    assert len(analyze(seeing(Detection("person", confidence, PORCH))).detections) == counts


def test_the_confidence_can_be_chosen() -> None:
    seen = seeing(Detection("person", 0.3, PORCH), Detection("person", 0.2, PORCH))
    assert [d.confidence for d in analyze(seen, confidence=0.25).detections] == [0.3]


@pytest.mark.parametrize("name", [*DEFAULT_CLASSES, *SEVERITIES, "Person", "Knife"])
def test_what_a_camera_is_asked_about_and_every_weapon_counts(name: str) -> None:
    assert [d.class_name for d in analyze(seeing(Detection(name, 0.9, PORCH))).detections] == [name]


@pytest.mark.parametrize("name", ["bench", "carpet", "potted plant", "cell phone", ""])
def test_other_things_do_not(name: str) -> None:
    assert analyze(seeing(Detection(name, 0.9, PORCH))).detections == []


def test_ids_count_up_by_class() -> None:
    names = ["person", "car", "person", "baseball bat", "baseball bat"]
    event = analyze(seeing(*[Detection(name, 0.9, PORCH) for name in names]))
    assert [d.id for d in event.detections] == ["person-1", "car-1", "person-2", "baseball_bat-1", "baseball_bat-2"]


def test_a_failing_detector_is_the_error_itself() -> None:
    for error in (InferenceFailed("it broke"), WeightsMissing(DETECTOR, ["here"], "")):
        with pytest.raises(type(error)) as told:
            analyze(seeing(fails={DETECTOR: error}))
        assert told.value is error


def test_a_picture_that_cannot_be_decoded_is_the_error_itself() -> None:
    runner = seeing()
    with pytest.raises(ImageTruncated):
        analyze(runner, cut_off())
    assert runner.calls == []


def test_a_failing_model_leaves_the_event_whole() -> None:
    event = analyze(seeing(Detection("person", 0.9, PORCH), fails={"pose_estimator": InferenceFailed("it broke")}))
    assert event.status is EnrichmentStatus.PARTIAL
    assert event.errors == ["pose_estimator: it broke"]
    assert event.risk.risk_score == 20


def test_given_detections_are_enriched_and_the_detector_is_not_asked() -> None:
    runner = seeing()
    given = [detection("mine", box=PORCH, known="Ada", dwell_s=90.0)]
    event = analyze(runner, detections=given)
    assert event.detections == given
    assert runner.asked(DETECTOR) == []
    assert DETECTOR not in event.weights
    assert event.risk.risk_score == 10


def test_given_detections_are_of_the_camera_and_the_time_of_their_picture() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    told = detection("other", box=PORCH, camera="yard")
    event = analyze(seeing(), detections=[detection("mine", box=PORCH), told], camera="porch", when=noon)
    assert [(one.camera, one.time) for one in event.detections] == [("porch", noon), ("yard", noon)]


def test_given_detections_of_one_id_are_refused() -> None:
    with pytest.raises(InputError, match="same id"):
        analyze(seeing(), detections=[detection("p"), detection("p")])


def test_facts_are_in_picture_pixels_wherever_the_boxes_were_measured() -> None:
    """A knife at a wrist is at that wrist also when the application measured its boxes in another size."""
    person, knife = Box(20, 10, 60, 110), Box(70, 40, 100, 70)
    finds = {"pose_estimator": lambda _box: pose(wrist=(68, 55)), "face_detector": nothing}
    here = analyze(seeing(finds=finds), detections=[detection("p", box=person), detection("k", "knife", knife)])
    factor = 10
    size = (float(WIDTH * factor), float(HEIGHT * factor))
    measured = [
        detection(key, name, Box(*(side * factor for side in box)), source_size=size)
        for key, name, box in (("p", "person", person), ("k", "knife", knife))
    ]
    elsewhere = analyze(seeing(finds=finds), detections=measured)
    assert here.scene.facts == elsewhere.scene.facts
    assert here.scene.facts[0].subject == "p"
    assert here.risk == elsewhere.risk
    assert elsewhere.detections == here.detections


def test_a_small_weapon_stays_small_when_it_was_measured_in_a_larger_picture() -> None:
    size = (float(WIDTH * 4), float(HEIGHT * 4))
    given = [
        detection("p", box=Box(80, 40, 240, 440), source_size=size),
        detection("k", "knife", Box(100, 100, 180, 180), source_size=size),  # 20 px in the picture
    ]
    event = analyze(seeing(finds={"pose_estimator": nothing}), detections=given)
    assert event.scene.facts[0].value == "candidate high"


def test_a_detection_outside_the_picture_is_told_and_the_others_are_enriched() -> None:
    event = analyze(seeing(), detections=[detection("p", box=PORCH), detection("q", box=Box(900, 900, 950, 950))])
    assert event.status is EnrichmentStatus.PARTIAL
    assert len(event.errors) == 1
    assert "outside" in event.errors[0]
    assert event.enrichment.data is not None
    assert set(event.enrichment.data.pose_results) == {"p"}


def test_an_unknown_time_is_said_in_the_judgement() -> None:
    assert "time is not known" in analyze(seeing(Detection("person", 0.9, PORCH))).risk.reasoning
