"""What follows from a batch's findings: writing, movement, plates and weapons of several frames, identities, conflicts.

All of it comes after the models have answered. A conclusion that fails costs itself, and no finding is changed by one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hearthwatch.enrichment.accounting import Accounting
from hearthwatch.enrichment.collected import PictureEnrichment
from hearthwatch.enrichment.runner import ModelCall, Runner
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed
from hearthwatch.gallery import Gallery
from hearthwatch.models import CLIPResult, LicensePlateResult, ReIDResult
from hearthwatch.models.clip import SPEC as CLIP
from hearthwatch.models.scene_text import SPEC as SCENE_TEXT
from hearthwatch.pipeline.approach import Approaches
from hearthwatch.pipeline.conflicts import resolve
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.extraction import BatchExtractionResult, extraction_of
from hearthwatch.pipeline.grouping import View
from hearthwatch.pipeline.identity import identify
from hearthwatch.pipeline.merging import fail
from hearthwatch.pipeline.plate_memory import PlateMemory
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.pipeline.threat_memory import ThreatMemory, frame_of
from hearthwatch.selection import VEHICLE_CLASSES

#: Who failed, in errors, where a conclusion did.
CONCLUSIONS = "conclusions"
#: A picture and what was found in it.
Seen = tuple[View, PictureEnrichment]


@dataclass(frozen=True, slots=True)
class _Recognisable:
    """What the gallery looks at: plates as all frames together read them."""

    reid_embeddings: Mapping[str, ReIDResult]
    plate_by_detection: Mapping[str, LicensePlateResult]


class Conclusions:
    """Draws them, and remembers what takes several batches: tracks, the plates read on them, and where weapons were.

    Args:
        runner: asked for the appearance of vehicles, where there is a gallery.
        gallery: who was seen before; None: nobody is looked up or remembered.
    """

    def __init__(self, runner: Runner, gallery: Gallery | None) -> None:
        self._runner = runner
        self._gallery = gallery
        self._approaches = Approaches()
        self._plates = PlateMemory()
        self._threats = ThreatMemory()

    async def draw(self, result: EnrichmentResult, seen: Sequence[Seen], deadline: float | None) -> PictureEnrichment:
        """Add them to a batch's result.

        Args:
            result: with everything that was found.
            seen: each picture of the batch.
            deadline: seconds of `time.monotonic`; None waits.

        Returns:
            The account of models that were asked for a conclusion alone.
        """
        beside = PictureEnrichment()
        await _alone(result, deadline, lambda: self._writing(result, seen))
        await _alone(result, deadline, lambda: self._movement(result, seen))
        await _alone(result, deadline, lambda: self._voted_plates(result, seen))
        await _alone(result, deadline, lambda: self._repeated_threats(result, seen))
        asked = Accounting(self._runner, beside)
        await _alone(result, deadline, lambda: self._identities(result, seen, asked, deadline))
        await _alone(result, deadline, lambda: self._contradictions(result, seen))
        return beside

    async def _writing(self, result: EnrichmentResult, seen: Sequence[Seen]) -> None:
        pictures = []
        for view, part in seen:
            if not view.is_frame:
                continue
            keys = [subject.id for subject in view.subjects]
            plates = {key: result.plate_by_detection[key] for key in keys if key in result.plate_by_detection}
            read, why = part.whole.results.get(SCENE_TEXT.name), _silence(part, SCENE_TEXT.name)
            pictures.append(extraction_of(keys, read, plates, unread=why))
        result.vision_extraction = BatchExtractionResult(pictures) if pictures else None

    async def _movement(self, result: EnrichmentResult, seen: Sequence[Seen]) -> None:
        if result.depth_analysis is None:
            return
        for view, _ in sorted(seen, key=lambda one: one[0].time.timestamp() if one[0].time else 0.0):
            for subject in view.subjects:
                if (distance := result.depth_analysis.distances.get(subject.id)) is not None:
                    moved = self._approaches.note(subject, distance, view.picture.size)
                    result.depth_analysis.approaches[subject.id] = moved

    async def _voted_plates(self, result: EnrichmentResult, seen: Sequence[Seen]) -> None:
        result.plate_votes = self._plates.voted(_subjects(seen), result.plate_by_detection)

    async def _repeated_threats(self, result: EnrichmentResult, seen: Sequence[Seen]) -> None:
        # A crop beside its frame has coordinates of its own, and the frame shows the same.
        views = [view for view, _ in seen if view.is_frame]
        frames = (frame_of(view.subjects, view.picture.size, result.threat_results) for view in views)
        result.repeated_threats = self._threats.note([frame for frame in frames if frame is not None])

    async def _identities(
        self, result: EnrichmentResult, seen: Sequence[Seen], asked: Runner, deadline: float | None
    ) -> None:
        if self._gallery is None:
            return
        # A text that the readings do not decide is empty, and says nothing about whose plate it is.
        plates = {
            key: replace(plate, text=voted.text, confidence=voted.confidence)
            if (voted := result.plate_votes.get(key)) is not None
            else plate
            for key, plate in result.plate_by_detection.items()
        }
        known = _Recognisable(result.reid_embeddings, plates)
        vehicles = await _appearance_of_vehicles(seen, asked, deadline)
        # Where there is a whole frame, all else are crops of it, and nobody is twice in them together.
        apart = all(view.is_frame for view, _ in seen)
        pictures = {one.id: number if apart else 0 for number, (view, _) in enumerate(seen) for one in view.subjects}
        found = await identify(_subjects(seen), known, self._gallery, vehicle_embeddings=vehicles, pictures=pictures)
        result.person_reid_matches = found.person_reid_matches
        result.vehicle_reid_matches = found.vehicle_reid_matches
        result.person_household_matches = found.person_household_matches
        result.vehicle_household_matches = found.vehicle_household_matches
        result.structured_errors += found.errors
        result.errors += [f"{error.model}: {error.message}" for error in found.errors]
        for key, reason in found.reasons.items():
            result.skipped.setdefault(key, {}).setdefault("gallery", reason)

    async def _contradictions(self, result: EnrichmentResult, seen: Sequence[Seen]) -> None:
        pictures = {subject.id: number for number, (view, _) in enumerate(seen) for subject in view.subjects}
        result.conflicts = resolve(_subjects(seen), result, pictures)


async def _appearance_of_vehicles(
    seen: Sequence[Seen], runner: Runner, deadline: float | None
) -> dict[str, CLIPResult]:
    """CLIP's embedding of each vehicle; of none where CLIP is not there or does not answer."""
    found: dict[str, CLIPResult] = {}
    for view, _ in seen if runner.offers(CLIP.name) else ():
        boxes = {one.id: one.bbox for one in view.subjects if one.class_name.lower() in VEHICLE_CLASSES}
        if not boxes:
            continue
        outcomes = await runner.run(ModelCall(CLIP.name, view.picture, tuple(boxes.values()), deadline=deadline))
        found |= {key: one.result for key, one in zip(boxes, outcomes, strict=True) if one.result is not None}
    return found


def _subjects(seen: Sequence[Seen]) -> list[DetectionInput]:
    return [subject for view, _ in seen for subject in view.subjects]


def _silence(part: PictureEnrichment, model: str) -> str:
    """Why a model said nothing about a picture as a whole."""
    if model in part.whole.skipped:
        return part.whole.skipped[model]
    failed = part.whole.errors.get(model)
    return "nobody read this picture" if failed is None else str(failed)


async def _alone(result: EnrichmentResult, deadline: float | None, draw: Callable[[], Awaitable[None]]) -> None:
    """One conclusion; whatever becomes of it, the findings and the other conclusions stay."""
    try:
        # What waits for nobody is drawn after the deadline, too; a gallery that hangs is left alone.
        async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
            await draw()
    except TimeoutError:
        fail(result, None, DeadlineExceeded("the deadline passed before all conclusions were drawn"), CONCLUSIONS)
    except HearthwatchError as error:
        fail(result, None, error, CONCLUSIONS)
    except Exception as error:  # noqa: BLE001 - everything that was found must not be lost with what follows from it
        fail(result, None, InferenceFailed(f"{type(error).__name__}: {error}"), CONCLUSIONS)
