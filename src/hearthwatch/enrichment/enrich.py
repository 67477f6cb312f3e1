"""One picture's detections: select models, run them at the same time, isolate failures, collect.

`/enrich` and the pipeline both call this. A model that fails costs its own part of the answer and nothing else. The
picture is decoded once, and a model that looks at the whole of it runs once, however many detections there are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from hearthwatch.enrichment.action import recognize_actions
from hearthwatch.enrichment.asking import NOT_IN_THIS_VERSION, Asking, Found
from hearthwatch.enrichment.collected import DetectionEnrichment, PictureEnrichment
from hearthwatch.enrichment.demographics import tell_demographics
from hearthwatch.enrichment.frames import SEVERAL, Frame
from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.plan import ACTION, DEMOGRAPHICS, Subject, Wanted, keys_of, persons, plan
from hearthwatch.enrichment.runner import Runner
from hearthwatch.selection import FOLLOW_UPS
from hearthwatch.vision.picture import Picture


async def enrich_picture(
    runner: Runner,
    picture: Picture,
    subjects: Sequence[Subject],
    *,
    frames: Sequence[Frame] = (),
    labels: Sequence[str] = (),
    deadline: float | None = None,
    pace: Pace | None = None,
    beside: bool = True,
    whole: bool = True,
    absent: str = NOT_IN_THIS_VERSION,
) -> PictureEnrichment:
    """Run every model that these detections deserve on one picture.

    The weapon detector is asked first, then the others by priority; all are asked without waiting for each other's
    answers, but for those that look at what another one found. Where time is short, the least valuable are left out.

    Args:
        runner: where the models run.
        picture: that all boxes refer to.
        subjects: the detections, with boxes inside the picture.
        frames: further pictures of the same camera in the order of time, for the action of suspicious people.
        labels: actions to choose from; none: the documented ones.
        deadline: seconds of `time.monotonic`; None waits.
        pace: what models take, kept from one call to the next; None knows nothing, so that nothing is left out.
        beside: ask the pipeline's own models (faces, plates, weather …) as well.
        whole: the picture is all that a camera saw, so that its own models are asked about it as a whole.
        absent: the reason that is given for a model that the runner does not offer.
    """
    enrichment = PictureEnrichment({subject.id: DetectionEnrichment() for subject in subjects})
    pace = Pace() if pace is None else pace
    asking = Asking(runner, picture, enrichment, deadline, pace, absent)
    wanted = plan(subjects, several_frames=len(frames) >= SEVERAL, beside=beside, whole=whole)
    started = time.perf_counter()
    await _ask_all(asking, asking.in_time(_offered(asking, wanted)), persons(subjects), frames, labels)
    pace.note_together(list(enrichment.timings.values()), (time.perf_counter() - started) * 1000)
    enrichment.close()
    return enrichment


def _offered(asking: Asking, wanted: Wanted) -> Wanted:
    """What can be asked; the rest is written down as skipped."""
    return {model: about for model, about in wanted.items() if asking.offers(model, keys_of(about))}


async def _ask_all(
    asking: Asking, asked: Wanted, people: Sequence[Subject], frames: Sequence[Frame], labels: Sequence[str]
) -> None:
    tasks: dict[str, asyncio.Task[Found]] = {}

    async def found_by(model: str) -> Found:
        return await tasks[model] if model in tasks else {}

    # Made in the order of their value: that is the order in which they reach the runner.
    async with asyncio.TaskGroup() as group:
        for model, about in asked.items():
            if model not in (DEMOGRAPHICS, ACTION):
                tasks[model] = group.create_task(_ask_and_follow_up(asking, model, about))
        late = asking.enrichment.late
        if people and asking.runner.offers(DEMOGRAPHICS) and DEMOGRAPHICS not in late:
            group.create_task(tell_demographics(asking, people, found_by))
        if people and len(frames) >= SEVERAL and ACTION not in late:
            group.create_task(recognize_actions(asking, people, frames, labels, found_by))


async def _ask_and_follow_up(asking: Asking, model: str, about: Sequence[Subject]) -> Found:
    """One model for all its detections, then the model that looks at what it found."""
    if not about:
        return await asking.ask_whole(model)
    found = await asking.ask(model, {subject.id: subject.bbox for subject in about})
    follow_up = FOLLOW_UPS.get(model)
    if follow_up is not None and found and asking.offers(follow_up, list(found)):
        await asking.ask_later(follow_up, {key: result.box for key, result in found.items()})
    return found
