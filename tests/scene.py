"""Pictures, detections, what models say about them, and a runner that says it: a scene without any network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as PILImage

from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, ImageError, UnknownModel
from hearthwatch.models import (
    ENHANCED_CLOTHING_PROMPTS,
    ActionResult,
    CLIPResult,
    DemographicsResult,
    DepthResult,
    FaceResult,
    Keypoint,
    LicensePlateResult,
    PetClassificationResult,
    PoseResult,
    ReIDResult,
    ThreatDetection,
    ThreatResult,
    VehicleClassificationResult,
    VehicleDamage,
    VehicleDamageResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.models.clothing import judge, matches
from hearthwatch.models.face_detector import LANDMARKS
from hearthwatch.models.scene_text import SceneLine, SceneText
from hearthwatch.models.yolo26 import Detection
from hearthwatch.pipeline import DetectionInput
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.paint import Paint
from hearthwatch.vision.picture import Picture

WIDTH, HEIGHT = 160, 120
INSIDE = Box(20, 10, 60, 110)
#: A posture's confidence in these tests.
SURE = 0.9


def photo(width: int = WIDTH, height: int = HEIGHT, name: str = "JPEG") -> bytes:
    """A small picture with enough in it that a file cut in half lacks pixels."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 7 % 256, y * 11 % 256, (x * y) % 256], axis=2).astype(np.uint8)
    file = BytesIO()
    PILImage.fromarray(pixels).save(file, name)
    return file.getvalue()


