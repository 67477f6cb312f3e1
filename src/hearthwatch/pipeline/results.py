"""The pipeline's types: what goes in, what comes out, and what failed on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from hearthwatch.errors import BadBox, InputError
from hearthwatch.models import FaceResult, LicensePlateResult, PoseResult, ReIDResult
from hearthwatch.vision.boxes import Box, parse_box


class EnrichmentStatus(StrEnum):
    """How an enrichment went."""

    FULL = "full"  #: every model that was asked answered
    PARTIAL = "partial"  #: some answered, some failed
    FAILED = "failed"  #: all failed
    SKIPPED = "skipped"  #: none was asked


@dataclass(frozen=True, slots=True)
class DetectionInput:
    """One detection, with what the application knows about it.

    Attributes:
        id: unique within the batch.
        class_name: the detector's word.
        confidence: 0..1.
        bbox: xyxy in pixels of the picture, or of `source_size` where that is given.
        face_visible: the application saw a face.
        face_bbox: where, in the same pixels.
        suspicious_score: 0..100; above 50 is suspicious.
        track_id: of the application's tracker.
        camera: which one.
        time: when.
        zones: names of zones that the box is in.
        dwell_s: seconds in view.
        stationary: it does not move.
        source_size: (width, height) that `bbox` refers to, when it is not the picture that is sent.
        known: who the application says it is.
        plate: a plate that the application read.
    """

    id: str
    class_name: str
    confidence: float
    bbox: Box
    face_visible: bool = False
    face_bbox: Box | None = None
    suspicious_score: float = 0.0
    track_id: str | None = None
    camera: str | None = None
    time: datetime | None = None
    zones: tuple[str, ...] = ()
    dwell_s: float | None = None
    stationary: bool | None = None
    source_size: tuple[float, float] | None = None
    known: str | None = None
    plate: str | None = None

    @classmethod
    def of(cls, value: DetectionInput | Mapping[str, Any], index: int = 0) -> DetectionInput:
        """A detection from its documented dictionary: `label` (or `class_name`, `class`), `bbox`, and the fields above.

        Args:
            value: the dictionary; unknown keys are ignored.
            index: its place in the batch, the id where it has none.

        Raises:
            BadBox: the box is none.
            InputError: no class, or a field of the wrong type.
        """
        if isinstance(value, DetectionInput):
            return value
        name = value.get("class_name") or value.get("class") or value.get("label")
        if not isinstance(name, str):
            raise InputError(f"detection {index} has no class (key class_name, class or label)")
        if "bbox" not in value:
            raise BadBox(f"detection {index} ({name}) has no bbox")
        optional = {key: value[key] for key in _OPTIONAL if value.get(key) is not None}
        try:
            return cls(
                id=str(value.get("id", index)),
                class_name=name,
                confidence=float(value.get("confidence", 1.0)),
                bbox=parse_box(value["bbox"]),
                **{key: read(optional[key]) for key, read in _OPTIONAL.items() if key in optional},
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"detection {index} ({name}): {error}") from error

    def in_picture(self, width: float, height: float) -> DetectionInput:
        """The same with its boxes in pixels of a picture of that size, when they refer to another one."""
        if self.source_size is None:
            return self
        sx, sy = width / self.source_size[0], height / self.source_size[1]
        face = None if self.face_bbox is None else _scaled(self.face_bbox, sx, sy)
        return replace(self, bbox=_scaled(self.bbox, sx, sy), face_bbox=face, source_size=None)


@dataclass(frozen=True, slots=True)
class EnrichmentError:
    """One failure.

    Attributes:
        model: who failed.
        detection_id: for which detection; None for the whole picture.
        category: the stable word of the error (`hearthwatch.errors`).
        message: a sentence.
    """

    model: str
    detection_id: str | None
    category: str
    message: str


@dataclass(slots=True)
class EnrichmentResult:
    """Everything that was found out about a batch of detections."""

    license_plates: list[LicensePlateResult] = field(default_factory=list)
    faces: list[FaceResult] = field(default_factory=list)
    pose_results: dict[str, PoseResult] = field(default_factory=dict)
    reid_embeddings: dict[str, ReIDResult] = field(default_factory=dict)
    face_by_detection: dict[str, FaceResult] = field(default_factory=dict)
    plate_by_detection: dict[str, LicensePlateResult] = field(default_factory=dict)
    skipped: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    structured_errors: list[EnrichmentError] = field(default_factory=list)
    processing_time_ms: float = 0.0

    @property
    def has_license_plates(self) -> bool:
        return bool(self.license_plates)

    @property
    def has_faces(self) -> bool:
        return bool(self.faces)


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


def _scaled(box: Box, sx: float, sy: float) -> Box:
    return Box(box.x1 * sx, box.y1 * sy, box.x2 * sx, box.y2 * sy)


def _size(value: Any) -> tuple[float, float]:
    width, height = (float(side) for side in value)
    if not (width > 0 and height > 0):
        raise ValueError(f"source_size {value!r} must be two numbers above 0")
    return width, height


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


#: The optional fields of a detection's dictionary and how each is read.
_OPTIONAL: Mapping[str, Callable[[Any], Any]] = {
    "face_visible": bool,
    "face_bbox": parse_box,
    "suspicious_score": float,
    "track_id": str,
    "camera": str,
    "time": _time,
    "zones": lambda value: tuple(str(zone) for zone in value),
    "dwell_s": float,
    "stationary": bool,
    "source_size": _size,
    "known": str,
    "plate": str,
}
