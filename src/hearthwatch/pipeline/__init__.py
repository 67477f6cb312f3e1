"""Batches of detections become everything that is known about them."""

from hearthwatch.enrichment import EnrichmentStatus
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.extraction import BatchExtractionResult
from hearthwatch.pipeline.image_quality import ImageQualityResult
from hearthwatch.pipeline.pipeline import EnrichmentPipeline
from hearthwatch.pipeline.results import (
    DepthAnalysisResult,
    EnrichmentError,
    EnrichmentResult,
    EnrichmentTrackingResult,
)
from hearthwatch.pipeline.scene_change import SceneChangeResult
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES

EnhancedEnrichmentPipeline = EnrichmentPipeline

__all__ = [
    "ANIMAL_CLASSES",
    "VEHICLE_CLASSES",
    "BatchExtractionResult",
    "DepthAnalysisResult",
    "DetectionInput",
    "EnhancedEnrichmentPipeline",
    "EnrichmentError",
    "EnrichmentPipeline",
    "EnrichmentResult",
    "EnrichmentStatus",
    "EnrichmentTrackingResult",
    "ImageQualityResult",
    "SceneChangeResult",
]
