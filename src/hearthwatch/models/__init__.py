"""One file, one model. `MODELS` lists them; a new model is a file, a row here and a row in the catalog."""

from __future__ import annotations

from typing import Any

from hearthwatch.adapter.base import Adapter, PictureAdapter
from hearthwatch.errors import UnknownModel
from hearthwatch.models.action_recognizer import ActionAdapter, ActionRecognizer, ActionResult
from hearthwatch.models.action_text import ActionTextAdapter, ActionTextModel
from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES, CLIPAdapter, CLIPEmbeddingModel, CLIPResult
from hearthwatch.models.clip_text import CLIPTextAdapter, CLIPTextModel, TextEmbedding
from hearthwatch.models.clothing import ClothingClassificationResult
from hearthwatch.models.clothing_prompts import ENHANCED_CLOTHING_PROMPTS
from hearthwatch.models.demographics import AgeGenderPredictor, DemographicsAdapter, DemographicsResult
from hearthwatch.models.depth_estimator import DepthAdapter, DepthEstimator, DepthResult, ObjectDistance
from hearthwatch.models.face_detector import FaceAdapter, FaceDetector, FaceResult
from hearthwatch.models.factories import (
    load_person_reid,
    load_pose_estimator,
    load_threat_detector,
    validate_model_path,
)
from hearthwatch.models.fashion_clip import ClothingAdapter, ClothingClassifier
from hearthwatch.models.fashion_clip_text import FashionTextAdapter, FashionTextModel
from hearthwatch.models.license_plate_detector import LicensePlateDetector, PlateDetectorAdapter
from hearthwatch.models.person_reid import (
    DEFAULT_SIMILARITY_THRESHOLD,
    EMBEDDING_DIMENSION,
    OSNET_INPUT_HEIGHT,
    OSNET_INPUT_WIDTH,
    PersonReID,
    ReIDAdapter,
    ReIDResult,
)
from hearthwatch.models.pet_classifier import PetAdapter, PetClassificationResult, PetClassifier
from hearthwatch.models.plate_ocr import LicensePlateResult, PlateOCR, PlateOCRAdapter
from hearthwatch.models.pose_estimator import Keypoint, PoseAdapter, PoseEstimator, PoseResult
from hearthwatch.models.scene_text import SceneText, SceneTextAdapter, SceneTextReader
from hearthwatch.models.threat_detector import ThreatAdapter, ThreatDetection, ThreatDetector, ThreatResult
from hearthwatch.models.vehicle_classifier import VehicleAdapter, VehicleClassificationResult, VehicleClassifier
from hearthwatch.models.vehicle_damage import (
    VehicleDamage,
    VehicleDamageAdapter,
    VehicleDamageDetector,
    VehicleDamageResult,
)
from hearthwatch.models.violence_detector import ViolenceAdapter, ViolenceDetectionResult, ViolenceDetector
from hearthwatch.models.weather_classifier import WeatherAdapter, WeatherClassifier, WeatherResult
from hearthwatch.models.yolo26 import Detection, DetectorAdapter, ObjectDetector

PersonReidentifier = PersonReID
EnhancedClothingClassifier = ClothingClassifier
ClothingClassification = ClothingClassificationResult

#: Every model's adapter, in the order in which `models list` shows them.
MODELS: tuple[type[Adapter[Any]], ...] = (
    DetectorAdapter,
    ThreatAdapter,
    PoseAdapter,
    ReIDAdapter,
    PetAdapter,
    DepthAdapter,
    VehicleAdapter,
    DemographicsAdapter,
    ClothingAdapter,
    FashionTextAdapter,
    ActionAdapter,
    ActionTextAdapter,
    FaceAdapter,
    PlateDetectorAdapter,
    PlateOCRAdapter,
    ViolenceAdapter,
    WeatherAdapter,
    CLIPAdapter,
    CLIPTextAdapter,
    SceneTextAdapter,
    VehicleDamageAdapter,
)

__all__ = [
    "DEFAULT_SIMILARITY_THRESHOLD",
    "EMBEDDING_DIMENSION",
    "ENHANCED_CLOTHING_PROMPTS",
    "MODELS",
    "OSNET_INPUT_HEIGHT",
    "OSNET_INPUT_WIDTH",
    "SURVEILLANCE_TEMPLATES",
    "ActionRecognizer",
    "ActionResult",
    "ActionTextModel",
    "AgeGenderPredictor",
    "CLIPEmbeddingModel",
    "CLIPResult",
    "CLIPTextModel",
    "ClothingClassification",
    "ClothingClassificationResult",
    "ClothingClassifier",
    "DemographicsResult",
    "DepthEstimator",
    "DepthResult",
    "Detection",
    "EnhancedClothingClassifier",
    "FaceDetector",
    "FaceResult",
    "FashionTextModel",
    "Keypoint",
    "LicensePlateDetector",
    "LicensePlateResult",
    "ObjectDetector",
    "ObjectDistance",
    "PersonReID",
    "PersonReidentifier",
    "PetClassificationResult",
    "PetClassifier",
    "PlateOCR",
    "PoseEstimator",
    "PoseResult",
    "ReIDResult",
    "SceneText",
    "SceneTextReader",
    "TextEmbedding",
    "ThreatDetection",
    "ThreatDetector",
    "ThreatResult",
    "VehicleClassificationResult",
    "VehicleClassifier",
    "VehicleDamage",
    "VehicleDamageDetector",
    "VehicleDamageResult",
    "ViolenceDetectionResult",
    "ViolenceDetector",
    "WeatherClassifier",
    "WeatherResult",
    "get_model",
    "load_person_reid",
    "load_pose_estimator",
    "load_threat_detector",
    "validate_model_path",
]


def get_picture_model(name: str) -> type[PictureAdapter[Any]]:
    """The model of that name, which looks at pictures.

    Raises:
        UnknownModel: none, or it reads texts or watches clips.
    """
    model = get_model(name)
    if not issubclass(model, PictureAdapter):
        raise UnknownModel(f"{name} looks at {model.SPEC.scope.value} and at no single pictures")
    return model


def get_model(name: str) -> type[Adapter[Any]]:
    """The model of that canonical name or alias.

    Raises:
        UnknownModel: none; the message lists the names.
    """
    for model in MODELS:
        if name in (model.SPEC.name, *model.SPEC.aliases):
            return model
    raise UnknownModel(f"there is no model {name!r}; the models are {', '.join(m.SPEC.name for m in MODELS)}")
