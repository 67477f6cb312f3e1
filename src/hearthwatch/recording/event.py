"""`RecordedEvent`: an assessed event without pixels and embeddings: what a judgement rests on, and the judgement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from hearthwatch import __version__
from hearthwatch.analysis import Event
from hearthwatch.enrichment.status import EnrichmentStatus
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.prompt.fact import Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import RiskAssessment


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event.

    Attributes:
        source: the file, or the file and the moment in it.
        camera: its name; None where nobody said it.
        time: local time; None where nobody knows.
        width: of the picture, pixels; likewise `height`.
        detections: with boxes in picture pixels.
        enrichment: what is known about them, without embeddings: a judgement needs none, and they are the means to
            recognise somebody. None where nothing was attempted.
        status: how the enrichment went.
        risk: the judgement of that time.
        weights: real, sample or custom by model.
        made_by: the version of Hearthwatch.
    """

    source: str
    camera: str | None
    time: datetime | None
    width: int
    height: int
    detections: list[DetectionInput]
    enrichment: EnrichmentResult | None
    status: EnrichmentStatus
    risk: RiskAssessment
    weights: dict[str, str]
    made_by: str = __version__

    def scene(self) -> Scene:
        """Its facts, collected anew: what was found stays, how it is told may have changed."""
        return collect_facts(self.detections, self.enrichment, self.time, self.camera)


def record(event: Event) -> RecordedEvent:
    """What is kept of an event."""
    width, height = event.picture.size
    data = event.enrichment.data
    return RecordedEvent(
        source=event.source,
        camera=event.camera,
        time=event.time,
        width=width,
        height=height,
        detections=[detection.in_picture(width, height) for detection in event.detections],
        enrichment=None if data is None else replace(data, reid_embeddings={}),
        status=event.status,
        risk=event.risk,
        weights=dict(event.weights),
    )
