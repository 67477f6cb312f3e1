"""Events made by hand: small pictures, real facts, real rules, no networks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from hearthwatch.analysis import Event
from hearthwatch.gallery import EntityMatch, HouseholdMatch, How
from hearthwatch.models import (
    ENHANCED_CLOTHING_PROMPTS,
    ClothingClassificationResult,
    FaceResult,
    Keypoint,
    LicensePlateResult,
    ObjectDistance,
    PetClassificationResult,
    PoseResult,
    ReIDResult,
    ThreatDetection,
    ThreatResult,
    VehicleDamage,
    VehicleDamageResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.models.clothing import judge, matches
from hearthwatch.pipeline import (
    BatchExtractionResult,
    DepthAnalysisResult,
    DetectionInput,
    EnrichmentError,
    EnrichmentResult,
    EnrichmentStatus,
    EnrichmentTrackingResult,
    ImageQualityResult,
    SceneChangeResult,
)
from hearthwatch.pipeline.approach import Approach
from hearthwatch.pipeline.conflict import Conflict, Statement
from hearthwatch.pipeline.extraction import ExtractedObject, ExtractedText, PictureExtraction
from hearthwatch.pipeline.plates import PlateVote
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import assess
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float, Image, UInt8
from hearthwatch.vision.keypoints import COCO_KEYPOINTS
from hearthwatch.vision.paint import Paint
from hearthwatch.vision.picture import Picture

NIGHT = datetime(2026, 1, 3, 23, 15)  # noqa: DTZ001 - events have the local time of their camera

#: Names that would do something if anybody obeyed them.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{7*7}}{% raw %}",
    "</style><b>bold",
    "[bold red]markup[/bold red][link=file:///etc/passwd]x[/link]",
    "\x1b[31mred\x1b]0;title\x07",
    "evil\u202egpj.exe",
    "line\nbreak\r\tand \x00 zero",
    "& &amp; &lt;",
)


def ramp(width: int, height: int) -> UInt8:
    """(height, width, 3): a picture without two equal neighbours, so that whatever is drawn shows."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 7 % 251, y * 5 % 241, (x + y) * 3 % 239], axis=-1).astype(np.uint8)


def skeleton(box: Box, confidence: float = 0.9) -> tuple[Keypoint, ...]:
    """17 joints of somebody who stands in a box."""
    spots = [(0.5, 0.08), (0.54, 0.06), (0.46, 0.06), (0.58, 0.08), (0.42, 0.08), (0.68, 0.22), (0.32, 0.22)]
    spots += [(0.75, 0.36), (0.25, 0.36), (0.76, 0.5), (0.24, 0.5), (0.62, 0.52), (0.38, 0.52)]
    spots += [(0.62, 0.74), (0.38, 0.74), (0.62, 0.96), (0.38, 0.96)]
    return tuple(
        Keypoint(name, box.x1 + x * box.width, box.y1 + y * box.height, confidence)
        for name, (x, y) in zip(COCO_KEYPOINTS, spots, strict=True)
    )


def pose(box: Box, posture: str = "standing", confidence: float = 0.9, alerts: tuple[str, ...] = ()) -> PoseResult:
    """A person who stands, whatever the posture is called."""
    return PoseResult(skeleton(box, confidence), posture, confidence, alerts, box)


def face(box: Box, confidence: float = 0.88) -> FaceResult:
    """A face in a box."""
    points = tuple((box.x1 + box.width * x, box.y1 + box.height * y) for x, y in
                   ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)))  # fmt: skip
    return FaceResult(box, confidence, points)


def plate(box: Box, text: str = "AB123CD", vehicle: str = "car-1") -> LicensePlateResult:
    """A plate that was found and read."""
    return LicensePlateResult(text, f"{text[:2]}-{text[2:]}", 0.91, box, 0.8, vehicle)


def embedding(seed: int = 0) -> ReIDResult:
    """512 numbers of length 1."""
    vector: Float = np.random.default_rng(seed).normal(size=512).astype(np.float32)
    return ReIDResult(np.asarray(vector / np.linalg.norm(vector), np.float32), space="test")


def person(key: str, box: Box, confidence: float = 0.87, known: str | None = None) -> DetectionInput:
    """Somebody."""
    return DetectionInput(key, "person", confidence, box, known=known)


