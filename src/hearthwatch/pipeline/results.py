"""The pipeline's results: what was found, and what failed on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearthwatch.enrichment.status import EnrichmentStatus
from hearthwatch.gallery import EntityMatch, HouseholdMatch
from hearthwatch.models import (
    ActionResult,
    ClothingClassificationResult,
    DemographicsResult,
    FaceResult,
    LicensePlateResult,
    ObjectDistance,
    PetClassificationResult,
    PoseResult,
    ReIDResult,
    ThreatResult,
    VehicleClassificationResult,
    VehicleDamageResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.pipeline.approach import Approach
from hearthwatch.pipeline.conflict import Conflict
from hearthwatch.pipeline.extraction import BatchExtractionResult
from hearthwatch.pipeline.image_quality import ImageQualityResult
from hearthwatch.pipeline.plates import PlateVote
from hearthwatch.pipeline.scene_change import SceneChangeResult
from hearthwatch.pipeline.threat_memory import RepeatedThreat


@dataclass(frozen=True, slots=True)
class EnrichmentError:
    """One failure.

    Attributes:
        model: who failed.
        detection_id: for which detection; None for the whole picture.
        category: the stable word of the error (`hearthwatch.errors`).
        message: a sentence.
        transient: asking again later may help.
    """

    model: str
    detection_id: str | None
    category: str
    message: str
    transient: bool = False


@dataclass(slots=True)
class DepthAnalysisResult:
    """How far the detections are, each relative to its own picture.

    Attributes:
        distances: by detection id.
        approaches: by detection id, which way those move that have a track.
    """

    distances: dict[str, ObjectDistance] = field(default_factory=dict)
    approaches: dict[str, Approach] = field(default_factory=dict)

    @property
    def closest_detection_id(self) -> str | None:
        """The detection that is nearest in its picture; None without any."""
        return min(self.distances, key=lambda key: self.distances[key].relative_depth, default=None)

    def to_context_string(self) -> str:
        """One line a detection, the nearest first."""
        ordered = sorted(self.distances.items(), key=lambda item: item[1].relative_depth)
        return "\n".join(f"{key}: {distance.to_context_string()}" for key, distance in ordered)


@dataclass(slots=True)
class EnrichmentResult:
    """Everything that was found out about a batch of detections.

    Every detection's id is in one of the dictionaries or in `structured_errors`: none is lost in silence.

    Attributes:
        license_plates: all that were read, with the detections that they belong to.
        faces: all that belong to a person.
        pose_results: by detection id; likewise `reid_embeddings`, `face_by_detection` and `plate_by_detection`.
        clothing_classifications: by detection id, for persons.
        demographics_results: by detection id, of people whose face is visible; an estimate that raises no risk.
        pet_classifications: by detection id, for cats and dogs.
        vehicle_classifications: by detection id, also of what the network takes for no vehicle.
        action_results: by detection id, what suspicious people do in several frames; None where nobody was watched.
        depth_analysis: how far the detections are; None where no depth was estimated.
        threat_results: by the id of each person that the weapon detector looked at, also of those without a weapon.
        scene_change: whether a camera's view has changed; like the next three, of the picture of a batch of which there
            is most to say.
        violence_detection: whether people fight; None where fewer than two are there.
        weather_classification: as it is in the picture.
        image_quality: how good the picture is to look at.
        vehicle_damage: by detection id, for vehicles.
        vision_extraction: writing in the pictures, and captions where somebody gives them.
        person_reid_matches: by detection id, whom of those seen before it may be, the best match first; likewise
            `vehicle_reid_matches`.
        person_household_matches: who of the household was seen; likewise `vehicle_household_matches`.
        conflicts: findings that contradict each other, with what holds; the findings are kept as they were.
        plate_votes: by detection id, what all frames of its track together read.
        repeated_threats: by detection id, those of the weapons at it, or at nobody in its picture, that several frames
            of the camera show; a weapon that the detector saw is under its own id.
        skipped: by detection id, the models that were not asked, with the reason.
        skipped_of_pictures: the same of models that look at a picture as a whole.
        nothing: by detection id, the models that answered and found nothing; empty where no model is meant for the
            detection's class.
        errors: what failed, as sentences.
        structured_errors: the same with model, detection and stable code.
    """

    license_plates: list[LicensePlateResult] = field(default_factory=list)
    faces: list[FaceResult] = field(default_factory=list)
    pose_results: dict[str, PoseResult] = field(default_factory=dict)
    threat_results: dict[str, ThreatResult] = field(default_factory=dict)
    clothing_classifications: dict[str, ClothingClassificationResult] = field(default_factory=dict)
    demographics_results: dict[str, DemographicsResult] = field(default_factory=dict)
    pet_classifications: dict[str, PetClassificationResult] = field(default_factory=dict)
    vehicle_classifications: dict[str, VehicleClassificationResult] = field(default_factory=dict)
    action_results: dict[str, ActionResult] | None = None
    depth_analysis: DepthAnalysisResult | None = None
    vision_extraction: BatchExtractionResult | None = None
    person_reid_matches: dict[str, list[EntityMatch]] = field(default_factory=dict)
    vehicle_reid_matches: dict[str, list[EntityMatch]] = field(default_factory=dict)
    person_household_matches: list[HouseholdMatch] = field(default_factory=list)
    vehicle_household_matches: list[HouseholdMatch] = field(default_factory=list)
    scene_change: SceneChangeResult | None = None
    violence_detection: ViolenceDetectionResult | None = None
    weather_classification: WeatherResult | None = None
    image_quality: ImageQualityResult | None = None
    vehicle_damage: dict[str, VehicleDamageResult] = field(default_factory=dict)
    reid_embeddings: dict[str, ReIDResult] = field(default_factory=dict)
    face_by_detection: dict[str, FaceResult] = field(default_factory=dict)
    plate_by_detection: dict[str, LicensePlateResult] = field(default_factory=dict)
    plate_votes: dict[str, PlateVote] = field(default_factory=dict)
    repeated_threats: dict[str, tuple[RepeatedThreat, ...]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    skipped: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped_of_pictures: dict[str, str] = field(default_factory=dict)
    nothing: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    structured_errors: list[EnrichmentError] = field(default_factory=list)
    processing_time_ms: float = 0.0

    @property
    def has_license_plates(self) -> bool:
        return bool(self.license_plates)

    @property
    def has_faces(self) -> bool:
        return bool(self.faces)

    @property
    def has_vision_extraction(self) -> bool:
        """Whether anything was read or described, plates aside."""
        told = self.vision_extraction
        return told is not None and bool(told.texts or told.captions)

    @property
    def has_reid_matches(self) -> bool:
        """Whether anybody, or a vehicle, was seen before; an empty list of matches is somebody new."""
        return any([*self.person_reid_matches.values(), *self.vehicle_reid_matches.values()])

    @property
    def has_household_matches(self) -> bool:
        return bool(self.person_household_matches or self.vehicle_household_matches)

    @property
    def has_scene_change(self) -> bool:
        """Whether the view has changed; False also where that is not known."""
        return self.scene_change is not None and self.scene_change.changed is True

    @property
    def has_violence(self) -> bool:
        return self.violence_detection is not None and self.violence_detection.is_violent

    @property
    def has_weather(self) -> bool:
        return self.weather_classification is not None

    @property
    def has_clothing_classifications(self) -> bool:
        return bool(self.clothing_classifications)

    @property
    def has_suspicious_clothing(self) -> bool:
        return any(result.is_suspicious for result in self.clothing_classifications.values())

    @property
    def has_vehicle_classifications(self) -> bool:
        return bool(self.vehicle_classifications)

    @property
    def has_vehicle_damage(self) -> bool:
        """Whether any damage was seen; a vehicle that was looked at and has none is not damaged."""
        return any(result.has_damage for result in self.vehicle_damage.values())

    @property
    def has_pet_classifications(self) -> bool:
        return bool(self.pet_classifications)

    @property
    def has_pose_results(self) -> bool:
        return bool(self.pose_results)

    @property
    def has_suspicious_poses(self) -> bool:
        return any(result.is_suspicious for result in self.pose_results.values())

    @property
    def has_action_results(self) -> bool:
        return bool(self.action_results)

    @property
    def has_depth_analysis(self) -> bool:
        return self.depth_analysis is not None

    @property
    def has_image_quality(self) -> bool:
        return self.image_quality is not None

    @property
    def has_quality_issues(self) -> bool:
        """Whether less can be seen than could be, or the camera may have been tampered with."""
        return self.image_quality is not None and bool(
            self.image_quality.faults or self.image_quality.possible_tampering
        )

    @property
    def has_conflicts(self) -> bool:
        return bool(self.conflicts)

    @property
    def has_errors(self) -> bool:
        return bool(self.structured_errors)

    @property
    def has_threats(self) -> bool:
        """Whether the weapon detector saw anything, at a person or elsewhere in a picture."""
        return any(result.has_threat or result.elsewhere for result in self.threat_results.values())


@dataclass(slots=True)
class EnrichmentTrackingResult:
    """An `EnrichmentResult` and how it went."""

    status: EnrichmentStatus = EnrichmentStatus.SKIPPED
    successful_models: list[str] = field(default_factory=list)
    failed_models: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    data: EnrichmentResult | None = None
    weights: dict[str, str] = field(default_factory=dict)
    timings_ms: dict[str, float] = field(default_factory=dict)
    infer_ms: dict[str, float] = field(default_factory=dict)

    @property
    def has_data(self) -> bool:
        return self.data is not None

    @property
    def is_partial(self) -> bool:
        """Some models succeeded and some failed."""
        return self.status == EnrichmentStatus.PARTIAL

    @property
    def success_rate(self) -> float:
        """Share of the models asked that answered, 0..1; 1.0 where none was asked."""
        total = len(self.successful_models) + len(self.failed_models)
        return len(self.successful_models) / total if total else 1.0
