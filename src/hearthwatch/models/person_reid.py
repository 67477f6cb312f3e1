"""Person re-identification: 512 numbers that are near for the same person's clothes and build.

Network  OSNet-x0.25 (Zhou et al. 2019, arXiv:1905.00953).
Weights  torchreid's model zoo, trained on MSMT17, MIT. Never the ImageNet file: it tells objects apart, not people.
Input    a crop of one person, squashed to 256 x 128, ImageNet mean and std.
Output   (N, 512), scaled to length 1 here.
Limits   Mostly clothing: forget it after a day. Published rank-1 across data sets is 59.9 % (MSMT17 to Market-1501).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_direction
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.embeddings import cosine_similarity, embedding_hash, unit
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec, preprocessing_name

OSNET_INPUT_HEIGHT = 256
OSNET_INPUT_WIDTH = 128
EMBEDDING_DIMENSION = 512
#: What a space begins with, where the weights do not name their network.
NETWORK = "osnet"
#: For OSNet's space (DESIGN.md); a site replaces it by its own calibration.
DEFAULT_SIMILARITY_THRESHOLD = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class ReIDResult:
    """One person's appearance.

    Attributes:
        embedding: (512,) float32, length 1.
        hash: 16 hexadecimal digits of the exact vector: a look-up key.
        space: network, weights and preprocessing that made it, as `osnet/sha256:…/256x128-squash-antialias`; vectors of
            different spaces are never compared. Empty where nobody said.
    """

    embedding: Float = field(repr=False)  # 512 numbers say nothing in a log, and do not belong there
    hash: str = ""
    space: str = ""

    def __post_init__(self) -> None:
        if not self.hash:
            object.__setattr__(self, "hash", embedding_hash(self.embedding))

    def to_context_string(self) -> str:
        """One line; the numbers mean nothing to a reader."""
        return f"Re-ID: appearance recorded ({len(self.embedding)} numbers)"

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/person-reid`; the embedding stays an array, which the JSON writers take."""
        return {
            "embedding": self.embedding,
            "embedding_dim": len(self.embedding),
            "embedding_hash": self.hash,
            "space": self.space,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/person-reid` read again."""
        return cls(np.asarray(told["embedding"], np.float32), told["embedding_hash"], told["space"])


class ReIDAnswer(wire.Answer):
    """One person's appearance."""

    embedding: list[float] = Field(description="512 numbers, of length 1 together.")
    embedding_dim: int = Field(description="How many numbers there are.")
    embedding_hash: str = Field(description="16 hexadecimal digits of the exact vector: a look-up key.")
    space: str = Field(description="Network, weights and preprocessing; only those of one are comparable.")


SPEC = Spec(
    name="person_reid",
    title="Person re-identification",
    scope=Scope.CROP,
    priority=Priority.MEDIUM,
    triggers=("person",),
    declared_mb=100,
    input=InputSpec(
        "input",
        (OSNET_INPUT_HEIGHT, OSNET_INPUT_WIDTH),
        scale=1 / 255,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        # torchreid's transforms resize with Pillow's bilinear filter.
        interpolation="antialias",
    ),
    # 0.993 was measured in bf16 on real crops; same and other persons are 0.16 apart.
    agreement=Agreement("cosine", 0.99, lambda a, b: same_direction(a.embedding, b.embedding)),
    aliases=("reid", "osnet"),
    variables=("REID_MODEL_PATH",),
)


class ReIDAdapter(ImageNetwork[ReIDResult]):
    """OSNet: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = ReIDResult
    RESPONSE = ReIDAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        graph, card = description.graph, description.card
        self.output = card.outputs["embedding"].name if "embedding" in card.outputs else graph.outputs[0].name
        tensor = next((t for t in graph.outputs if t.name == self.output), None)
        if tensor is None or tensor.shape[-1] != EMBEDDING_DIMENSION:
            found = "absent" if tensor is None else f"of {tensor.shape[-1]} numbers"
            raise WeightsInvalid(
                f"{graph.path.name}: the output {self.output!r} is {found}; an embedding has {EMBEDDING_DIMENSION}"
            )
        digest = card.space or f"sha256:{graph.digest[:16]}"
        how = preprocessing_name(self.input, (IMAGENET_MEAN, IMAGENET_STD))
        self.space = f"{card.network or NETWORK}/{digest}/{how}"

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[ReIDResult]:
        """(N, 512) to N results."""
        raw = np.asarray(outputs[self.output], dtype=np.float32)
        if len(raw) != len(images):
            raise InferenceFailed(f"{len(images)} crops went in and {len(raw)} embeddings came out")
        return [ReIDResult(embedding, space=self.space) for embedding in unit(raw)]


class PersonReID(Model[ReIDResult]):
    """Compare appearances: `PersonReID("osnet.onnx").extract_embedding(person_crop)`."""

    ADAPTER = ReIDAdapter

    def extract_embedding(self, image: PictureLike) -> ReIDResult:
        """The appearance of the one person in a crop."""
        return self._predict([image])[0]

    def get_embedding(self, image: PictureLike) -> list[float]:
        """The plain 512 numbers."""
        return [float(value) for value in self.extract_embedding(image).embedding]

    @staticmethod
    def compute_similarity(a: Sequence[float] | Float | ReIDResult, b: Sequence[float] | Float | ReIDResult) -> float:
        """Cosine of two embeddings, in -1..1.

        Raises:
            ValueError: embeddings of different spaces or sizes.
        """
        if isinstance(a, ReIDResult) and isinstance(b, ReIDResult) and a.space != b.space:
            raise ValueError(f"embeddings of {a.space} and {b.space} cannot be compared")
        first, second = (v.embedding if isinstance(v, ReIDResult) else v for v in (a, b))
        return cosine_similarity(first, second)

    @classmethod
    def is_same_person(
        cls,
        a: Sequence[float] | Float | ReIDResult,
        b: Sequence[float] | Float | ReIDResult,
        threshold: float = DEFAULT_SIMILARITY_THRESHOLD,
    ) -> bool:
        """Whether their similarity reaches the threshold."""
        return cls.compute_similarity(a, b) >= threshold
