"""One picture's detections: select, run, isolate failures, collect."""

from hearthwatch.enrichment.enrich import DetectionEnrichment, PictureEnrichment, enrich_picture
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome, Runner

__all__ = [
    "CallTimings",
    "DetectionEnrichment",
    "ModelCall",
    "Outcome",
    "PictureEnrichment",
    "Runner",
    "enrich_picture",
]
