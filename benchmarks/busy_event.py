"""An event about which everything is known that can be: far more than a home camera's picture mostly has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hearthwatch.gallery import EntityMatch, How
from hearthwatch.models import (
    ENHANCED_CLOTHING_PROMPTS,
    ClothingClassificationResult,
    DemographicsResult,
    FaceResult,
    LicensePlateResult,
    ObjectDistance,
    PetClassificationResult,
    PoseResult,
    ThreatResult,
    VehicleClassificationResult,
    VehicleDamageResult,
    WeatherResult,
)
from hearthwatch.models.clothing import judge, matches
from hearthwatch.pipeline import DepthAnalysisResult, DetectionInput, EnrichmentResult
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.paint import Paint

WHEN = datetime(2026, 1, 3, 23, 15)  # noqa: DTZ001 - events have the local time of their camera
#: In turns, as a street has them; what is none of them is an object without a network of its own.
KINDS = ("person", "car", "person", "dog", "person", "truck", "person", "cat", "car", "bench")
CAMERA = "Front door"
_SURE = 0.87


@dataclass(frozen=True, slots=True)
class BusyEvent:
    """What a judgement is made of.

    Attributes:
        detections: with boxes in picture pixels.
        known: everything that was found out.
        when: local time.
    """

    detections: Sequence[DetectionInput]
    known: EnrichmentResult
    when: datetime = WHEN


def busy_event(detections: int, seed: int = 0) -> BusyEvent:
    """One event.

    Args:
        detections: how many.
        seed: moves numbers and names, so that two events differ as two events do.
    """
    boxes = [Box(10.0 * i + seed, 20.0, 10.0 * i + seed + 60, 220.0) for i in range(detections)]
    found = [
        DetectionInput(f"{kind}-{i + 1}", kind, _SURE, box, zones=("drive",), dwell_s=12.0 + seed + i, camera=CAMERA)
        for i, (box, kind) in enumerate(zip(boxes, _kinds(detections), strict=True))
    ]
    people, cars = _of(found, "person"), [*_of(found, "car"), *_of(found, "truck")]
    pets = [*_of(found, "dog"), *_of(found, "cat")]
    plates = {one.id: LicensePlateResult(f"KL{seed:02}{i:03}", f"KL {seed:02}{i:03}", 0.9, one.bbox, vehicle_id=one.id)
              for i, one in enumerate(cars)}  # fmt: skip
    return BusyEvent(
        found,
        EnrichmentResult(
            license_plates=list(plates.values()),
            plate_by_detection=plates,
            pose_results={one.id: _pose(one, seed + i) for i, one in enumerate(people)},
            threat_results={one.id: ThreatResult() for one in people},
            face_by_detection={one.id: FaceResult(one.bbox, 0.9, ()) for one in people[::2]},
            clothing_classifications={one.id: _clothes(seed + i) for i, one in enumerate(people)},
            demographics_results={one.id: _looks() for one in people[::2]},
            person_reid_matches={one.id: [_seen(one.id, seed + i)] for i, one in enumerate(people)},
            vehicle_classifications={one.id: VehicleClassificationResult("car", 0.9, color="red") for one in cars},
            vehicle_damage={one.id: VehicleDamageResult() for one in cars},
            pet_classifications={
                one.id: PetClassificationResult("dog", "unknown", 0.9, is_household_pet=True) for one in pets
            },
            depth_analysis=DepthAnalysisResult({one.id: ObjectDistance(0.3, 2.8, "close") for one in found}),
            weather_classification=WeatherResult("rain", 0.8, {"rain": 0.8}),
            skipped={one.id: {"action_recognizer": "one picture shows no movement"} for one in people},
        ),
    )


def _kinds(number: int) -> list[str]:
    return [KINDS[i % len(KINDS)] for i in range(number)]


def _of(found: Sequence[DetectionInput], kind: str) -> list[DetectionInput]:
    return [one for one in found if one.class_name == kind]


def _pose(one: DetectionInput, number: int) -> PoseResult:
    posture, alerts = (("crouching", ("crouching",)), ("walking", ()))[number % 2]
    return PoseResult((), posture, _SURE, tuple(alerts), one.bbox)


def _clothes(number: int) -> ClothingClassificationResult:
    worn = ("backpack", "ski mask", "suit", "hoodie")[number % 4]
    cosines = {
        group: [8.0 if worn in text else 0.0 for text in texts] for group, texts in ENHANCED_CLOTHING_PROMPTS.items()
    }
    return judge(matches(cosines), Paint("red", 0.8))


def _looks() -> DemographicsResult:
    return DemographicsResult("30-39", "adult", 0.7, "female", 0.8, {})


def _seen(key: str, number: int) -> EntityMatch:
    return EntityMatch(f"entity-{key}", "person", How.APPEARANCE, 0.8, 0.2, 1 + number % 5, WHEN, WHEN, CAMERA, "test")
