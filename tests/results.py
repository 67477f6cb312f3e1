"""Any result of any model, for properties that hold for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hearthwatch.models.action_recognizer import ActionResult
from hearthwatch.models.clip import CLIPResult
from hearthwatch.models.clip_text import TextEmbedding
from hearthwatch.models.clothing import judge, matches
from hearthwatch.models.clothing_prompts import ENHANCED_CLOTHING_PROMPTS
from hearthwatch.models.demographics import DemographicsResult
from hearthwatch.models.depth_estimator import DepthResult
from hearthwatch.models.face_detector import FaceResult, Faces
from hearthwatch.models.person_reid import ReIDResult
from hearthwatch.models.pet_classifier import PetClassificationResult
from hearthwatch.models.plate_ocr import LicensePlateResult
from hearthwatch.models.pose_estimator import Keypoint, PoseResult, Poses
from hearthwatch.models.scene_text import SceneLine, SceneText
from hearthwatch.models.threat_detector import ThreatDetection, ThreatResult, severity_of
from hearthwatch.models.vehicle_classifier import VehicleClassificationResult
from hearthwatch.models.vehicle_damage import VehicleDamage, VehicleDamageResult
from hearthwatch.models.violence_detector import ViolenceDetectionResult
from hearthwatch.models.weather_classifier import WeatherResult
from hearthwatch.models.yolo26 import Detection, Detections
from hearthwatch.vision.ages import AGE_WORDS
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.keypoints import COCO_KEYPOINTS
from hearthwatch.vision.paint import Paint
from hearthwatch.vision.posture import POSTURES

SHARES = st.floats(0, 1)
PIXELS = st.floats(-100, 10_000)
SIZES = st.floats(0.2, 5_000)
WORDS = st.text(min_size=1, max_size=12)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), PIXELS, PIXELS, SIZES, SIZES)
SCORES = st.dictionaries(WORDS, SHARES, min_size=1, max_size=5)


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


def _embedding(numbers: int) -> st.SearchStrategy[Any]:
    return st.integers(0, 999).map(lambda seed: unit(np.random.default_rng(seed).standard_normal(numbers)))


KEYPOINTS = st.tuples(*(st.builds(Keypoint, st.just(name), PIXELS, PIXELS, SHARES) for name in COCO_KEYPOINTS))
PERSONS = st.builds(PoseResult, KEYPOINTS, st.sampled_from(POSTURES), SHARES, _several(WORDS), BOXES)
THREATS = st.builds(
    lambda name, confidence, box: ThreatDetection(name, confidence, box, severity_of(name)),
    st.sampled_from(["knife", "Automatic_Rifle", "broom"]),
    SHARES,
    BOXES,
)
DETECTIONS = st.builds(Detections, _several(st.builds(Detection, WORDS, SHARES, BOXES)))
COLORS = st.one_of(
    st.tuples(st.just(None), st.just(None), WORDS), st.tuples(st.sampled_from(["red", "dark"]), SHARES, st.just(""))
)
LOGITS = st.fixed_dictionaries(
    {
        group: st.lists(st.floats(0, 30), min_size=len(prompts), max_size=len(prompts))
        for group, prompts in ENHANCED_CLOTHING_PROMPTS.items()
    }
)
CLOTHES = st.builds(lambda logits, color: judge(matches(logits), Paint(*color)), LOGITS, COLORS)
EMBEDDINGS = st.builds(CLIPResult, _embedding(768), WORDS, WORDS, WORDS, st.floats(1, 100))


@st.composite
def depths(draw: st.DrawFn) -> DepthResult:
    """A map of a picture, and maybe a box of it."""
    height, width = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    cells = np.random.default_rng(draw(st.integers(0, 999))).random((height, width), np.float32)
    low = draw(st.floats(-100, 100))
    box = draw(st.none() | st.just(Box(3.0, 4.0, 21.5, 30.0)))
    inverse, space = draw(st.booleans()), draw(WORDS)
    return DepthResult(cells, (0.0, 0.0, 40.0, 32.0), low, low + draw(SIZES), inverse, box, raw=cells, space=space)


#: By model: what its adapter answers about a picture, a text or a clip.
RESULTS: Mapping[str, st.SearchStrategy[Any]] = {
    "yolo26": DETECTIONS,
    "threat_detector": st.builds(ThreatResult, _several(THREATS), _several(THREATS), _several(THREATS), THREATS),
    "pose_estimator": st.builds(Poses, _several(PERSONS)),
    "person_reid": st.builds(ReIDResult, _embedding(512), st.just(""), WORDS),
    "pet_classifier": st.builds(PetClassificationResult, st.sampled_from(["cat", "dog"]), WORDS, SHARES, st.booleans()),
    "depth_estimator": depths(),
    "vehicle_classifier": st.builds(
        lambda kind, confidence, scores, color: VehicleClassificationResult(kind, confidence, scores, *color),
        st.sampled_from(["car", "work_van", "unknown"]),
        SHARES,
        SCORES,
        COLORS,
    ),
    "demographics": st.one_of(
        st.builds(
            lambda age, group, sure, gender, scores: DemographicsResult(age, group, sure, gender[0], gender[1], scores),
            WORDS,
            st.sampled_from(AGE_WORDS),
            st.none() | SHARES,
            st.tuples(st.just("female"), SHARES) | st.just((None, None)),
            SCORES,
        ),
        st.just(DemographicsResult(None, None, None, None, None, {}, ("no face was sent",))),
    ),
    "fashion_clip": CLOTHES,
    "fashion_clip_text": st.builds(TextEmbedding, _embedding(512), st.booleans(), WORDS, st.just("sha256:0a")),
    "action_recognizer": st.builds(ActionResult, SCORES, _several(WORDS)),
    "action_text": st.builds(TextEmbedding, _embedding(512), st.booleans(), WORDS, st.just("sha256:0a")),
    "face_detector": st.builds(
        Faces, _several(st.builds(FaceResult, BOXES, SHARES, st.tuples(*[st.tuples(PIXELS, PIXELS)] * 5)))
    ),
    "license_plate_detector": DETECTIONS,
    "plate_ocr": st.builds(
        LicensePlateResult,
        st.sampled_from(["", "AB12"]),
        st.sampled_from(["", "AB 12"]),
        SHARES,
        BOXES,
        st.none() | SHARES,
        st.none() | WORDS,
        st.none() | st.lists(SHARES, max_size=4).map(tuple),
    ),
    "scene_text": st.builds(
        SceneText, _several(st.builds(SceneLine, WORDS, SHARES, BOXES, st.booleans())), st.integers(0, 9)
    ),
    "violence_detector": st.builds(ViolenceDetectionResult, st.booleans(), SHARES, st.none() | WORDS),
    "weather_classifier": st.builds(WeatherResult, WORDS, SHARES, SCORES),
    "clip": EMBEDDINGS,
    "clip_text": st.builds(TextEmbedding, _embedding(768), st.booleans(), WORDS, st.just("sha256:0a")),
    "vehicle_damage": st.builds(
        VehicleDamageResult,
        _several(st.builds(VehicleDamage, WORDS, SHARES, BOXES, SHARES, _several(st.tuples(PIXELS, PIXELS)))),
    ),
}
