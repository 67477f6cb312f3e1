"""A camera's usual CLIP embedding, and how far a new one is from it. Embeddings of different spaces never meet."""

from __future__ import annotations

import numpy as np

from hearthwatch.models.clip import CLIPResult, anomaly_score
from hearthwatch.pipeline.baseline import NEWEST
from hearthwatch.vision.embeddings import SMALLEST_NORM, cosine_similarity, unit
from hearthwatch.vision.image import Float


class UsualEmbedding:
    """The direction in the middle of what one camera has shown in one light, which follows slowly; empty at first."""

    def __init__(self) -> None:
        self._space = ""
        self._vector: Float | None = None
        self._pictures = 0

    def distance(self, embedding: CLIPResult) -> float | None:
        """1 - cosine, 0..1; None without an earlier embedding of the same space.

        Raises:
            ValueError: an embedding without direction, or not of the size of the earlier ones.
        """
        vector = unit(embedding.embedding)
        if self._vector is None or self._space != embedding.space:
            return None
        return anomaly_score(cosine_similarity(vector, self._vector))

    def learn(self, embedding: CLIPResult) -> None:
        """Move towards it; one of another space begins anew. Raises as `distance` does."""
        vector = unit(embedding.embedding)
        if self._vector is None or self._space != embedding.space:
            self._space, self._vector, self._pictures = embedding.space, vector, 1
            return
        self._pictures += 1
        middle = self._vector + max(NEWEST, 1 / self._pictures) * (vector - self._vector)
        # Two opposite directions have no middle; the newer one is what is there now.
        self._vector = unit(middle) if float(np.linalg.norm(middle)) >= SMALLEST_NORM else vector
