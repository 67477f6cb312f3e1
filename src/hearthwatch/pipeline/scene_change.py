"""Scene change: whether a camera still shows what it usually shows.

A picture is compared with the camera's own baseline of the same light: by structure (SSIM), and by meaning (CLIP) where
an embedding is given. A camera that was turned, a lens that is covered, a fence that is gone: changed. People and
vehicles are left out by their boxes; light that changes slowly is followed.

Limits  A camera that is moved by its motor changes its scene each time. Snow, a lamp that is switched on and shadows of
        a low sun may count as a change when pictures are few and far between. One baseline a light is not a weather.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import cv2
import numpy as np

from hearthwatch.adapter import wire
from hearthwatch.models.clip import ANOMALY_THRESHOLD, CLIPResult
from hearthwatch.pipeline.baseline import Baseline, View
from hearthwatch.pipeline.cameras import MOST_CAMERAS, Cameras
from hearthwatch.pipeline.daylight import Daylight, Period
from hearthwatch.pipeline.usual_embedding import UsualEmbedding
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.light import reduced
from hearthwatch.vision.quality import WORKING_SIDE, largest_share, textured, told_light

#: Similarity below which a scene has changed. Of 26 real views, made noisier, darker, brighter or lit from one side,
#: none came below 0.85, and a campus camera's own pictures within nine minutes not below 0.71; turned by a twentieth of
#: the view or more, or covered but for a fifth, none was above 0.35 (docs/pictures.md).
LEAST_SIMILARITY = 0.40
#: Share of the picture that must be compared before anything is said.
LEAST_COMPARED = 0.25


@dataclass(frozen=True, slots=True)
class SceneChangeResult:
    """One picture against its camera's baseline.

    Attributes:
        changed: None where there is nothing to compare with.
        reason: what differs, or why nothing can be said; empty where nothing changed.
        similarity: mean SSIM, -1..1; None where it was not compared.
        compared_share: share of the picture that is neither hidden by detections nor unknown to the baseline, 0..1.
        embedding_distance: 1 - cosine to the usual embedding, 0..1; None without one of the same space.
        period: whose baseline it was compared with; None without a camera.
        pictures: that the baseline was made of, before this one.
    """

    changed: bool | None
    reason: str = ""
    similarity: float | None = None
    compared_share: float = 0.0
    embedding_distance: float | None = None
    period: Period | None = None
    pictures: int = 0

    def to_context_string(self) -> str:
        """One line."""
        if self.changed is None:
            return f"Scene change: not known ({self.reason})"
        return f"Scene change: {self.reason}" if self.changed else "Scene change: none"

    def to_wire(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "changed": self.changed,
            "reason": self.reason,
            "similarity": wire.share(self.similarity),
            "compared_share": wire.share(self.compared_share),
            "embedding_distance": wire.share(self.embedding_distance),
            "period": self.period,
            "pictures": self.pictures,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The same read again, up to the rounding."""
        return cls(
            told["changed"],
            told["reason"],
            told["similarity"],
            wire.number(told["compared_share"]),
            told["embedding_distance"],
            told["period"],
            told["pictures"],
        )


class SceneChange:
    """Compares pictures with what each camera usually shows, by day and by night. Safe for several threads.

    Args:
        most_cameras: remembered; of more, those that were used last.
    """

    def __init__(self, *, most_cameras: int = MOST_CAMERAS) -> None:
        self._cameras = Cameras(_Memory, most_cameras)

    def compare(
        self,
        image: Image,
        camera: str | None,
        when: datetime | None,
        *,
        boxes: Sequence[Box] = (),
        embedding: CLIPResult | None = None,
    ) -> SceneChangeResult:
        """A picture against its camera's baseline, which then follows it a little.

        Args:
            image: a whole picture; a camera's are of one shape, of whatever size.
            camera: whose it is; None is nobody's: nothing is compared and nothing remembered.
            when: it was taken, in the camera's own time; it helps to tell day from night.
            boxes: of detections, in picture pixels; what is in them is no part of the scene.
            embedding: CLIP's of the whole picture.

        Raises:
            ValueError: an embedding without direction, or not of the size that its space has had.
        """
        if camera is None:
            return SceneChangeResult(None, "no camera is named")
        small = Image(reduced(image, WORKING_SIDE), image.region)
        grey = np.asarray(cv2.cvtColor(small.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        light = told_light(small.pixels, largest_share(~textured(grey)))
        view = View.of(small, boxes)
        with self._cameras.memory(camera) as memory:
            period = memory.daylight.tell(light, when)
            scene = memory.scenes.get(period)
            if scene is None or scene.baseline.grey.shape != view.grey.shape:
                why = "first picture of this camera in this light" if scene is None else "the picture's shape is new"
                scene = memory.scenes[period] = _Scene(view)
                result = SceneChangeResult(None, why, period=period)
            else:
                distance = None if embedding is None else scene.embedding.distance(embedding)
                result = _result(scene.baseline, view, distance, period)
            scene.learn(view, embedding, changed=bool(result.changed))
        return result


class _Memory:
    """Of one camera."""

    def __init__(self) -> None:
        self.daylight = Daylight()
        self.scenes: dict[Period, _Scene] = {}


class _Scene:
    """What one camera shows in one light: a picture, and an embedding where there was one."""

    def __init__(self, view: View) -> None:
        self.baseline = Baseline.like(view)
        self.embedding = UsualEmbedding()

    def learn(self, view: View, embedding: CLIPResult | None, *, changed: bool) -> None:
        self.baseline.learn(view, changed=changed)
        if embedding is not None:
            self.embedding.learn(embedding)


def _result(baseline: Baseline, view: View, distance: float | None, period: Period) -> SceneChangeResult:
    similarity, compared = baseline.compare(view)
    if compared < LEAST_COMPARED:
        similarity = None
    differs = []
    if similarity is not None and similarity < LEAST_SIMILARITY:
        differs.append(f"similarity to the usual picture {similarity:.2f}, below {LEAST_SIMILARITY:.2f}")
    if distance is not None and distance > ANOMALY_THRESHOLD:
        differs.append(f"distance to the usual embedding {distance:.2f}, above {ANOMALY_THRESHOLD:.2f}")
    changed: bool | None = bool(differs)
    if similarity is None and distance is None:
        changed, differs = None, [f"only {compared:.0%} of the picture could be compared"]
    return SceneChangeResult(changed, "; ".join(differs), similarity, compared, distance, period, baseline.pictures)
