"""A camera's usual picture, in numbers, and what is suddenly missing from a new one.

Lens covered, sprayed or turned out of focus: what tamper detectors look for is texture and sharpness that the camera's
own earlier pictures had (Ribnick et al. 2006, Saglam and Temizel 2009, both IEEE AVSS). It may be a person who fills
the view, rain on the lens or a broken lamp as well, so it is called possible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hearthwatch.vision.image import Float
from hearthwatch.vision.quality import GRID, Measures

#: Pictures before anything is called sudden: one or two may themselves be the exception.
LEAST_PICTURES = 5
#: The weight of the newest picture in the running means, once there are 20: what stays is usual after some 14 pictures.
NEWEST = 0.05
#: Share of the cells that usually show something and must be blank at once. A person at arm's length fills less.
COVERED_SHARE = 0.5
#: A cell usually shows something if it did in at least this share of the pictures.
_USUALLY = 0.5
#: Cells of 384 that must usually show something, or covered cannot be told: a twentieth of the picture.
_LEAST_CELLS = GRID[0] * GRID[1] // 20
#: Sharpness that may not be lost at once: of 48 photos (medians) a blur of 1.2 px takes 0.15, one of 2 px 0.29.
LOST_SHARPNESS = 0.2


@dataclass(slots=True)
class UsualPicture:
    """Running means of one camera in one light.

    Attributes:
        pictures: seen so far.
        sharpness: 0..1.
        texture: (16, 24) share of the pictures in which each cell showed something, 0..1.
    """

    pictures: int = 0
    sharpness: float = 0.0
    texture: Float = field(default_factory=lambda: np.zeros(GRID, np.float32))

    def missing_from(self, measures: Measures) -> list[str] | None:
        """What a new picture suddenly lacks, as phrases; None where too few pictures are known to say."""
        if self.pictures < LEAST_PICTURES:
            return None
        usual = self.texture >= _USUALLY
        cells = int(usual.sum())
        phrases = []
        if cells >= _LEAST_CELLS:
            gone = int((usual & ~measures.texture).sum()) / cells
            if gone >= COVERED_SHARE:
                phrases.append(f"{gone:.0%} of what it usually shows is blank")
        if self.sharpness - measures.sharpness >= LOST_SHARPNESS:
            phrases.append(f"its sharpness is {measures.sharpness:.2f} where {self.sharpness:.2f} is usual")
        return phrases

    def learn(self, measures: Measures) -> None:
        """Move the means by one picture."""
        self.pictures += 1
        rate = max(NEWEST, 1 / self.pictures)
        self.sharpness += rate * (measures.sharpness - self.sharpness)
        self.texture += np.float32(rate) * (measures.texture - self.texture)
