"""Pose estimator: the 17 COCO key points of each person, and the posture they form.

Network  YOLOv8n-pose (Ultralytics, 2023); YOLO11 and YOLO26 pose files have the same interface. Or ViTPose+ small (Xu
         et al. 2022, arXiv:2212.04246), top-down: the outputs of the weight file say which (`PoseAdapter.reading`).
Weights  Xenova/yolov8n-pose and others, AGPL-3.0; usyd-community/vitpose-plus-small, Apache-2.0.
Input    YOLO: the whole picture, letterboxed to 640 x 640, RGB, 0..1. On tight crops of persons it reaches OKS 0.71, on
         the frame 0.85, so it sees the frame and its skeletons are associated with the boxes.
         ViTPose: each box with a quarter around, 256 x 192, ImageNet mean and std.
Output   YOLO (N, 56, 8400): box, score, 17 x (x, y, confidence); or (N, 300, 57) end-to-end.
         ViTPose (N, 17, 64, 48): one map per joint.
Limits   See `vision.posture` for what key points can and cannot tell. ViTPose finds no persons: where no box is given,
         it takes the whole picture for one person's. Its authors also run it on the mirrored crop and take the mean
         of both; that costs twice the time and is not done here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.boxes import Box, iou
from hearthwatch.vision.crops import check_inside
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.heatmaps import decode_heatmaps
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from hearthwatch.vision.keypoints import COCO_KEYPOINTS, oks
from hearthwatch.vision.letterbox import Letterbox
from hearthwatch.vision.posture import POSTURES, SUSPICIOUS_POSTURES, classify_posture
from hearthwatch.vision.subject import Subject, SubjectView
from hearthwatch.vision.yolo import YoloHead, decode_yolo

#: Persons below it are not decoded: the exporter's documented default.
MIN_CONFIDENCE = 0.25
#: A skeleton belongs to a box when their boxes overlap by this much. Detector and pose network draw the same person
#: with an IoU of 0.8 and more; half of that leaves room for occlusion and keeps neighbours apart.
MIN_IOU = 0.4
#: What ViTPose is fed with where neither card nor file says: as its authors trained it.
SUBJECT_INPUT = InputSpec("pixel_values", (256, 192), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, resize="box")
#: Joints below it say nothing about how sure a top-down network is of a person: mmpose's `vis_thr`, by which COCO's
#: results are scored.
MIN_JOINT = 0.2
#: How ViTPose's config.json begins the names of joints that come in pairs.
_SIDES = {"l": "left_", "r": "right_"}


@dataclass(frozen=True, slots=True)
class Keypoint:
    """One joint, in picture pixels, with the network's confidence in 0..1."""

    name: str
    x: float
    y: float
    confidence: float

    @property
    def conf(self) -> float:
        """The same as `confidence`."""
        return self.confidence

    def to_wire(self) -> dict[str, Any]:
        """One row of `keypoints`."""
        return {
            "name": self.name,
            "x": wire.pixel(self.x),
            "y": wire.pixel(self.y),
            "confidence": wire.share(self.confidence),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `keypoints` read again."""
        return cls(told["name"], wire.number(told["x"]), wire.number(told["y"]), wire.number(told["confidence"]))


@dataclass(frozen=True, slots=True)
class PoseResult:
    """One person's pose.

    Attributes:
        keypoints: the 17 COCO key points in their order; empty where no person was found.
        posture: one of the posture words of `vision.posture`.
        confidence: of the person, 0..1; 0 where none was found.
        alerts: what deserves attention (`crouching`, `arms_raised`, `suspicious_pose` …).
        bbox: of the person, xyxy in picture pixels; None where none was found.
    """

    keypoints: tuple[Keypoint, ...] = ()
    posture: str = "unknown"
    confidence: float = 0.0
    alerts: tuple[str, ...] = ()
    bbox: Box | None = None

    @property
    def pose_class(self) -> str:
        """The same as `posture`."""
        return self.posture

    @property
    def is_suspicious(self) -> bool:
        """Whether the posture is one of `SUSPICIOUS_POSTURES`."""
        return self.posture in SUSPICIOUS_POSTURES

    def to_context_string(self) -> str:
        """The pose as a prompt's lines."""
        lines = [f"Pose: {self.pose_class} (confidence: {self.confidence:.0%})"]
        if self.is_suspicious:
            lines.append("  [ALERT: Suspicious posture detected]")
        return "\n".join(lines)

    def to_wire(self) -> dict[str, Any]:
        """One person's part of the answer of `/pose-analyze`."""
        return {
            "keypoints": [keypoint.to_wire() for keypoint in self.keypoints],
            "posture": self.posture,
            "pose_class": self.pose_class,
            "alerts": list(self.alerts),
            "confidence": wire.share(self.confidence),
            "is_suspicious": self.is_suspicious,
            "bbox": self.bbox and wire.xywh(self.bbox),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One person's part of an answer read again."""
        return cls(
            keypoints=tuple(map(Keypoint.from_wire, told["keypoints"])),
            posture=told["posture"],
            confidence=wire.number(told["confidence"]),
            alerts=tuple(told["alerts"]),
            bbox=told["bbox"] and wire.box(told["bbox"]),
        )

    def as_array(self) -> Float:
        """(17, 3) x, y, confidence; (0, 3) where no person was found."""
        return np.array([(k.x, k.y, k.confidence) for k in self.keypoints], np.float32).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class Poses:
    """All persons of one picture, most confident first."""

    persons: tuple[PoseResult, ...]

    def to_context_string(self) -> str:
        """All persons' poses as a prompt's lines."""
        return "\n".join(person.to_context_string() for person in self.persons) or "Pose: no person found"

    def at_least(self, min_confidence: float) -> Poses:
        """The persons at or above a confidence (0..1); nothing below `MIN_CONFIDENCE` was ever decoded."""
        return Poses(tuple(person for person in self.persons if person.confidence >= min_confidence))

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/pose-analyze`: the most confident person's, with everybody in `persons`."""
        first = self.persons[0] if self.persons else PoseResult()
        return first.to_wire() | {"persons": [person.to_wire() for person in self.persons]}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/pose-analyze` read again."""
        return cls(tuple(map(PoseResult.from_wire, told["persons"])))


class KeypointAnswer(wire.Answer):
    """One joint."""

    name: str = Field(description=f"One of {', '.join(COCO_KEYPOINTS)}.")
    x: float | None = Field(description="Pixels of the picture that was sent, from the left.")
    y: float | None = Field(description="Pixels of the picture that was sent, from the top.")
    confidence: float | None = Field(description="0..1; below 0.5 the joint is a guess.")


class PoseAnswer(wire.Answer):
    """One person's pose."""

    keypoints: list[KeypointAnswer] = Field(description="17 in COCO's order; empty where nobody was found.")
    posture: str = Field(description=f"One of {', '.join(POSTURES)}.")
    pose_class: str = Field(description="The same as `posture`.")
    alerts: list[str] = Field(description="What deserves attention.")
    confidence: float | None = Field(description="Of the person, 0..1; 0 where nobody was found.")
    is_suspicious: bool = Field(description="Whether the posture is a suspicious one.")
    bbox: wire.BoxAnswer | None = Field(description="Of the person; null where nobody was found.")


class PosesAnswer(PoseAnswer):
    """The most confident person's pose, or that of the box that was sent."""

    persons: list[PoseAnswer] = Field(
        default=[], description="Everybody in the picture, most confident first; empty where a box was sent."
    )


def _oks(reference: Poses, candidate: Poses) -> float | None:
    """Worst best OKS of the reference's persons; their numbers must be equal."""
    first, second = ([p for p in r.persons if p.confidence >= 0.5] for r in (reference, candidate))
    if not first and not second:
        return None
    if len(first) != len(second):
        return 0.0
    return min(max(_similarity(a, b) for b in second) for a in first)


def _similarity(a: PoseResult, b: PoseResult) -> float:
    # Halves the box: COCO's area is the person's mask, about half of the box.
    area = a.bbox.area / 2 if a.bbox else 1.0
    return oks(b.as_array(), a.as_array(), area)


SPEC = Spec(
    name="pose_estimator",
    title="Pose estimator",
    scope=Scope.FRAME,
    priority=Priority.HIGH,
    triggers=("person",),
    declared_mb=300,
    input=InputSpec("images", (640, 640), scale=1 / 255, resize="letterbox"),
    agreement=Agreement("OKS", 0.95, _oks),
    aliases=("pose",),
    variables=("POSE_MODEL_PATH",),
    tensorrt="POSE",
)


class PoseAdapter(ImageNetwork[Poses]):
    """YOLO pose heads: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = PoseResult
    RESPONSE = PosesAnswer

    @classmethod
    def reading(cls, description: Description) -> ImageNetwork[Poses]:
        """A network of one map per joint is asked in another way than one that finds persons."""
        outputs = description.graph.outputs
        one_map_each = len(outputs) == 1 and len(outputs[0].shape) == 4
        return TopDownPoseAdapter(description) if one_map_each else cls(description)

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        file, outputs = description.graph.path.name, description.graph.outputs
        if len(outputs) != 1:
            raise WeightsInvalid(f"{file} has {len(outputs)} outputs; a YOLO pose network has 1")
        self.output = outputs[0].name
        extra = 3 * len(COCO_KEYPOINTS)
        self.head = YoloHead.of(outputs[0].shape, names=len(description.class_names), extra=extra, file=file)

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[Poses]:
        """(N, 56, anchors) or (N, 300, 57) to the persons of N pictures, in picture pixels."""
        raw = np.asarray(outputs[self.output], dtype=np.float32)
        return [self._decode(rows, image) for rows, image in zip(raw, images, strict=True)]

    @classmethod
    def for_one_box(cls, found: PoseResult | None) -> Poses:
        return Poses(() if found is None else (found,))

    def associate(self, result: Poses, boxes: Sequence[Box]) -> Sequence[PoseResult | None]:
        """Each box's skeleton by overlap, best pairs first, each skeleton once; None for a box without one."""
        answers: list[PoseResult | None] = [None] * len(boxes)
        if not result.persons or not boxes:
            return answers
        persons = np.array([person.bbox for person in result.persons], np.float32)
        overlaps = iou(np.array(boxes, np.float32), persons)
        while overlaps.max() >= MIN_IOU:
            box, person = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
            answers[int(box)] = result.persons[int(person)]
            overlaps[box, :] = overlaps[:, person] = 0.0
        return answers

    def _decode(self, raw: Float, image: Image) -> Poses:
        letterbox = Letterbox.fit(image.region, self.input.size)
        found = decode_yolo(raw, self.head, min_confidence=MIN_CONFIDENCE).in_picture(letterbox)
        joints = found.extra.reshape(-1, len(COCO_KEYPOINTS), 3)
        points = letterbox.to_picture(joints[..., :2])
        return Poses(
            tuple(
                _person(np.concatenate([xy, joint[:, 2:]], axis=1), Box(*box), score)
                for xy, joint, box, score in zip(
                    points, joints, found.boxes.tolist(), found.scores.tolist(), strict=True
                )
            )
        )


class TopDownPoseAdapter(ImageNetwork[Poses]):
    """ViTPose: one map per joint of the person in a box."""

    SPEC = SPEC
    FINDING = PoseResult
    RESPONSE = PosesAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(replace(description, input=_top_down(description.input)))
        file, outputs = description.graph.path.name, description.graph.outputs
        shape = outputs[0].shape if len(outputs) == 1 else ()
        if len(shape) != 4 or shape[1] not in (None, len(COCO_KEYPOINTS)):
            shown = " x ".join("any" if side is None else str(side) for side in shape) or f"{len(outputs)} outputs"
            raise WeightsInvalid(
                f"{file} gives {shown}; a pose network of one map per joint gives N x {len(COCO_KEYPOINTS)} x rows x "
                "columns"
            )
        _check_joints(description.class_names, file)
        self.output = outputs[0].name

    @property
    def scope(self) -> Scope:
        return Scope.CROP

    @classmethod
    def for_one_box(cls, found: PoseResult | None) -> Poses:
        return PoseAdapter.for_one_box(found)

    def looks_at(self, image: Image, boxes: Sequence[Box]) -> list[Image]:
        """The picture with each box, since the network sees some of what is around it; the picture without boxes.

        Raises:
            BadBox: a box outside the picture.
        """
        for box in boxes:
            check_inside(image, box)
        return [Subject(image.pixels, image.region, box) for box in boxes] or [image]

    def answers(self, results: Sequence[Poses], boxes: Sequence[Box]) -> Sequence[Poses | PoseResult | None]:
        """The person of each box; None where the network sees none. Without boxes, everybody in the picture."""
        return [next(iter(poses.persons), None) for poses in results] if boxes else results

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[Poses]:
        """(N, 17, rows, columns) to the person of each box, in picture pixels; nobody where no joint is sure enough."""
        maps = np.asarray(outputs[self.output], dtype=np.float32)
        if maps.ndim != 4 or maps.shape[:2] != (len(images), len(COCO_KEYPOINTS)) or not np.isfinite(maps).all():
            raise InferenceFailed(f"{len(images)} persons went in, and an output of {maps.shape} is no map per joint")
        return [self._decode(joints, maps.shape[2:], image)
                for joints, image in zip(decode_heatmaps(maps), images, strict=True)]  # fmt: skip

    def _decode(self, joints: Float, grid: tuple[int, ...], image: Image) -> Poses:
        box = Subject.of_image(image).box
        points = SubjectView.fit(box, self.input.size).to_picture(joints[:, :2], (grid[0], grid[1]))
        sure = joints[:, 2][joints[:, 2] >= MIN_JOINT]
        score = min(float(sure.mean()), 1.0) if sure.size else 0.0
        if score < MIN_CONFIDENCE:
            return Poses(())
        return Poses((_person(np.concatenate([points, joints[:, 2:]], axis=1), box, score),))


def _top_down(spec: InputSpec) -> InputSpec:
    """The input as it was resolved, with what a top-down network is fed with where the model's default stood."""
    unsaid = {name: getattr(SUBJECT_INPUT, name) for name, origin in spec.origins.items() if origin == "model default"}
    return replace(spec, **unsaid | {"resize": "box"})


def _check_joints(names: Sequence[str], file: str) -> None:
    """Another set of 17 joints would be taken for COCO's; names that are none, as LABEL_0, say nothing.

    Raises:
        WeightsInvalid: the file names its joints, and they are others.
    """
    told = [re.sub(r"^([lr])_", lambda side: _SIDES[side[1]], name.lower().replace(" ", "_")) for name in names]
    if len(told) != len(COCO_KEYPOINTS) or told == [f"label_{place}" for place in range(len(told))]:
        return
    if told != list(COCO_KEYPOINTS):
        raise WeightsInvalid(f"{file} has the joints {', '.join(names)[:200]}; known are {', '.join(COCO_KEYPOINTS)}")


def _person(keypoints: Float, box: Box, score: float) -> PoseResult:
    posture = classify_posture(keypoints)
    named = zip(COCO_KEYPOINTS, keypoints.tolist(), strict=True)
    return PoseResult(
        keypoints=tuple(Keypoint(name, x, y, min(max(confidence, 0.0), 1.0)) for name, (x, y, confidence) in named),
        posture=posture.name,
        confidence=score,
        alerts=posture.alerts,
        bbox=box,
    )


class PoseEstimator(Model[Poses]):
    """Estimate poses: `PoseEstimator("yolov8n-pose.onnx").estimate_pose("photo.jpg").posture`."""

    ADAPTER = PoseAdapter

    def estimate_pose(self, image: PictureLike) -> PoseResult:
        """The most confident person's pose; posture `unknown` with confidence 0 where there is no person."""
        return self.estimate_poses_batch([image])[0]

    def estimate_poses_batch(self, images: Sequence[PictureLike]) -> list[PoseResult]:
        """As `estimate_pose`, for N pictures."""
        return [poses.persons[0] if poses.persons else PoseResult() for poses in self._predict(images)]

    def estimate(self, image: PictureLike) -> dict[str, Any]:
        """All persons: `{poses: [{keypoints, confidence, posture}]}`; `arms_raised` where both arms are."""
        return {"poses": [_as_dict(person) for person in self._predict([image])[0].persons]}


def _as_dict(person: PoseResult) -> dict[str, Any]:
    posture = "arms_raised" if "arms_raised" in person.alerts else person.posture
    keypoints = [{"name": k.name, "x": k.x, "y": k.y, "confidence": k.confidence} for k in person.keypoints]
    return {"keypoints": keypoints, "confidence": person.confidence, "posture": posture}
