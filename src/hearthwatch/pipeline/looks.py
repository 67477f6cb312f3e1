"""What a picture itself is like, told without any model that looks for something in it.

A look may remember each camera. It runs beside the models, and its failure costs its own finding alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from hearthwatch.enrichment.accounting import Accounting
from hearthwatch.enrichment.collected import PIPELINE, PictureEnrichment
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Runner
from hearthwatch.errors import HearthwatchError, ImageError, InferenceFailed
from hearthwatch.models.clip import SPEC as CLIP
from hearthwatch.models.clip import CLIPResult
from hearthwatch.pipeline.grouping import View
from hearthwatch.pipeline.image_quality import ImageQuality
from hearthwatch.pipeline.scene_change import SceneChange


class Look(Protocol):
    """One way to look at a picture."""

    @property
    def name(self) -> str:
        """Whose finding it is, as a model's name."""
        ...

    async def look(self, view: View, runner: Runner, deadline: float | None) -> Any:
        """What it found.

        Raises:
            HearthwatchError: it could not be told.
        """
        ...


class QualityLook:
    """Sharpness, noise, exposure and obstruction, and whether this camera's picture dropped suddenly."""

    name = "image_quality"

    def __init__(self) -> None:
        self._quality = ImageQuality()

    async def look(self, view: View, runner: Runner, deadline: float | None) -> Any:  # noqa: ARG002 - needs none
        return await asyncio.to_thread(
            lambda: self._quality.measure(view.picture.image(), view.camera, view.time),
        )


class SceneLook:
    """How far a camera's view is from its usual one. CLIP is asked where it is there and the camera is known."""

    name = "scene_change"

    def __init__(self) -> None:
        self._scenes = SceneChange()

    async def look(self, view: View, runner: Runner, deadline: float | None) -> Any:
        embedding = await _embedding(view, runner, deadline)
        boxes = [subject.bbox for subject in view.subjects]
        return await asyncio.to_thread(
            lambda: self._scenes.compare(view.picture.image(), view.camera, view.time, boxes=boxes, embedding=embedding)
        )


def standard_looks() -> tuple[Look, ...]:
    """Those of a pipeline that was told nothing else; each has a memory of its own."""
    return (QualityLook(), SceneLook())


async def look_at(looks: Sequence[Look], view: View, runner: Runner, deadline: float | None) -> PictureEnrichment:
    """Everything that these looks tell of one picture, each on its own."""
    told = PictureEnrichment()
    asked = Accounting(runner, told)
    await asyncio.gather(*(_one(look, view, asked, deadline, told) for look in looks))
    return told


async def _one(look: Look, view: View, runner: Runner, deadline: float | None, told: PictureEnrichment) -> None:
    started = time.perf_counter()
    try:
        found = await look.look(view, runner, deadline)
    except ImageError as error:
        told.whole.errors[PIPELINE] = error
    except HearthwatchError as error:
        told.fail(look.name, [None], error)
    except Exception as error:  # noqa: BLE001 - the models' answers must not be lost with this one's
        told.fail(look.name, [None], InferenceFailed(f"{look.name} failed: {type(error).__name__}: {error}"))
    else:
        told.whole.results[look.name] = found
        told.timings[look.name] = CallTimings(preprocess_ms=(time.perf_counter() - started) * 1000)


async def _embedding(view: View, runner: Runner, deadline: float | None) -> CLIPResult | None:
    """CLIP's view of the picture; None where nobody remembers the camera or CLIP does not answer."""
    if view.camera is None or not runner.offers(CLIP.name):
        return None
    outcome = (await runner.run(ModelCall(CLIP.name, view.picture, deadline=deadline)))[0]
    found: CLIPResult | None = outcome.result
    return found
