"""Threat detector: weapons in a picture, and which person each is at.

Network  YOLOv8n (Ultralytics, 2023); any YOLO detector of weapons has the same interface.
Weights  Subh775/Threat-Detection-YOLOv8n; AGPL-3.0 as everything made from Ultralytics' weights. The class names are
         the checkpoint's own: another one orders, spells and chooses them differently.
Input    the whole picture, letterboxed to 640 x 640, RGB, 0..1.
Output   as `yolo26`.
Limits   One frame makes a candidate and no certainty. A small detector of 256 px, measured on 156 ordinary photographs,
         raised 4 alarms at confidence 0.5 and none at 0.8; of 86 weapons it found 58, and hardly a knife.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.base import Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.models.yolo26 import Detection, YoloDecoder
from hearthwatch.vision.boxes import Box, coverage
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec

Severity = Literal["critical", "high", "medium"]

#: Severity by the weights' own names (DESIGN.md's ruling); a name that is not here is `UNKNOWN_SEVERITY`.
SEVERITIES: Mapping[str, Severity] = {
    "gun": "critical", "rifle": "critical", "pistol": "critical", "handgun": "critical", "firearm": "critical",
    "shotgun": "critical", "sniper": "critical", "automatic rifle": "critical", "bazooka": "critical",
    "grenade": "critical", "explosive": "critical",
    "knife": "high", "machete": "high", "sword": "high", "axe": "high", "weapon": "high",
    "bat": "medium", "baseball bat": "medium", "crowbar": "medium", "hammer": "medium",
}  # fmt: skip
UNKNOWN_SEVERITY: Severity = "medium"
#: The most severe first.
SEVERITY_ORDER: tuple[Severity, ...] = ("critical", "high", "medium")
#: A threat counts from here (CONTRACT.md), unless a call asks for less or more.
MIN_CONFIDENCE = 0.5
#: The lowest that a call can ask for: below it a detector mostly sees shadows.
LOWEST_CONFIDENCE = 0.1
#: Ordinary pictures have no weapons, and two engines that both see nothing have not been compared. The faintest thing
#: that a network sees there is a trace, by which they can be; it is never told to anybody.
TRACE_CONFIDENCE = 0.01
#: How far from a person's box a threat may be and still be theirs, in heights of the box. The box ends at the hand, and
#: a detector often draws the weapon alone; a rifle of 1 m at arm's length is half a stature away at its far end, and
#: less than half of that at its near end.
REACH = 0.25


@dataclass(frozen=True, slots=True)
class ThreatDetection:
    """One weapon-like object.

    Attributes:
        class_name: the weights' own word.
        confidence: 0..1.
        box: xyxy in picture pixels.
        severity: critical, high or medium.
    """

    class_name: str
    confidence: float
    box: Box
    severity: Severity

    @property
    def bbox(self) -> Box:
        """The same as `box`."""
        return self.box

    def to_context_string(self) -> str:
        """One line."""
        return f"THREAT DETECTED: {self.class_name} (severity: {self.severity})"

    def to_wire(self) -> dict[str, Any]:
        """One row of `threats_detected`."""
        return {
            "class": self.class_name,
            "confidence": wire.share(self.confidence),
            "bbox": wire.xywh(self.box),
            "severity": self.severity,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `threats_detected` read again."""
        return cls(told["class"], wire.number(told["confidence"]), wire.box(told["bbox"]), told["severity"])


Threats = tuple[ThreatDetection, ...]


