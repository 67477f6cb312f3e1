"""What the pipeline tells of pictures as a whole, and what it concludes once the models have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import DeadlineExceeded, InferenceFailed
from hearthwatch.gallery import Embedding, Gallery, HouseholdMember, How, MemoryGallery
from hearthwatch.models import (
    CLIPResult,
    LicensePlateResult,
    PoseResult,
    VehicleClassificationResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.pipeline import (
    DetectionInput,
    EnrichmentPipeline,
    EnrichmentResult,
    EnrichmentStatus,
    EnrichmentTrackingResult,
)
from hearthwatch.pipeline.looks import Look
from hearthwatch.vision.boxes import Box
from scene import HEIGHT, INSIDE, WIDTH, FakeRunner, answer, cut_off, detection, inner, nothing, picture

WHOLE = Box(0, 0, WIDTH, HEIGHT)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = [detection("p1", box=Box(10, 10, 40, 100)), detection("p2", box=Box(90, 10, 120, 100))]


def track(
    pipeline: EnrichmentPipeline, detections: Sequence[DetectionInput], images: Mapping[str | None, Any] | None = None
) -> EnrichmentTrackingResult:
    files: dict[str | None, Any] = {None: picture()} if images is None else dict(images)
    return asyncio.run(pipeline.enrich_batch_with_tracking(detections, files, "porch"))


def enriched(
    runner: FakeRunner,
    detections: Sequence[DetectionInput],
    images: Mapping[str | None, Any] | None = None,
    **options: Any,
) -> EnrichmentResult:
    tracked = track(EnrichmentPipeline(runner, **options), detections, images)
    assert tracked.data is not None
    return tracked.data


# ---------------------------------------------------------------------------------------------- pictures as a whole


def test_the_models_of_a_whole_picture_fill_their_fields() -> None:
    result = enriched(FakeRunner(), PEOPLE, looks=())
    assert result.violence_detection == answer("violence_detector", WHOLE)
    assert result.weather_classification == answer("weather_classifier", WHOLE)
    assert result.vision_extraction is not None
    assert [text.text for text in result.vision_extraction.texts] == ["NO PARKING"]
    assert result.has_violence
    assert result.has_weather
    assert result.has_vision_extraction


def test_one_person_is_no_fight() -> None:
    runner = FakeRunner()
    assert enriched(runner, PEOPLE[:1], looks=()).violence_detection is None
    assert runner.asked("violence_detector") == []


def test_of_several_pictures_the_one_that_says_most_is_told() -> None:
    peaceful, fight = picture(), picture()

    class Two(FakeRunner):
        async def run(self, call: ModelCall) -> list[Outcome]:
            outcomes = await super().run(call)
            if call.model != "violence_detector":
                return outcomes
            found = ViolenceDetectionResult(call.picture is fight, 0.9 if call.picture is peaceful else 0.6)
            return [Outcome(call.model, found, weights="real", timings=outcomes[0].timings)]

    people = [detection(key, box=Box(10 + 40 * i, 10, 40 + 40 * i, 100)) for i, key in enumerate("abcd")]
    images: dict[str | None, Any] = {"a": peaceful, "b": peaceful, "c": fight, "d": fight}
    for order in (people, people[::-1]):
        result = enriched(Two(), order, images, looks=())
        assert result.violence_detection == ViolenceDetectionResult(is_violent=True, confidence=0.6)


def test_a_frame_without_detections_is_looked_at_all_the_same() -> None:
    tracked = track(EnrichmentPipeline(FakeRunner()), [])
    assert tracked.status is EnrichmentStatus.FULL
    asked = ["clip", "image_quality", "scene_change", "scene_text", "weather_classifier"]
    assert tracked.successful_models == asked
    assert tracked.data is not None
    assert tracked.data.image_quality is not None
    assert tracked.data.scene_change is not None


def test_where_there_is_a_frame_no_crop_is_asked_about_as_a_whole() -> None:
    frame, crop, runner, seen = picture(), picture(), FakeRunner(), []

    class Watching:
        name = "watching"

        async def look(self, view: Any, *_rest: Any) -> None:
            seen.append(view.picture)

    people = [detection("p1"), detection("p2")]
    result = enriched(runner, people, {None: frame, "p1": crop}, looks=(Watching(),))
    assert seen == [frame]
    assert [call.picture for call in runner.asked("weather_classifier")] == [frame]
    assert set(result.pose_results) == {"p1", "p2"}
    assert result.vision_extraction is not None
    assert [one.detection_ids for one in result.vision_extraction.pictures] == [("p2",)]


def test_a_frame_that_is_no_picture_is_told_once() -> None:
    for bad in (b"no picture", cut_off()):
        lonely = enriched(FakeRunner(), [], {None: bad})
        assert [(error.model, error.detection_id) for error in lonely.structured_errors] == [("pipeline", None)]
        shared = enriched(FakeRunner(), PEOPLE[:1], {None: bad})
        assert [(error.model, error.detection_id) for error in shared.structured_errors] == [("pipeline", "p1")]


def test_what_looks_at_whole_pictures_and_is_not_there_says_why() -> None:
    runner = FakeRunner(lacks=frozenset({"weather_classifier", "scene_text"}))
    result = enriched(runner, PEOPLE, looks=())
    assert set(result.skipped_of_pictures) == {"weather_classifier", "scene_text"}
    assert result.weather_classification is None
    assert result.vision_extraction is not None
    [extraction] = result.vision_extraction.pictures
    assert extraction.texts is None
    assert extraction.absent["texts"] == result.skipped_of_pictures["scene_text"]


def test_a_failure_of_a_whole_picture_names_no_detection_and_says_whether_it_may_pass() -> None:
    fails = {"weather_classifier": InferenceFailed("broken"), "scene_text": DeadlineExceeded("too late")}
    result = enriched(FakeRunner(fails=fails), PEOPLE, looks=())
    told = {error.model: (error.detection_id, error.category, error.transient) for error in result.structured_errors}
    assert told["weather_classifier"][:2] == (None, "internal")
    assert told["scene_text"] == (None, "deadline_exceeded", True)


def test_cameras_are_remembered_from_batch_to_batch() -> None:
    pipeline = EnrichmentPipeline(FakeRunner())
    first, second = (track(pipeline, PEOPLE).data for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.scene_change is not None
    assert second.scene_change is not None
    assert first.scene_change.changed is None
    assert second.scene_change.changed is False


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_pictures_are_worked_on_than_allowed(at_once: int) -> None:
    busy: list[int] = [0, 0]

    class Counting:
        name = "counting"

        async def look(self, *_args: Any) -> None:
            busy[0] += 1
            busy[1] = max(busy)
            await asyncio.sleep(0.005)
            busy[0] -= 1

    looks: tuple[Look, ...] = (Counting(),)
    people = [detection(f"p{i}") for i in range(8)]
    images: dict[str | None, Any] = {one.id: picture() for one in people}
    enriched(FakeRunner(), people, images, looks=looks, pictures_at_once=at_once)
    assert busy[1] == at_once


# ---------------------------------------------------------------------------------------------------- conclusions


def test_text_inside_a_plate_is_that_plates() -> None:
    finds = {"license_plate_detector": lambda _box: answer("license_plate_detector", WHOLE)}
    result = enriched(FakeRunner(finds=finds), [detection("c", "car")], looks=())
    assert result.vision_extraction is not None
    [line] = result.vision_extraction.pictures[0].texts or ()
    assert line.plate_of == "c"
    assert result.vision_extraction.texts == []


def test_readings_of_a_track_vote_from_batch_to_batch() -> None:
    texts = iter(["AB12", "AB12", "A812"])

    def read(box: Box) -> LicensePlateResult:
        text = next(texts)
        return LicensePlateResult(text, text, 0.9, box)

    pipeline = EnrichmentPipeline(FakeRunner(finds={"plate_ocr": read}), looks=())
    for number in range(3):
        car = detection("c", "car", track_id="7")
        data = track(pipeline, [car]).data
        assert data is not None
        assert data.plate_votes["c"].readings == number + 1
    assert data is not None
    assert data.plate_by_detection["c"].text == "A812"
    assert data.plate_votes["c"].text == "AB12"


def test_somebody_who_grows_comes_nearer() -> None:
    pipeline = EnrichmentPipeline(FakeRunner(), looks=())
    for number in range(5):
        box = Box(60 - 2 * number, 55 - 4 * number, 70 + 2 * number, 75 + 4 * number)
        person = detection("p", box=box, track_id="1", time=NOON + timedelta(seconds=number))
        data = track(pipeline, [person]).data
    assert data is not None
    assert data.depth_analysis is not None
    assert data.depth_analysis.approaches["p"].movement == "approaching"


def test_findings_that_contradict_each_other_are_kept_and_ruled() -> None:
    street = VehicleClassificationResult("unknown", 0.95, {"background": 0.95}, None, None)
    result = enriched(
        FakeRunner(finds={"vehicle_classifier": lambda _box: street}), [detection("c", "car", confidence=0.5)], looks=()
    )
    assert [(conflict.detection_id, conflict.rule) for conflict in result.conflicts] == [("c", "no_vehicle")]
    assert result.vehicle_classifications == {"c": street}
    assert result.has_conflicts


def test_nobody_is_looked_up_without_a_gallery() -> None:
    result = enriched(FakeRunner(), PEOPLE, looks=())
    assert result.person_reid_matches == {}
    assert not result.has_reid_matches
    assert "gallery" not in result.skipped.get("p1", {})


class WithCLIP(FakeRunner):
    """CLIP sees the same in every vehicle."""

    async def run(self, call: ModelCall) -> list[Outcome]:
        outcomes = await super().run(call)
        if call.model != "clip":
            return outcomes
        vector = np.zeros(768, np.float32)
        vector[3] = 1.0
        found = CLIPResult(vector, "clip", "sha256:0", "224")
        return [Outcome(call.model, found, weights="real") for _ in outcomes]


@pytest.mark.parametrize("gallery", [None, MemoryGallery(thresholds={"made up": 0.7})], ids=["scene", "vehicles"])
def test_a_model_that_is_asked_beside_the_plan_says_whose_weights_it_has(gallery: Gallery | None) -> None:
    looks = None if gallery is None else ()
    pipeline = EnrichmentPipeline(WithCLIP(), gallery=gallery, looks=looks)
    tracked = track(pipeline, [detection("c", "car")])
    assert tracked.weights["clip"] == "real"
    assert "clip" in tracked.successful_models
    assert tracked.status is EnrichmentStatus.FULL


def test_people_and_vehicles_are_recognised_in_the_next_batch() -> None:
    gallery = MemoryGallery(thresholds={"made up": 0.7})
    pipeline = EnrichmentPipeline(WithCLIP(finds={"license_plate_detector": nothing}), gallery=gallery, looks=())
    batches = []
    for minutes in (0, 10):
        when = NOON + timedelta(minutes=minutes)
        data = track(pipeline, [detection("p", time=when), detection("c", "car", time=when)]).data
        assert data is not None
        batches.append(data)
    first, second = batches
    assert (first.person_reid_matches, first.vehicle_reid_matches) == ({"p": []}, {"c": []})
    assert not first.has_reid_matches
    assert [match.sighting_count for match in second.person_reid_matches["p"]] == [1]
    assert [match.kind for match in second.vehicle_reid_matches["c"]] == ["vehicle"]
    assert second.has_reid_matches


def test_who_lives_here_is_named_with_how() -> None:
    gallery = MemoryGallery(thresholds={"made up": 0.7})
    looks_like = answer("person_reid", INSIDE)
    member = HouseholdMember("Ada", "person", (Embedding(looks_like.embedding, "made up"),))
    car = HouseholdMember("the van", "vehicle", plate=answer("plate_ocr", inner(INSIDE)).text)

    async def scenario() -> EnrichmentResult:
        await gallery.add_member(member)
        await gallery.add_member(car)
        pipeline = EnrichmentPipeline(FakeRunner(), gallery=gallery, looks=())
        return await pipeline.enrich_batch([detection("p"), detection("c", "car")], {None: picture()}, "porch")

    result = asyncio.run(scenario())
    assert [(m.name, m.how, m.detection_id) for m in result.person_household_matches] == [("Ada", How.APPEARANCE, "p")]
    assert [(m.name, m.how, m.detection_id) for m in result.vehicle_household_matches] == [("the van", How.PLATE, "c")]
    assert result.has_household_matches


def test_a_plate_that_its_readings_do_not_decide_is_nobodys() -> None:
    texts = iter(["AB12", "AB72"])

    def read(box: Box) -> LicensePlateResult:
        text = next(texts)
        return LicensePlateResult(text, text, 0.9, box)

    async def scenario() -> list[EnrichmentResult]:
        gallery = MemoryGallery()
        await gallery.add_member(HouseholdMember("the van", "vehicle", plate="AB72"))
        pipeline = EnrichmentPipeline(FakeRunner(finds={"plate_ocr": read}), gallery=gallery, looks=())
        car = detection("c", "car", track_id="7")
        return [await pipeline.enrich_batch([car], {None: picture()}, "porch") for _ in range(2)]

    first, second = asyncio.run(scenario())
    assert first.vehicle_household_matches == []
    assert (second.plate_by_detection["c"].text, second.plate_votes["c"].text) == ("AB72", "")
    assert second.vehicle_household_matches == []


class BrokenGallery(MemoryGallery):
    """Its database is gone."""

    async def match(self, sighting: Any) -> Any:
        raise OSError("the database is gone")


def test_a_gallery_that_fails_costs_its_own_findings() -> None:
    broken: Gallery = BrokenGallery()
    without = enriched(FakeRunner(), PEOPLE, looks=())
    tracked = track(EnrichmentPipeline(FakeRunner(), gallery=broken, looks=()), PEOPLE)
    assert tracked.status is EnrichmentStatus.PARTIAL
    assert tracked.failed_models == []
    result = tracked.data
    assert result is not None
    assert result.pose_results == without.pose_results
    assert result.reid_embeddings == without.reid_embeddings
    assert {error.model for error in result.structured_errors} == {"gallery"}
    assert {error.detection_id for error in result.structured_errors} == {"p1", "p2"}
    assert all("the database is gone" in sentence for sentence in result.errors)


class HangingGallery(MemoryGallery):
    """Its database does not answer."""

    async def match(self, sighting: Any) -> Any:
        await asyncio.Event().wait()


def test_a_gallery_that_hangs_is_left_alone_when_the_deadline_passes() -> None:
    without = enriched(FakeRunner(), PEOPLE, looks=())
    result = enriched(FakeRunner(), PEOPLE, gallery=HangingGallery(), looks=(), timeout_s=0.3)
    assert result.pose_results == without.pose_results
    assert [(error.model, error.category) for error in result.structured_errors] == [
        ("conclusions", "deadline_exceeded")
    ]


def test_somebody_who_lives_here_is_named_in_each_picture_of_a_batch() -> None:
    gallery = MemoryGallery(thresholds={"made up": 0.7})
    looks_like = answer("person_reid", INSIDE)

    async def scenario(images: dict[str | None, Any]) -> list[str | None]:
        pipeline = EnrichmentPipeline(FakeRunner(), gallery=gallery, looks=())
        result = await pipeline.enrich_batch([detection("a"), detection("b")], images, "porch")
        return [match.detection_id for match in result.person_household_matches]

    asyncio.run(gallery.add_member(HouseholdMember("Ada", "person", (Embedding(looks_like.embedding, "made up"),))))
    assert asyncio.run(scenario({"a": picture(), "b": picture()})) == ["a", "b"]
    # Two crops of one frame show two people.
    assert len(asyncio.run(scenario({None: picture(), "a": picture(), "b": picture()}))) <= 1


def test_a_conclusion_that_breaks_costs_itself() -> None:
    """A pose without a number breaks whoever compares it; everything that was found is still there."""
    posture: Any = None
    strange = {"pose_estimator": lambda box: PoseResult((), posture, float("nan"), (), box)}
    result = enriched(FakeRunner(finds=strange), PEOPLE, looks=())
    assert set(result.pose_results) == {"p1", "p2"}
    assert result.weather_classification == WeatherResult("rain", 0.7, {"rain": 0.7, "sun": 0.3})
    assert {error.model for error in result.structured_errors} <= {"conclusions"}