def cut_off() -> bytes:
    """A JPEG that begins and ends as one should and lacks half of its pixels: only decoding finds out."""
    data = photo()
    return data[: len(data) // 2] + b"\xff\xd9"


def detection(key: str, class_name: str = "person", box: Box = INSIDE, **fields: Any) -> DetectionInput:
    return DetectionInput(key, class_name, fields.pop("confidence", SURE), box, **fields)


def pose(
    posture: str = "standing",
    *,
    wrist: tuple[float, float] | None = None,
    wrist_confidence: float = SURE,
    alerts: tuple[str, ...] = (),
) -> PoseResult:
    """A pose with nothing but one wrist, which is all that anybody looks at here."""
    joints = () if wrist is None else (Keypoint("left_wrist", *wrist, wrist_confidence),)
    return PoseResult(joints, posture, SURE, alerts, None)


def inner(box: Box) -> Box:
    """The middle of a box: where a plate or a face would be."""
    dx, dy = box.width / 4, box.height / 4
    return Box(box.x1 + dx, box.y1 + dy, box.x2 - dx, box.y2 - dy)


#: What models find in any box.
EVERYWHERE: Mapping[str, Any] = {
    "violence_detector": ViolenceDetectionResult(is_violent=True, confidence=0.7),
    "weather_classifier": WeatherResult("rain", 0.7, {"rain": 0.7, "sun": 0.3}),
    "action_recognizer": ActionResult({"person walking": 0.8, "person running": 0.2}),
    "pet_classifier": PetClassificationResult("cat", "unknown", SURE, is_household_pet=True),
    "vehicle_classifier": VehicleClassificationResult("work_van", SURE, {"work_van": SURE}, "white", 0.7),
    "fashion_clip": judge(
        matches({group: [0.0] * len(texts) for group, texts in ENHANCED_CLOTHING_PROMPTS.items()}), Paint("red", 0.7)
    ),
}


@cache
def answer(model: str, box: Box) -> Any:
    """What a model finds in a box: always the same object for the same question, so that answers can be compared."""
    if model == "pose_estimator":
        return PoseResult((Keypoint("left_wrist", box.x1, box.y1, SURE),), "standing", SURE, (), box)
    if model == "threat_detector":
        return ThreatResult((ThreatDetection("knife", 0.7, inner(box), "high"),))
    if model == "person_reid":
        vector = np.zeros(512, np.float32)
        vector[int(box.x1 + box.y1) % 512] = 1.0
        return ReIDResult(vector, space="made up")
    if model in EVERYWHERE:
        return EVERYWHERE[model]
    if model == "depth_estimator":
        depth = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        return DepthResult(depth, (0.0, 0.0, WIDTH, HEIGHT), 0.0, 1.0, box=box)
    if model == "license_plate_detector":
        return Detection("license_plate", SURE, inner(box))
    if model == "plate_ocr":
        return LicensePlateResult(f"AB{box.x1:.0f}", f"ab {box.x1:.0f}", 0.8, box)
    if model == "vehicle_damage":
        return VehicleDamageResult((VehicleDamage("dent", 0.8, inner(box), 0.25),))
    return _of_the_whole(model, box) or _of_a_face(model, box) or f"{model} of {tuple(box)}"


def _of_the_whole(model: str, box: Box) -> Any:
    if model == "clip":
        vector = np.zeros(768, np.float32)
        vector[0] = 1.0
        return CLIPResult(vector, "clip", "sha256:0", "224")
    if model == "scene_text":
        return SceneText((SceneLine("NO PARKING", 0.9, inner(box)),))
    return None


def _of_a_face(model: str, box: Box) -> Any:
    if model == "face_detector":
        return FaceResult(inner(box), SURE, ((box.x1, box.y1),) * len(LANDMARKS))
    if model == "demographics":
        return DemographicsResult("20-29", "young_adult", 0.8, "female", SURE, {"20-29": 0.8, "female": SURE})
    return None


def nothing(_box: Box) -> None:
    """For `FakeRunner.finds`: the model looks and finds nothing."""


@dataclass
class FakeRunner:
    """A `Runner` without networks. It decodes the picture in a thread, counts its calls, and misbehaves where told to.

    Attributes:
        finds: a model's findings by box, instead of `answer`; without boxes it is asked about the whole picture.
        lacks: models that it does not offer.
        fails: models that answer with this error.
        breaks: models for which `run` raises, which no runner may do.
        miscounts: models that give one answer too few.
        waits: models that answer only once the event is set.
        calls: every question, in order.
        answered: the model of every answer, in order.
    """

    finds: Mapping[str, Callable[[Box], Any]] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    fails: Mapping[str, HearthwatchError] = field(default_factory=dict)
    breaks: Mapping[str, Exception] = field(default_factory=dict)
    miscounts: frozenset[str] = frozenset()
    waits: Mapping[str, asyncio.Event] = field(default_factory=dict)
    calls: list[ModelCall] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def offers(self, model: str) -> bool:
        return model not in self.lacks

    async def run(self, call: ModelCall) -> list[Outcome]:
        self.calls.append(call)
        if call.model in self.waits:
            await self.waits[call.model].wait()
        if call.model in self.breaks:
            raise self.breaks[call.model]
        error = self._error(call)
        assert call.picture is not None
        try:
            await asyncio.to_thread(call.picture.image)
        except ImageError as unreadable:
            error = unreadable
        self.answered.append(call.model)
        self._news.set()
        if error is not None:
            return [Outcome(call.model, error=error)] * max(1, len(call.boxes))
        boxes = call.boxes or (Box(0, 0, *call.picture.size),)
        find = self.finds.get(call.model) or partial(answer, call.model)
        timings = CallTimings(preprocess_ms=0.5, infer_ms=1.0, postprocess_ms=0.5)
        outcomes = [Outcome(call.model, find(box), weights="real", timings=timings) for box in boxes]
        return outcomes[:-1] if call.model in self.miscounts else outcomes

    def asked(self, model: str) -> list[ModelCall]:
        """The questions to one model."""
        return [call for call in self.calls if call.model == model]

    async def until_answered(self, models: set[str]) -> None:
        """Wait until exactly these have answered."""
        while set(self.answered) != models:
            self._news.clear()
            await self._news.wait()

    def _error(self, call: ModelCall) -> HearthwatchError | None:
        if not self.offers(call.model):
            return UnknownModel(f"there is no model {call.model!r}")
        if call.deadline is not None and time.monotonic() >= call.deadline:
            return DeadlineExceeded(f"the deadline passed before {call.model} began")
        return self.fails.get(call.model)


def picture(data: bytes | None = None) -> Picture:
    return Picture(photo() if data is None else data)