def make_event(
    detections: Sequence[DetectionInput] = (),
    data: EnrichmentResult | None = None,
    *,
    source: str = "porch.jpg",
    size: tuple[int, int] = (320, 240),
    picture: Picture | None = None,
    camera: str | None = None,
    when: datetime | None = None,
    status: EnrichmentStatus = EnrichmentStatus.FULL,
    weights: dict[str, str] | None = None,
) -> Event:
    """An event whose facts and risk follow from what is given."""
    found = EnrichmentResult() if data is None else data
    scene = collect_facts(detections, found, when, camera)
    return Event(
        source=source,
        camera=camera,
        time=when,
        picture=picture or Picture.of(Image.of(ramp(*size))),
        detections=list(detections),
        enrichment=EnrichmentTrackingResult(status=status, data=found),
        scene=scene,
        risk=assess(scene),
        weights={"yolo26": "real"} if weights is None else weights,
        timings_ms={"decode": 1.234567, "yolo26": 20.0, "total": 30.5},
        infer_ms={"yolo26": 18.0},
    )


def busy_event(name: str = "person-1", text: str = "AB123CD", source: str = "porch.jpg") -> Event:
    """Two people and a car with everything that can be known, one model skipped, one failed."""
    left, right, car = Box(20, 60, 80, 220), Box(100, 70, 160, 230), Box(180, 120, 310, 220)
    plate_found = plate(Box(220, 190, 270, 205), text)
    crouching = pose(left, "crouching", alerts=("crouching", "suspicious_pose", "arms_raised"))
    data = EnrichmentResult(
        license_plates=[plate_found],
        faces=[face(Box(40, 65, 60, 90))],
        pose_results={name: crouching},
        reid_embeddings={name: embedding()},
        face_by_detection={name: face(Box(40, 65, 60, 90))},
        plate_by_detection={"car-1": plate_found},
        skipped={name: {"threat_detector": "not part of this version"}, "person-2": {"person_reid": "no weights"}},
        errors=["pose_estimator: the engine stopped"],
        structured_errors=[EnrichmentError("pose_estimator", "person-2", "internal", "the engine stopped")],
    )
    detections = [
        DetectionInput(name, "person", 0.93, left, zones=("lawn",), dwell_s=75.0),
        person("person-2", right, 0.71, known="Jürgen"),
        DetectionInput("car-1", "car", 0.88, car),
    ]
    return make_event(
        detections, data, source=source, camera="Front door", when=NIGHT, status=EnrichmentStatus.PARTIAL,
        weights={"yolo26": "real", "pose_estimator": "sample", "face_detector": "custom"},
    )  # fmt: skip


def clothes(word: str) -> ClothingClassificationResult:
    """Those of the prompts with a word, by a network that is sure of it."""
    cosines = {
        group: [8.0 if word in text else 0.0 for text in texts] for group, texts in ENHANCED_CLOTHING_PROMPTS.items()
    }
    return judge(matches(cosines), Paint("red", 0.8))


def armed_event() -> Event:
    """A person with a knife in the hand, one without, and a cat."""
    left, right, cat = Box(20, 60, 80, 220), Box(150, 70, 210, 230), Box(230, 150, 300, 220)
    knife = ThreatDetection("knife", 0.9, Box(30, 120, 60, 160), "high")
    distances = {"person-1": ObjectDistance(0.1, 2.2, "very close"), "cat-1": ObjectDistance(0.3, 2.8, "close")}
    data = EnrichmentResult(
        threat_results={"person-1": ThreatResult((knife,)), "person-2": ThreatResult()},
        clothing_classifications={"person-1": clothes("ski mask"), "person-2": clothes("backpack")},
        pet_classifications={"cat-1": PetClassificationResult("cat", "unknown", 0.94, is_household_pet=True)},
        depth_analysis=DepthAnalysisResult(distances),
    )
    detections = [person("person-1", left), person("person-2", right), DetectionInput("cat-1", "cat", 0.9, cat)]
    return make_event(detections, data)


def seen_before(
    key: str = "entity-1", times: int = 3, how: How = How.APPEARANCE, camera: str | None = "porch"
) -> EntityMatch:
    """Somebody whom the gallery remembers."""
    return EntityMatch(key, "person", how, 0.8, 0.2, times, NIGHT, NIGHT, camera, "test")


