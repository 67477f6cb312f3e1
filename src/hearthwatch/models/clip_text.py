"""CLIP's text tower: a sentence to 768 numbers, near those of pictures that it describes.

Network  the text transformer of CLIP ViT-L/14 (Radford et al. 2021, arXiv:2103.00020); that of any CLIP.
Weights  those of `clip`: one folder holds both towers. Its `vocab.json` and `merges.txt` are needed too.
Input    77 token numbers of CLIP's byte-pair encoding; what is longer is cut, and the result says so.
Output   (N, 768), scaled to length 1 here.
Limits   English captions of the Web. Negations ("no weapon") are hardly understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_direction
from hearthwatch.adapter.base import Run, TextAdapter
from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.tokens import TextDescription, TokenSpec
from hearthwatch.models.clip import card_output, embedding_output, embeddings_of
from hearthwatch.vision.image import Float

#: Tokens of a text that CLIP reads, its start and end included (section 2.4).
CONTEXT_LENGTH = 77
#: Texts of one call of the network: what they take in memory is what a probe measures.
TEXTS_PER_RUN = 8


@dataclass(frozen=True, slots=True, eq=False)
class TextEmbedding:
    """One text.

    Attributes:
        embedding: (D,) float32, length 1; of X-CLIP as the tower gives it.
        truncated: the text was longer than the network reads, and its end is not in the embedding.
        network: what made it, such as `clip-vit-large-patch14`.
        digest: of the checkpoint that both towers come from; pictures with the same digest can be compared.
    """

    embedding: Float = field(repr=False)
    truncated: bool = False
    network: str = "clip"
    digest: str = ""

    @property
    def space(self) -> str:
        """Which embeddings it belongs with."""
        return f"{self.network}/{self.digest}"

    def to_context_string(self) -> str:
        """One line."""
        return f"CLIP: text recorded ({len(self.embedding)} numbers)"

    def to_wire(self) -> dict[str, Any]:
        """One text as plain values; the embedding stays an array."""
        return {"embedding": self.embedding, "truncated": self.truncated, "space": self.space}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One text read again."""
        network, _, digest = told["space"].rpartition("/")
        return cls(np.asarray(told["embedding"], np.float32), told["truncated"], network, digest)


class TextAnswer(wire.Answer):
    """One text as an embedding."""

    embedding: list[float] = Field(description="Numbers of length 1 together: 768 of CLIP ViT-L/14.")
    truncated: bool = Field(description="Whether the text was longer than the network reads.")
    space: str = Field(description="Which embeddings it may be compared with.")


SPEC = Spec(
    name="clip_text",
    title="CLIP text embedding",
    scope=Scope.TEXT,
    priority=Priority.HIGH,
    triggers=(),
    declared_mb=240,  # of CLIP's documented 800
    input=TokenSpec("input_ids", CONTEXT_LENGTH),
    agreement=Agreement("cosine", 0.999, lambda a, b: same_direction(a.embedding, b.embedding)),
    variables=("CLIP_MODEL_PATH",),
    tower="text",
)


class CLIPTextAdapter(TextAdapter[TextEmbedding]):
    """The text tower: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = TextEmbedding
    RESPONSE = TextAnswer
    #: Whether embeddings are brought to length 1.
    UNIT: ClassVar[bool] = True

    def __init__(self, description: TextDescription) -> None:
        super().__init__(description)
        card = description.card
        self.output, self.dimension = embedding_output(description.graph, "text_embeds", card_output(description))
        self.network = card.network or "clip"
        self.digest = card.space or f"sha256:{description.graph.digest[:16]}"
        self.tokenizer = ClipTokenizer(description.vocabulary, description.tokens.length)

    def read(self, texts: Sequence[str], run: Run) -> list[TextEmbedding]:
        """N texts to N results."""
        tokens = self.tokenizer.encode(texts)
        # Nothing looks at what comes behind a text's end, and reading it would take most of the time.
        width = self.tokens.row_length(tokens.longest)
        results: list[TextEmbedding] = []
        for start in range(0, len(texts), TEXTS_PER_RUN):
            part = slice(start, start + TEXTS_PER_RUN)
            inputs = {self.tokens.name: tokens.ids[part, :width].astype(self.tokens.dtype)}
            if self.tokens.mask is not None:
                inputs[self.tokens.mask] = tokens.mask[part, :width].astype(self.tokens.dtype)
            cut = tokens.truncated[part]
            embeddings = embeddings_of(np.asarray(run(inputs)[self.output]), len(cut), to_unit=self.UNIT)
            results += [
                TextEmbedding(embedding, is_cut, self.network, self.digest)
                for embedding, is_cut in zip(embeddings, cut, strict=True)
            ]
        return results


class CLIPTextModel(Model[TextEmbedding]):
    """Embed texts: `CLIPTextModel("/models/clip-vit-l").embed_texts(["a person with a box"])`."""

    ADAPTER = CLIPTextAdapter

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """An embedding for each text."""
        return self._read(texts)
