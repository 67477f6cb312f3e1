"""`EnrichmentPipeline`: a batch of detections to everything that is known about them.

Detections are grouped by picture, each picture is decoded once, and one failure costs only its own part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hearthwatch.enrichment.collected import PIPELINE, PictureEnrichment
from hearthwatch.enrichment.enrich import enrich_picture
from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.parts import Wishes, became_of, parts_of
from hearthwatch.enrichment.runner import Runner
from hearthwatch.errors import ImageError, InputError
from hearthwatch.gallery import Gallery
from hearthwatch.pipeline.conclusions import Conclusions
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.grouping import Images, View, group, inside, open_picture
from hearthwatch.pipeline.looks import Look, look_at, standard_looks
from hearthwatch.pipeline.merging import fail, merge, track
from hearthwatch.pipeline.results import EnrichmentResult, EnrichmentTrackingResult
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.picture import Picture

Detections = Sequence[DetectionInput | Mapping[str, Any]]
#: Pictures of a batch that are worked on at once. One keeps a small machine busy; the others are decoded meanwhile, and
#: with 24 MB for each 4K picture a large batch stays small in memory.
PICTURES_AT_ONCE = 4


class EnrichmentPipeline:
    """Enriches detections with whatever models the runner offers.

    Args:
        runner: this process, remote services, or both.
        gallery: who was seen before and who lives here; None: nobody is looked up or remembered.
        looks: what looks at each picture as a whole without searching for anything; None: its quality, and whether the
            camera's view has changed.
        pictures_at_once: that are worked on at the same time.
        timeout_s: what is not answered then is an error of its own; None waits.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        gallery: Gallery | None = None,
        looks: Sequence[Look] | None = None,
        pictures_at_once: int = PICTURES_AT_ONCE,
        timeout_s: float | None = None,
    ) -> None:
        self._runner = runner
        self._looks = standard_looks() if looks is None else tuple(looks)
        self._at_once = pictures_at_once
        self._timeout_s = timeout_s
        self._pace = Pace()
        self._conclusions = Conclusions(runner, gallery)

    async def enrich_batch(
        self, detections: Detections, images: Images, camera_id: str | None = None
    ) -> EnrichmentResult:
        """As `enrich_batch_with_tracking`, without the account of models; empty where nothing was attempted."""
        tracked = await self.enrich_batch_with_tracking(detections, images, camera_id)
        return tracked.data or EnrichmentResult()

    async def enrich_batch_with_tracking(
        self, detections: Detections, images: Images, camera_id: str | None = None
    ) -> EnrichmentTrackingResult:
        """Enrich detections and say which models answered and which failed.

        Args:
            detections: `DetectionInput` or the documented dictionaries.
            images: detection id to the picture that its box refers to; None is the whole frame, for all others. What
                is asked of whole pictures is asked of it; without one, of every picture.
            camera_id: filled in where a detection names no camera.

        Raises:
            InputError: detections that cannot be read, or two with one id. A bad box or picture is one of `errors`.
        """
        started = time.perf_counter()
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        subjects = [_with_camera(DetectionInput.of(value, i), camera_id) for i, value in enumerate(detections)]
        if len({subject.id for subject in subjects}) != len(subjects):
            raise InputError("two detections of the batch have the same id")
        result = EnrichmentResult()
        # In a thread: it reads files, and a PIL image may still have to be decoded.
        grouped = await asyncio.to_thread(group, subjects, images, camera_id)
        for key, error in grouped.lost.items():
            fail(result, key, error)
        turns = asyncio.Semaphore(self._at_once)
        parts = await asyncio.gather(*(self._enrich(view, turns, deadline) for view in grouped.views))
        for part in parts:
            merge(result, part)
        beside = await self._conclusions.draw(result, list(zip(grouped.views, parts, strict=True)), deadline)
        result.processing_time_ms = (time.perf_counter() - started) * 1000
        return track(result, [*parts, beside])

    async def enrich_detection(
        self,
        image: Picture | PictureLike,
        detection: DetectionInput | Mapping[str, Any],
        frames_buffer: Sequence[Picture | PictureLike] | None = None,
    ) -> dict[str, Any]:
        """One detection as `POST /enrich` answers it, for callers and formatters that work with dictionaries.

        Args:
            image: that its box refers to.
            detection: `DetectionInput` or the documented dictionary.
            frames_buffer: further pictures of the camera in the order of time, for the action of somebody suspicious.

        Returns:
            The parts that there are, by the names of `/enrich` (`pose`, `threat`, `reid_embedding` …), and
            `models_loaded`, `skipped`, `errors` and `status`.

        Raises:
            InputError: a detection that cannot be read, or a box outside the picture.
            ImageError: the picture is none. A frame that is none costs the action alone.
        """
        subject = DetectionInput.of(detection)
        picture, frames = await asyncio.to_thread(
            lambda: (open_picture(image), [open_picture(frame) for frame in frames_buffer or ()])
        )
        if isinstance(picture, ImageError):
            raise picture
        seen = inside(subject, *picture.size)
        enrichment = await enrich_picture(self._runner, picture, [seen], frames=frames, pace=self._pace, beside=False)
        found = enrichment.detections[subject.id]
        if PIPELINE in found.errors:
            raise found.errors[PIPELINE]
        parts = parts_of(found, enrichment, Wishes())
        return {name: part for name, part in parts.items() if part is not None} | became_of(found, enrichment)

    async def _enrich(self, view: View, turns: asyncio.Semaphore, deadline: float | None) -> PictureEnrichment:
        """Everything about one picture: what the models find in it, and what it is like."""
        async with turns:
            enrichment, looked = await asyncio.gather(
                enrich_picture(
                    self._runner,
                    view.picture,
                    view.subjects,
                    deadline=deadline,
                    pace=self._pace,
                    whole=view.is_frame,
                ),
                look_at(self._looks if view.is_frame else (), view, self._runner, deadline),
            )
        enrichment.add_whole(looked)
        return enrichment


def _with_camera(subject: DetectionInput, camera_id: str | None) -> DetectionInput:
    return replace(subject, camera=camera_id) if subject.camera is None and camera_id is not None else subject
