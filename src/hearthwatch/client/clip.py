"""`ClipClient`: pictures as embeddings, and against texts, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hearthwatch.client import capabilities as ask
from hearthwatch.client.client import AnyBox, ServiceClient
from hearthwatch.client.pictures import AnyPicture
from hearthwatch.client.transport import Json
from hearthwatch.enrichment import readers as read
from hearthwatch.errors import InputError
from hearthwatch.models.clip import CLIPResult


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """How far a picture is from a baseline.

    Attributes:
        anomaly_score: 0 = as the baseline, 1 = completely different.
        similarity_to_baseline: cosine, -1 to 1.
        space: what the picture's embedding was made by; the baseline must be of the same.
    """

    anomaly_score: float
    similarity_to_baseline: float
    space: str


@dataclass(frozen=True, slots=True)
class Classification:
    """Which of some labels fits a picture.

    Attributes:
        scores: 0..1 by label; their sum is 1.
        top_label: the likeliest.
        truncated: places of labels whose end the network did not read.
    """

    scores: Mapping[str, float]
    top_label: str
    truncated: tuple[int, ...] = ()


class ClipClient(ServiceClient):
    """The CLIP service: `(await ClipClient().embed("porch.jpg")).embedding`. What it takes and raises is said at
    `EnrichmentClient`.
    """

    async def embed(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> CLIPResult:
        """A picture, or a box of it, as an embedding with its space."""
        return await self._ask(ask.EMBED, read.embedding, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def anomaly_score(
        self,
        image: AnyPicture,
        baseline_embedding: ArrayLike,
        bbox: AnyBox | None = None,
        *,
        timeout_s: float | None = None,
    ) -> AnomalyScore:
        """How far a picture is from the embedding of a usual one.

        Args:
            image: the picture.
            baseline_embedding: as many numbers as the network gives.
            bbox: of what is compared; None: the whole picture.
            timeout_s: of the whole call.

        Raises:
            InputError: a baseline without direction, or of another length than the network's embeddings.
        """
        numbers = np.asarray(baseline_embedding, np.float64)
        if numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise InputError(f"a baseline is a list of finite numbers; got an array of {numbers.shape}")
        fields = {"baseline_embedding": numbers.tolist(), "bbox": bbox}
        return await self._ask(ask.ANOMALY, _anomaly, image, fields, timeout_s=timeout_s)

    async def classify(
        self,
        image: AnyPicture,
        labels: Sequence[str],
        bbox: AnyBox | None = None,
        *,
        use_ensemble: bool = True,
        timeout_s: float | None = None,
    ) -> Classification:
        """A probability for each label.

        Args:
            image: the picture.
            labels: up to 100 descriptions.
            bbox: of what is meant; None: the whole picture.
            use_ensemble: read each label in several sentences about surveillance pictures.
            timeout_s: of the whole call.
        """
        fields = {"labels": _texts(labels, "labels"), "use_ensemble": use_ensemble, "bbox": bbox}
        return await self._ask(ask.CLASSIFY, _classification, image, fields, timeout_s=timeout_s)

    async def similarity(
        self, image: AnyPicture, text: str, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> float:
        """How well a text fits a picture: the cosine, of a fitting text about 0.3."""
        fields = {"text": text, "bbox": bbox}
        return await self._ask(ask.SIMILARITY, _similarity, image, fields, timeout_s=timeout_s)

    async def batch_similarity(
        self, image: AnyPicture, texts: Sequence[str], bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> dict[str, float]:
        """How well each of up to 100 texts fits a picture: cosines by text."""
        fields = {"texts": _texts(texts, "texts"), "bbox": bbox}
        return await self._ask(ask.BATCH_SIMILARITY, _similarities, image, fields, timeout_s=timeout_s)

    async def check_health(self) -> dict[str, Any]:
        """What the service says of itself.

        Raises:
            EnrichmentUnavailableError: it does not answer.
        """
        return await self.service(ask.EMBED.service).tell("/health")


def _texts(texts: Sequence[str], name: str) -> list[str]:
    if isinstance(texts, str) or not texts:
        raise InputError(f"{name} are one text or more in a list; got {texts!r}")
    return list(texts)


def _scores(told: Any) -> dict[str, float]:
    return {str(text): float(value) for text, value in told.items()}


def _anomaly(told: Json) -> AnomalyScore:
    return AnomalyScore(float(told["anomaly_score"]), float(told["similarity_to_baseline"]), str(told["space"]))


def _classification(told: Json) -> Classification:
    return Classification(_scores(told["scores"]), str(told["top_label"]), tuple(told["truncated"]))


def _similarity(told: Json) -> float:
    return float(told["similarity"])


def _similarities(told: Json) -> dict[str, float]:
    return _scores(told["similarities"])