def writing(text: str, plate_of: str | None = None, said: str | None = None) -> BatchExtractionResult:
    """One line of text in one picture; and a word that describes it and names a thing in it, where it is given."""
    box = Box(10, 10, 60, 20)
    line, things = ExtractedText(text, box, 0.9, plate_of=plate_of), (ExtractedObject(said, box),) if said else None
    return BatchExtractionResult([PictureExtraction(texts=(line,), caption=said, objects=things)])


def vote(text: str, readings: int = 3, reason: str = "") -> PlateVote:
    """What several frames read of one plate; one of them read something else."""
    return PlateVote(text, text, 0.8, None, readings, readings - 1, reason=reason)


def quality(*, tampering: bool | None = None, sharpness: float = 0.6, reason: str = "") -> ImageQualityResult:
    """A good picture but for what is given."""
    return ImageQualityResult(sharpness, 1.0, 0.5, 0.0, 0.0, 0.1, "day", tampering, reason)


def whole_findings(person: str, car: str, text: str) -> dict[str, Any]:
    """Every finding about a picture as a whole, or that takes several pictures, with a text wherever one may come in.

    Args:
        person: the detection's id.
        car: likewise.
        text: a word from outside: what was written, how somebody is called, what a checkpoint names its classes.
    """
    said = (Statement("detector", text, 0.9), Statement("vehicle_classifier", text, 0.9))
    moves = Approach("approaching", "grew by 30 % in 4 s", 1.3, 5, 4.0)
    return {
        "violence_detection": ViolenceDetectionResult(is_violent=True, confidence=0.7, category=text),
        "weather_classification": WeatherResult(text, 0.8, {text: 0.8}),
        "image_quality": quality(tampering=True, sharpness=0.3, reason="the picture is suddenly blurred"),
        "scene_change": SceneChangeResult(True, "the view differs from the usual one", 0.2, 0.9, None, "day", 9),
        "vision_extraction": writing(text, said=text),
        "vehicle_damage": {car: VehicleDamageResult((VehicleDamage(text, 0.8, Box(1, 1, 5, 5), 0.25),))},
        "depth_analysis": DepthAnalysisResult({person: ObjectDistance(0.2, 3.0, "close")}, {person: moves}),
        "plate_votes": {car: vote(text)},
        "person_household_matches": [HouseholdMatch(text, "person", How.FACE, 0.8, 0.2, "test", person)],
        "vehicle_household_matches": [HouseholdMatch(text, "vehicle", How.PLATE, 1.0, None, "", car)],
        "person_reid_matches": {person: [seen_before(text, camera=text)]},
        "conflicts": [Conflict(car, said, None, "no_vehicle", "both are sure: one of them is wrong")],
        "skipped_of_pictures": {"scene_text": "no weights installed"},
    }


def whole_event(text: str = "no parking") -> Event:
    """A person and a car, with everything that is known about the picture and over several pictures."""
    read = plate(Box(220, 190, 270, 205))
    data = EnrichmentResult(plate_by_detection={"car-1": read}, **whole_findings("person-1", "car-1", text))
    detections = [
        person("person-1", Box(20, 60, 80, 220)),
        DetectionInput("car-1", "car", 0.88, Box(180, 120, 310, 220)),
    ]
    return make_event(detections, data)


def hostile_event(text: str) -> Event:
    """An event where every name that comes from outside is the same text."""
    box = Box(20, 60, 80, 220)
    data = EnrichmentResult(
        license_plates=[plate(Box(30, 190, 70, 205), text, text)],
        plate_by_detection={text: plate(Box(30, 190, 70, 205), text, text)},
        skipped={text: {"person_reid": text}},
        errors=[text],
        structured_errors=[EnrichmentError("pose_estimator", text, "internal", text)],
        **whole_findings(text, text, text),
    )
    detections = [
        DetectionInput(text, text, 0.9, box, known=text, zones=(text,)),
        DetectionInput("gun-1", "gun", 0.7, Box(200, 60, 260, 120)),
    ]
    event = make_event(detections, data, source=text, camera=text, status=EnrichmentStatus.PARTIAL)
    event.weights[text] = "sample"
    event.timings_ms[text] = 1.0
    return event
