"""What the action recogniser learns from: people in drawn scenes, cut out as its adapter shows a frame. No torch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hearthwatch.adapter.frames import PADDING
from hearthwatch.models.action_recognizer import ACTION_MARGIN
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop, pad_to_square
from hearthwatch.vision.image import Image
from training.augment import resized
from training.clips import MOTIONS
from training.dataset import AnyScene
from training.gather import Rows
from training.scenes.labels import Person

#: Side of what is kept, and the margin around the person in it: that of the adapter, and room to shift.
KEPT_PX, WIDE_MARGIN = 144, 0.45
#: Of whom one can say what he does: least longer side in pixels, and least visible share.
LEAST_PX, LEAST_VISIBLE = 48, 0.7
#: Where the adapter's square lies in what is kept, as shares.
_EDGE = (WIDE_MARGIN - ACTION_MARGIN) / (1 + 2 * WIDE_MARGIN)
_INNER = np.array([_EDGE, _EDGE, 1 - _EDGE, 1 - _EDGE], np.float32)


def action_in(person: Person) -> str | None:
    """The action of MOTIONS that a posture may be a moment of; None for others."""
    if person.arms_raised:
        return None
    for action, motion in MOTIONS.items():
        if (person.posture, person.carries) == (motion.posture, motion.carries):
            return action
    return None


def examples(known: Iterable[AnyScene]) -> Rows:
    """`classify.Examples` by name: everybody in these scenes who does one of these things."""
    labels = list(MOTIONS)
    pixels, label = [], []
    for scene in known:
        image = Image.of(scene.picture)
        for person in scene.people:
            action = action_in(person)
            is_clear = person.visible >= LEAST_VISIBLE and max(person.box.width, person.box.height) >= LEAST_PX
            if action is not None and is_clear:
                square = pad_to_square(crop(image, _around(person.box)), PADDING)
                pixels.append(resized(square.pixels, (KEPT_PX, KEPT_PX)))
                label.append(labels.index(action))
    inner = np.tile(_INNER, (len(pixels), 1))
    return {"pixels": np.stack(pixels), "inner": inner, "label": np.array(label, np.int64)} if pixels else {}


def _around(box: Box) -> Box:
    half = max(box.width, box.height) * (0.5 + WIDE_MARGIN)
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return Box(x - half, y - half, x + half, y + half)
