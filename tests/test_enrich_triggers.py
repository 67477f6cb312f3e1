"""What is asked for because of what is seen: ages of visible faces, actions of suspicious people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from events import skeleton
from hearthwatch.enrichment import DetectionEnrichment, Outcome, PictureEnrichment, enrich_picture
from hearthwatch.enrichment.frames import Frame
from hearthwatch.errors import ImageError, InferenceFailed, NotAnImage
from hearthwatch.models import PoseResult, ThreatResult
from hearthwatch.pipeline import DetectionInput
from hearthwatch.selection import models_of_picture
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.faces import head_box
from hearthwatch.vision.picture import Picture
from scene import FakeRunner, answer, cut_off, detection, inner, nothing, photo, picture

#: The left one is broad enough for its joints to show a face that is large enough.
LEFT, RIGHT = Box(0, 5, 110, 115), Box(85, 5, 155, 115)
FACE = Box(20, 15, 45, 45)
#: About a person whose face somebody has shown, while posture and faces are still looked for.
ASKED_AT_ONCE = (
    "threat_detector",
    "fashion_clip",
    "person_reid",
    "depth_estimator",
    "demographics",
    *models_of_picture(["person"]),
)


def standing(box: Box, posture: str = "standing") -> PoseResult:
    return PoseResult(skeleton(box), posture, 0.9, (), box)


#: Nobody sees anything worth a second look.
CALM: dict[str, Callable[[Box], Any]] = {"threat_detector": lambda _box: ThreatResult(), "pose_estimator": standing}


def enrich(
    runner: FakeRunner, subjects: Sequence[DetectionInput], frames: Sequence[Frame] = (), **options: Any
) -> PictureEnrichment:
    return asyncio.run(enrich_picture(runner, picture(), subjects, frames=frames, **options))


def only(enrichment: PictureEnrichment) -> DetectionEnrichment:
    (found,) = enrichment.detections.values()
    return found


class TestFaces:
    def test_a_person_whose_face_is_not_visible_is_asked_no_age(self) -> None:
        runner = FakeRunner(finds={"face_detector": nothing})
        found = only(enrich(runner, [detection("p")]))
        assert runner.asked("demographics") == []
        assert "demographics" not in found.skipped

    def test_the_callers_box_of_a_face_comes_first_and_nobody_waits(self) -> None:
        async def scenario() -> PictureEnrichment:
            hanging = asyncio.Event()
            runner = FakeRunner(waits={"pose_estimator": hanging, "face_detector": hanging})
            subject = detection("p", box=LEFT, face_visible=True, face_bbox=FACE)
            task = asyncio.create_task(enrich_picture(runner, picture(), [subject]))
            async with asyncio.timeout(30):
                await runner.until_answered(set(ASKED_AT_ONCE))
            assert runner.asked("demographics")[0].boxes == (FACE,)
            hanging.set()
            return await task

        assert only(asyncio.run(scenario())).results["demographics"] is answer("demographics", FACE)

    def test_then_the_joints_of_the_head_then_the_detector(self) -> None:
        runner = FakeRunner(finds={"pose_estimator": lambda box: standing(box) if box == LEFT else None})
        subjects = [detection("l", box=LEFT, face_visible=True), detection("r", box=RIGHT, face_visible=True)]
        enrich(runner, subjects)
        (call,) = runner.asked("demographics")
        head = head_box(standing(LEFT).as_array())
        assert head is not None
        assert list(call.boxes[0]) == pytest.approx(list(head))
        assert call.boxes[1:] == (inner(RIGHT),)

    def test_the_detector_is_asked_only_where_the_joints_show_no_face(self) -> None:
        for posed, asked in ((standing, []), (nothing, [(LEFT,)])):
            runner = FakeRunner(finds={"pose_estimator": posed})
            found = only(enrich(runner, [detection("p", box=LEFT, face_visible=True)], beside=False))
            assert [call.boxes for call in runner.asked("face_detector")] == asked
            assert "demographics" in found.results

    def test_a_visible_face_that_nobody_finds_has_a_reason(self) -> None:
        hidden = {"pose_estimator": nothing, "face_detector": nothing}
        found = only(enrich(FakeRunner(finds=hidden), [detection("p", face_visible=True)]))
        assert found.skipped["demographics"].endswith("the face detector found none")
        without = FakeRunner(finds=hidden, lacks=frozenset({"face_detector"}))
        found = only(enrich(without, [detection("p", face_visible=True)], beside=False))
        assert found.skipped["demographics"].endswith("there is no face detector here")

    def test_a_detector_that_failed_is_not_said_to_have_found_none(self) -> None:
        runner = FakeRunner(finds={"pose_estimator": nothing}, fails={"face_detector": InferenceFailed("broken")})
        for beside in (True, False):
            found = only(enrich(runner, [detection("p", face_visible=True)], beside=beside))
            assert found.skipped["demographics"].endswith("the face detector gave no answer")

    def test_a_head_too_small_by_its_joints_is_told_by_its_size_and_not_looked_for_again(self) -> None:
        runner = FakeRunner(finds={"pose_estimator": standing})
        found = only(enrich(runner, [detection("p", face_visible=True)], beside=False))
        assert "px, and at least 20 are needed" in found.skipped["demographics"]
        assert runner.asked("face_detector") == []

    def test_a_face_too_small_to_show_an_age_has_a_reason_and_one_outside_an_error(self) -> None:
        small, outside = Box(20, 20, 30, 32), Box(500, 500, 560, 560)
        subjects = [
            detection("s", face_bbox=small), detection("o", face_bbox=outside), detection("f", face_bbox=FACE),
        ]  # fmt: skip
        enrichment = enrich(FakeRunner(), subjects)
        assert "10 x 12 px" in enrichment.detections["s"].skipped["demographics"]
        assert enrichment.detections["o"].errors["demographics"].code == "bad_box"
        assert "demographics" in enrichment.detections["f"].results

    def test_a_face_that_the_detector_sees_on_the_way_is_visible(self) -> None:
        found = only(enrich(FakeRunner(finds={"pose_estimator": nothing}), [detection("p", box=LEFT)]))
        assert found.results["demographics"] is answer("demographics", inner(LEFT))

    def test_where_nobody_offers_it_nothing_is_said_of_it(self) -> None:
        runner = FakeRunner(lacks=frozenset({"demographics"}))
        found = only(enrich(runner, [detection("p", face_visible=True)], beside=False))
        assert "demographics" not in {*found.results, *found.skipped, *found.errors, *found.nothing}
        assert runner.asked("face_detector") == []

    def test_only_people_have_an_age(self) -> None:
        runner = FakeRunner()
        enrich(runner, [detection("d", "dog", face_visible=True, face_bbox=FACE)])
        assert runner.asked("demographics") == []


class TestActions:
    frames = (picture(), picture(), picture())

    def test_a_suspicious_score_asks_at_once_about_the_person_in_the_frames(self) -> None:
        runner = FakeRunner(finds=CALM)
        subject = detection("p", suspicious_score=50.1)
        found = only(enrich(runner, [subject], self.frames, labels=["person waving"]))
        (call,) = runner.asked("action_recognizer")
        assert (call.boxes, call.frames) == ((subject.bbox,), self.frames)
        assert dict(call.options) == {"labels": ("person waving",)}
        assert found.results["action_recognizer"] == answer("action_recognizer", subject.bbox)

    @pytest.mark.parametrize("score", [0.0, 50.0])
    def test_nobody_suspicious_asks_nobody(self, score: float) -> None:
        runner = FakeRunner(finds=CALM)
        found = only(enrich(runner, [detection("p", suspicious_score=score)], self.frames))
        assert runner.asked("action_recognizer") == []
        assert "action_recognizer" not in found.skipped

    @pytest.mark.parametrize("posture", ["crouching", "crawling", "lying_down", "hiding", "reaching_up"])
    def test_a_suspicious_posture_on_the_way_asks(self, posture: str) -> None:
        finds = {**CALM, "pose_estimator": lambda box: standing(box, posture if box == RIGHT else "walking")}
        runner = FakeRunner(finds=finds)
        enrich(runner, [detection("l", box=LEFT), detection("r", box=RIGHT)], self.frames)
        assert [call.boxes for call in runner.asked("action_recognizer")] == [(RIGHT,)]

    def test_a_weapon_on_the_way_asks(self) -> None:
        finds = {
            **CALM,
            "threat_detector": lambda box: answer("threat_detector", box) if box == LEFT else ThreatResult(),
        }
        runner = FakeRunner(finds=finds)
        enrich(runner, [detection("l", box=LEFT), detection("r", box=RIGHT)], self.frames)
        assert [call.boxes for call in runner.asked("action_recognizer")] == [(LEFT,)]

    def test_a_weapon_detector_that_failed_hides_no_posture(self) -> None:
        finds: dict[str, Callable[[Box], Any]] = {"pose_estimator": lambda box: standing(box, "crouching")}
        runner = FakeRunner(finds=finds, fails={"threat_detector": InferenceFailed("broken")})
        assert "action_recognizer" in only(enrich(runner, [detection("p")], self.frames)).results

    @pytest.mark.parametrize("count", [0, 1])
    def test_one_frame_shows_no_movement(self, count: int) -> None:
        runner = FakeRunner()
        enrich(runner, [detection("p", suspicious_score=90.0)], self.frames[:count])
        assert runner.asked("action_recognizer") == []

    @pytest.mark.parametrize("kind", ["car", "dog", "bench"])
    def test_only_people_act(self, kind: str) -> None:
        runner = FakeRunner()
        enrich(runner, [detection("x", kind, suspicious_score=90.0)], self.frames)
        assert runner.asked("action_recognizer") == []

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (NotAnImage("it is not base64"), "not_an_image"),
            (Picture(b"no picture"), "not_an_image"),
            (Picture(photo()[:30]), None),
        ],
        ids=["error", "text", "cut header"],
    )
    def test_a_frame_that_is_no_picture_costs_the_action_alone_and_is_named(self, bad: Frame, code: str | None) -> None:
        runner = FakeRunner()
        found = only(enrich(runner, [detection("p", suspicious_score=90.0)], [self.frames[0], bad]))
        error = found.errors["action_recognizer"]
        assert str(error).startswith("frame 1: ")
        assert code is None or error.code == code
        assert runner.asked("action_recognizer") == []
        assert {"threat_detector", "pose_estimator", "depth_estimator"} <= found.results.keys()

    def test_a_frame_that_cannot_be_decoded_is_named_and_the_picture_is_none_the_worse(self) -> None:
        class Decoding(FakeRunner):
            """Looks at every frame, as a model of several does."""

            async def run(self, call: Any) -> Any:
                outcomes = await super().run(call)
                try:
                    for frame in call.frames:
                        frame.image()
                except ImageError as error:
                    return [Outcome(call.model, error=error)] * len(outcomes)
                return outcomes

        frames = [*self.frames, Picture(cut_off())]
        found = only(enrich(Decoding(), [detection("p", suspicious_score=90.0)], frames))
        assert set(found.errors) == {"action_recognizer"}
        assert str(found.errors["action_recognizer"]).startswith("frame 3: ")
        assert found.errors["action_recognizer"].code == "image_truncated"