@dataclass(frozen=True, slots=True)
class ThreatResult:
    """The threats of a picture or of one person; an answer also where there are none.

    Attributes:
        threats: what counts as a threat, most confident first.
        weaker: what was seen with less confidence than that; `at_least` can let it count.
        elsewhere: of one person's answer, the picture's threats that are at none of the persons asked about.
        trace: the most confident thing of the picture, however faint: what engines are compared by, and no sighting.
    """

    threats: Threats = ()
    weaker: Threats = ()
    elsewhere: Threats = ()
    trace: ThreatDetection | None = field(default=None, compare=False, repr=False)

    @property
    def has_threat(self) -> bool:
        return bool(self.threats)

    @property
    def max_severity(self) -> Severity | None:
        """The worst severity; None without a threat."""
        return min((t.severity for t in self.threats), key=SEVERITY_ORDER.index, default=None)

    @property
    def highest_threat(self) -> ThreatDetection | None:
        """The most confident threat, as the documents have it; None without one."""
        return max(self.threats, key=lambda t: t.confidence, default=None)

    @property
    def max_confidence(self) -> float:
        """Of the most confident threat; 0 without one."""
        return max((t.confidence for t in self.threats), default=0.0)

    def at_least(self, min_confidence: float) -> ThreatResult:
        """The same with other threats counted: all at or above a confidence.

        Args:
            min_confidence: 0..1; nothing below `LOWEST_CONFIDENCE` was ever decoded.
        """
        threats, weaker = _split((*self.threats, *self.weaker), min_confidence)
        return replace(self, threats=threats, weaker=weaker)

    def to_context_string(self) -> str:
        """One line, as documented."""
        if not self.has_threat:
            return "Threat detection: No threats detected"
        return f"THREAT DETECTED: {', '.join(t.class_name for t in self.threats)} (severity: {self.max_severity})"

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/threat-detect`, with the keys that `/enrich` documents for the same."""
        highest = self.highest_threat
        return {
            "threats_detected": [threat.to_wire() for threat in self.threats],
            "is_threat": self.has_threat,
            "max_confidence": wire.share(self.max_confidence),
            "max_severity": self.max_severity,
            "threats": [_typed(threat) for threat in self.threats],
            "highest_threat": highest and _typed(highest),
            "elsewhere": [threat.to_wire() for threat in self.elsewhere],
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/threat-detect` read again: what counts, for `weaker` and `trace` do not travel."""
        threats, elsewhere = (
            tuple(map(ThreatDetection.from_wire, told[name])) for name in ("threats_detected", "elsewhere")
        )
        return cls(threats, elsewhere=elsewhere)


class ThreatAnswer(wire.Answer):
    """One threat."""

    class_name: str = Field(alias="class", description="The weights' own word.")
    confidence: float | None = Field(description="0..1.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    severity: Severity = Field(description="By the name of the class; unknown names are medium.")


class TypedThreatAnswer(wire.Answer):
    """The same threat under the names that formatters of prompts read."""

    type: str = Field(description="The weights' own word.")
    confidence: float | None = Field(description="0..1.")
    bbox: list[float | None] = Field(description="x1, y1, x2, y2 in picture pixels.", min_length=4, max_length=4)


class ThreatsAnswer(wire.Answer):
    """The threats of one picture, or at one box of it."""

    threats_detected: list[ThreatAnswer] = Field(description="Most confident first.")
    is_threat: bool = Field(description="Whether anything counts as a threat.")
    max_confidence: float | None = Field(description="0..1; 0 without a threat.")
    max_severity: Severity | None = Field(description="The worst one; null without a threat.")
    threats: list[TypedThreatAnswer] = Field(description="The same threats under other names.")
    highest_threat: TypedThreatAnswer | None = Field(description="The most confident one.")
    elsewhere: list[ThreatAnswer] = Field(
        default=[], description="Where boxes were sent: the picture's threats that are at none of them."
    )


def severity_of(class_name: str) -> Severity:
    """By name; medium where it is not known. `Automatic_Rifle` and `Automaticrifle` are `automatic rifle`."""
    return _FOLDED.get(_folded(class_name), UNKNOWN_SEVERITY)


def _folded(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


_FOLDED = {_folded(name): severity for name, severity in SEVERITIES.items()}


def _boxes(result: ThreatResult) -> Float:
    seen = [threat for threat in (result.trace, *result.threats) if threat is not None]
    return np.array([threat.box for threat in seen], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="threat_detector",
    title="Threat detector",
    scope=Scope.FRAME,
    priority=Priority.CRITICAL,
    triggers=("person",),
    declared_mb=400,
    input=InputSpec("images", (640, 640), scale=1 / 255, resize="letterbox"),
    agreement=Agreement("IoU of the boxes", 0.85, lambda a, b: same_boxes(_boxes(a), _boxes(b))),
    aliases=("threat",),
    variables=("THREAT_MODEL_PATH",),
    tensorrt="THREAT",
)


class ThreatAdapter(YoloDecoder[ThreatResult]):
    """Weapons of a picture; each belongs to the person that it is inside of or nearest to."""

    SPEC = SPEC
    FINDING = ThreatResult
    RESPONSE = ThreatsAnswer
    LOWEST = TRACE_CONFIDENCE

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[ThreatResult]:
        """(N, …) raw head to the threats of N pictures."""
        return [_result(found) for found in self.decode(outputs, images)]

    def associate(self, result: ThreatResult, boxes: Sequence[Box]) -> Sequence[ThreatResult]:
        """Each person's threats; every person has an answer, for "no threat" is one.

        A threat belongs to one person: to the box that holds most of it, else to the nearest box within `REACH` of that
        box's own height; of equals, to the smaller one. One beyond everybody's reach is `elsewhere` in all answers.
        """
        own: list[list[ThreatDetection]] = [[] for _ in boxes]
        loose: list[ThreatDetection] = []
        for threat in (*result.threats, *result.weaker):
            owner = _owner(threat.box, boxes)
            (loose if owner is None else own[owner]).append(threat)
        elsewhere = tuple(threat for threat in loose if threat in result.threats)
        counted = set(result.threats)
        return [
            ThreatResult(
                tuple(threat for threat in found if threat in counted),
                tuple(threat for threat in found if threat not in counted),
                elsewhere,
            )
            for found in own
        ]


def _result(found: Sequence[Detection]) -> ThreatResult:
    seen = [ThreatDetection(d.class_name, d.confidence, d.box, severity_of(d.class_name)) for d in found]
    threats, weaker = _split([threat for threat in seen if threat.confidence >= LOWEST_CONFIDENCE], MIN_CONFIDENCE)
    return ThreatResult(threats, weaker, trace=seen[0] if seen else None)


def _split(found: Sequence[ThreatDetection], min_confidence: float) -> tuple[Threats, Threats]:
    """Those that count and those that do not, most confident first."""
    ordered = sorted(found, key=lambda threat: -threat.confidence)
    return (
        tuple(threat for threat in ordered if threat.confidence >= min_confidence),
        tuple(threat for threat in ordered if not threat.confidence >= min_confidence),
    )


def _owner(threat: Box, boxes: Sequence[Box]) -> int | None:
    if not boxes:
        return None
    inside = coverage(np.array([threat], np.float32), np.array(boxes, np.float32))[0].tolist()
    gaps = [_gap(threat, box) / max(box.height, 1.0) for box in boxes]
    near = [index for index, gap in enumerate(gaps) if gap <= REACH]
    return min(near, key=lambda i: (-inside[i], gaps[i], boxes[i].area), default=None)


def _gap(a: Box, b: Box) -> float:
    """Pixels between two boxes; 0 where they touch."""
    dx = max(a.x1 - b.x2, b.x1 - a.x2, 0.0)
    dy = max(a.y1 - b.y2, b.y1 - a.y2, 0.0)
    return float(np.hypot(dx, dy))


def _typed(threat: ThreatDetection) -> dict[str, Any]:
    return {
        "type": threat.class_name,
        "confidence": wire.share(threat.confidence),
        "bbox": wire.xyxy(threat.box),
    }


class ThreatDetector(Model[ThreatResult]):
    """Find weapons: `ThreatDetector("threat-detection.pt").detect_threats("photo.jpg").has_threat`."""

    ADAPTER = ThreatAdapter

    def detect_threats(self, image: PictureLike, min_confidence: float = MIN_CONFIDENCE) -> ThreatResult:
        """The threats of one picture at or above a confidence (0..1, nothing below `LOWEST_CONFIDENCE` is decoded)."""
        return self._predict([image])[0].at_least(min_confidence)

    def detect(self, image: PictureLike) -> dict[str, Any]:
        """`{threats_detected: bool, threats: [{type, confidence, bbox}], highest_threat}`, with xyxy boxes."""
        found = self.detect_threats(image)
        highest = found.highest_threat
        return {
            "threats_detected": found.has_threat,
            "threats": [_typed(threat) for threat in found.threats],
            "highest_threat": highest and _typed(highest),
        }
