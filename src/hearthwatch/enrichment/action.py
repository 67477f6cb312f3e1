"""Whose action is asked for: that of who is suspicious by the score, a weapon or a posture, where there are frames."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hearthwatch.enrichment.asking import Asking, FoundBy
from hearthwatch.enrichment.frames import Frame, checked
from hearthwatch.enrichment.plan import ACTION, POSE, Subject, is_suspicious
from hearthwatch.errors import InputError

THREAT = "threat_detector"


async def recognize_actions(
    asking: Asking, persons: Sequence[Subject], frames: Sequence[Frame], labels: Sequence[str], found_by: FoundBy
) -> None:
    """Ask about everybody who is suspicious, at once.

    Args:
        asking: of the picture.
        persons: all of it.
        frames: in the order of time.
        labels: actions to choose from; none: the documented ones.
        found_by: what the other models find.
    """
    boxes = {person.id: person.bbox for person in await _suspicious(persons, found_by)}
    if not boxes or not asking.offers(ACTION, list(boxes)):
        return
    try:
        pictures = await asyncio.to_thread(checked, frames)
    except InputError as error:
        asking.enrichment.fail(ACTION, list(boxes), error)
        return
    options = (("labels", tuple(labels)),) if labels else ()
    await asking.ask_later(ACTION, boxes, frames=pictures, options=options)


async def _suspicious(persons: Sequence[Subject], found_by: FoundBy) -> list[Subject]:
    """By the score at once; where that leaves somebody, after weapons and postures are known."""
    if all(map(is_suspicious, persons)):
        return list(persons)
    threats, poses = await found_by(THREAT), await found_by(POSE)
    noticed = {key for key, result in threats.items() if result.has_threat}
    noticed |= {key for key, result in poses.items() if result.is_suspicious}
    return [person for person in persons if is_suspicious(person) or person.id in noticed]
