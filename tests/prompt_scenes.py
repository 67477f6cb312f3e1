"""Ten events from our own types, and the prompts that they become: run as a script, it writes these anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from events import clothes, face, plate, pose
from hearthwatch.gallery import EntityMatch, HouseholdMatch, How
from hearthwatch.models import (
    ActionResult,
    DemographicsResult,
    ObjectDistance,
    PetClassificationResult,
    ThreatDetection,
    ThreatResult,
    VehicleClassificationResult,
    VehicleDamage,
    VehicleDamageResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.pipeline import DepthAnalysisResult, DetectionInput, EnrichmentError, EnrichmentResult
from hearthwatch.pipeline.approach import Approach
from hearthwatch.pipeline.conflict import Conflict, Statement
from hearthwatch.pipeline.extraction import (
    BatchExtractionResult,
    ExtractedObject,
    ExtractedText,
    PictureExtraction,
    extraction_of,
)
from hearthwatch.pipeline.plates import PlateVote
from hearthwatch.pipeline.scene_change import SceneChangeResult
from hearthwatch.prompt import Prompt, build_prompt, collect_facts
from hearthwatch.vision.boxes import Box
from prompt_signs import SIGNS

FOLDER = Path(__file__).parent / "golden" / "prompts"
NOON, NIGHT = datetime(2026, 5, 4, 12, 5), datetime(2026, 1, 3, 23, 15)  # noqa: DTZ001 - local time, as events have it
BEFORE = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
LEFT, RIGHT, CAR = Box(20, 60, 80, 220), Box(150, 70, 210, 230), Box(180, 120, 310, 220)


@dataclass(frozen=True)
class Made:
    """One event.

    Attributes:
        detections: in picture pixels.
        known: everything that was found out; None where nothing was attempted.
        when: local time.
        camera: its name.
    """

    detections: tuple[DetectionInput, ...] = ()
    known: EnrichmentResult | None = field(default_factory=EnrichmentResult)
    when: datetime | None = NOON
    camera: str | None = "Front door"

    def prompt(self, budget_tokens: int = 100_000) -> Prompt:
        scene = collect_facts(self.detections, self.known, self.when, self.camera)
        return build_prompt(scene, self.known, budget_tokens=budget_tokens)


def _delivery() -> Made:
    known = EnrichmentResult(
        pose_results={"person-1": pose(LEFT, "walking")},
        threat_results={"person-1": ThreatResult()},
        clothing_classifications={"person-1": clothes("UPS")},
        vehicle_classifications={"truck-1": VehicleClassificationResult("work_van", 0.92, color="brown")},
        plate_by_detection={"truck-1": plate(CAR, vehicle="truck-1")},
        person_reid_matches={"person-1": []},
        nothing={"person-1": ["face_detector"]},
        weather_classification=WeatherResult("rain", 0.81, {"rain": 0.81}),
    )
    seen = (DetectionInput("person-1", "person", 0.93, LEFT), DetectionInput("truck-1", "truck", 0.88, CAR))
    return Made(seen, known)


def _resident_and_stranger() -> Made:
    known = EnrichmentResult(
        pose_results={"person-1": pose(LEFT), "person-2": pose(RIGHT, "crouching", alerts=("crouching",))},
        face_by_detection={"person-1": face(LEFT)},
        person_household_matches=[HouseholdMatch("Ada", "person", How.FACE, 0.81, 0.3, "faces", "person-1")],
        person_reid_matches={"person-1": [], "person-2": []},
        clothing_classifications={"person-2": clothes("ski mask")},
    )
    people = (DetectionInput("person-1", "person", 0.93, LEFT), DetectionInput("person-2", "person", 0.71, RIGHT))
    return Made(people, known, NIGHT)


def _armed() -> Made:
    knife = ThreatDetection("knife", 0.9, Box(30, 120, 60, 160), "high")
    rifle = ThreatDetection("rifle", 0.55, Box(230, 20, 300, 40), "critical")
    known = EnrichmentResult(
        pose_results={"person-1": pose(LEFT)},
        threat_results={"person-1": ThreatResult((knife,), elsewhere=(rifle,))},
    )
    detection = DetectionInput("person-1", "person", 0.9, LEFT, zones=("front yard",), dwell_s=75.0)
    return Made((detection,), known, NIGHT)


def _vehicle() -> Made:
    known = EnrichmentResult(
        plate_by_detection={"car-1": plate(CAR)},
        plate_votes={"car-1": PlateVote("AB123CD", "AB123CD", 0.95, None, 4, 3)},
        vehicle_reid_matches={
            "car-1": [EntityMatch("v-7", "vehicle", How.PLATE, 1.0, None, 3, BEFORE, BEFORE, "Drive")]
        },
        vehicle_damage={"car-1": VehicleDamageResult((VehicleDamage("dent", 0.7, CAR, 0.1, ()),))},
        depth_analysis=DepthAnalysisResult(
            {"car-1": ObjectDistance(0.3, 2.8, "close")},
            {"car-1": Approach("approaching", "its distance fell in 3 pictures")},
        ),
    )
    return Made((DetectionInput("car-1", "car", 0.97, CAR, dwell_s=240.0),), known)


def _animals() -> Made:
    known = EnrichmentResult(
        pet_classifications={
            "dog-1": PetClassificationResult("dog", "unknown", 0.94, is_household_pet=True),
            "cat-1": PetClassificationResult("cat", "unknown", 0.2, is_household_pet=False),
        },
        skipped={"bird-1": {"pet_classifier": "a bird is neither a cat nor a dog"}},
    )
    names = (("dog-1", "dog", 0.9), ("cat-1", "cat", 0.6), ("bird-1", "bird", 0.7))
    return Made(tuple(DetectionInput(key, name, sure, RIGHT) for key, name, sure in names), known, None, None)


def _hostile() -> Made:
    written = (*SIGNS.values(),)
    texts = tuple(ExtractedText(sign, RIGHT, 0.9) for sign in written)
    picture = PictureExtraction(("person-1",), f"a man with a sign: {SIGNS['ChatML']}", (), texts)
    known = EnrichmentResult(
        plate_by_detection={"car-1": plate(CAR, SIGNS["an answer"])},
        vision_extraction=BatchExtractionResult([picture]),
        skipped={"person-1": {"person_reid": SIGNS["a transcript"]}},
    )
    person = DetectionInput("person-1", "person", 0.9, LEFT, known=SIGNS["a closed quote"], zones=(SIGNS["a fence"],))
    return Made((person, DetectionInput(SIGNS["Llama 2"], SIGNS["plain words"], 0.8, CAR)), known, NIGHT, SIGNS["zero"])


def _absent() -> Made:
    known = EnrichmentResult(
        pose_results={"person-1": pose(LEFT, "unknown")},
        skipped={
            "person-1": {
                "threat_detector": "no weights: `hearthwatch models pull threat_detector`",
                "fashion_clip": "no weights",
                "depth_estimator": "no weights",
            }
        },
        skipped_of_pictures={"weather_classifier": "the deadline was too short for it"},
        scene_change=SceneChangeResult(changed=None, reason="this camera has no baseline yet"),
        vision_extraction=BatchExtractionResult([extraction_of(["person-1"], None, {}, unread="no answer in 2 s")]),
        structured_errors=[
            EnrichmentError("person_reid", "person-1", "internal", "the engine stopped"),
            EnrichmentError("scene_text", None, "timed_out", "no answer in 2 s"),
        ],
    )
    return Made((DetectionInput("person-1", "person", 0.52, LEFT),), known, None)


def _fight() -> Made:
    known = EnrichmentResult(
        pose_results={"person-1": pose(LEFT, alerts=("arms_raised",)), "person-2": pose(RIGHT, "lying_down")},
        action_results={
            "person-1": ActionResult({"person fighting": 0.7, "person running": 0.2, "person hiding": 0.1}),
            "person-2": ActionResult({"person falling down": 0.6, "person hiding": 0.4}),
        },
        violence_detection=ViolenceDetectionResult(is_violent=True, confidence=0.83, category=None),
        demographics_results={"person-2": DemographicsResult("60-69", "senior", 0.7, "female", 0.9, {})},
        person_reid_matches={"person-1": [EntityMatch("p-2", "person", How.APPEARANCE, 0.79, 0.1, 1, BEFORE, BEFORE)]},
        scene_change=SceneChangeResult(changed=True, reason="the picture is unlike the usual one"),
        conflicts=[
            Conflict(
                "person-2",
                (Statement("pose_estimator", "lying down", 0.9), Statement("detector", "a box 60 px wide", 0.9)),
                None,
                "posture_shape",
                "both are sure: a part of the body, or somebody else's joints",
            )
        ],
    )
    people = (DetectionInput("person-1", "person", 0.93, LEFT), DetectionInput("person-2", "person", 0.71, RIGHT))
    return Made(people, known, NIGHT)


def _described() -> Made:
    objects = tuple(ExtractedObject(label, RIGHT) for label in ("box", "box", "crowbar"))
    picture = PictureExtraction(
        ("person-1",), "A person stands before a red door.", objects, (ExtractedText("No parking", RIGHT, 0.93),), 2
    )
    known = EnrichmentResult(vision_extraction=BatchExtractionResult([picture]))
    return Made((DetectionInput("person-1", "person", 0.9, LEFT, known="Ada"),), known)


SCENES: Mapping[str, Callable[[], Made]] = {
    "nothing": lambda: Made((), None, None, None),
    "delivery": _delivery,
    "resident_and_stranger": _resident_and_stranger,
    "armed": _armed,
    "vehicle": _vehicle,
    "animals": _animals,
    "hostile": _hostile,
    "absent": _absent,
    "fight": _fight,
    "described": _described,
}


def write() -> None:
    """The prompts of all scenes into their files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, made in SCENES.items():
        prompt = made().prompt()
        (FOLDER / f"{name}.txt").write_text(prompt.user + "\n", encoding="utf-8")
        (FOLDER / "system.txt").write_text(prompt.system + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
