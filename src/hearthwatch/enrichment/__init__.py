"""One picture's detections: select, run, isolate failures, collect."""

from hearthwatch.enrichment.collected import PIPELINE, DetectionEnrichment, PictureEnrichment
from hearthwatch.enrichment.composed import ComposedRunner
from hearthwatch.enrichment.enrich import enrich_picture
from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome, Runner
from hearthwatch.enrichment.status import EnrichmentStatus, status_of

__all__ = [
    "PIPELINE",
    "CallTimings",
    "ComposedRunner",
    "DetectionEnrichment",
    "EnrichmentStatus",
    "ModelCall",
    "Outcome",
    "Pace",
    "PictureEnrichment",
    "Runner",
    "enrich_picture",
    "status_of",
]
