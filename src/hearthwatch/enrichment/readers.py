"""Answers of services as the results that they were told of: each by its model's published form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hearthwatch.adapter.wire import reader
from hearthwatch.models.action_recognizer import ActionAdapter, ActionResult
from hearthwatch.models.clip import CLIPAdapter, CLIPResult
from hearthwatch.models.clip_text import CLIPTextAdapter, TextEmbedding
from hearthwatch.models.clothing import ClothingClassificationResult
from hearthwatch.models.demographics import DemographicsAdapter, DemographicsResult
from hearthwatch.models.depth_estimator import (
    DepthAdapter,
    DepthBoxAnswer,
    DepthMapAnswer,
    DepthResult,
    ObjectDistance,
)
from hearthwatch.models.fashion_clip import ClothingAdapter
from hearthwatch.models.person_reid import ReIDAdapter, ReIDResult
from hearthwatch.models.pet_classifier import PetAdapter, PetClassificationResult
from hearthwatch.models.pose_estimator import PoseAdapter, Poses
from hearthwatch.models.threat_detector import ThreatAdapter, ThreatResult
from hearthwatch.models.vehicle_classifier import VehicleAdapter, VehicleClassificationResult
from hearthwatch.models.yolo26 import Detections, DetectionsAnswer

action = reader(ActionResult, ActionAdapter.RESPONSE)
clothing = reader(ClothingClassificationResult, ClothingAdapter.RESPONSE)
demographics = reader(DemographicsResult, DemographicsAdapter.RESPONSE)
depth = reader(DepthResult, DepthAdapter.RESPONSE)
detections = reader(Detections, DetectionsAnswer)
distance = reader(ObjectDistance, DepthAdapter.DISTANCE_RESPONSE)
embedding = reader(CLIPResult, CLIPAdapter.RESPONSE)
pet = reader(PetClassificationResult, PetAdapter.RESPONSE)
poses = reader(Poses, PoseAdapter.RESPONSE)
reid = reader(ReIDResult, ReIDAdapter.RESPONSE)
text = reader(TextEmbedding, CLIPTextAdapter.RESPONSE)
threats = reader(ThreatResult, ThreatAdapter.RESPONSE)
vehicle = reader(VehicleClassificationResult, VehicleAdapter.RESPONSE)


def depth_rows(told: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], DepthResult]:
    """What reads the rows of an answer about several boxes: the map comes once, and is read once for all of them."""
    depth_map = DepthResult.map_from_wire(DepthMapAnswer.model_validate(told).model_dump())
    return lambda row: depth_map.with_box(DepthBoxAnswer.model_validate(row).model_dump())
