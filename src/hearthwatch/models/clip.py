"""CLIP's vision tower: a picture to 768 numbers, near those of like pictures and of texts that describe it.

Network  CLIP ViT-L/14 (Radford et al. 2021, arXiv:2103.00020); any CLIP with a vision transformer.
Weights  openai/clip-vit-large-patch14, MIT. A folder in Hugging Face's layout holds this tower and `clip_text`.
Input    the whole picture: bicubic, the shorter side at 224, the square in the middle; CLIP's own mean and std. A box
         is cut out and padded to a square first, for the middle of a person has neither head nor feet.
Output   (N, 768), scaled to length 1 here.
Limits   What lies beside the middle of a wide picture is not seen. Counting, reading and fine differences are weak.
         Embeddings of crops and of whole pictures are told apart (`space`): they are not made alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_direction
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop, pad_to_square
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.embeddings import cosine_similarity, unit
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec, preprocessing_name

#: Numbers of an embedding of the documented network; others have what their projection has.
EMBEDDING_DIMENSION = 768
MAX_IMAGE_SIZE_BYTES = 10 * 1024 * 1024
MAX_BATCH_TEXTS_SIZE = 100
#: A scene whose anomaly score is above it has changed (CONTRACT.md).
ANOMALY_THRESHOLD = 0.5
#: Around a label, for `use_ensemble`: word for word as documented.
SURVEILLANCE_TEMPLATES: tuple[str, ...] = (
    "a surveillance camera photo of {}",
    "CCTV footage showing {}",
    "a security camera image of {}",
    "a low resolution photo of {}",
    "a distant shot of {}",
)
#: Of OpenAI's checkpoints, in 0..1: of the 400 million pictures that CLIP was trained on.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
#: What CLIP's training clips the factor before the softmax at, and where all of OpenAI's checkpoints end (section 2.5).
LOGIT_SCALE = 100.0
#: The mean in 0..255: padding that the network sees as nothing.
PADDING = (123, 117, 104)


@dataclass(frozen=True, slots=True, eq=False)
class CLIPResult:
    """One picture, or one box of it.

    Attributes:
        embedding: (D,) float32, length 1.
        network: what made it, such as `clip-vit-large-patch14`.
        digest: of the checkpoint that both towers come from; texts with the same digest can be compared.
        preprocessing: how the picture became the network's input.
        logit_scale: factor on cosines before a softmax over texts.
    """

    embedding: Float = field(repr=False)  # its numbers say nothing in a log, and do not belong there
    network: str = "clip"
    digest: str = ""
    preprocessing: str = ""
    logit_scale: float = LOGIT_SCALE

    @property
    def space(self) -> str:
        """Which embeddings it may be compared with: those of the same network, weights and preprocessing."""
        return f"{self.network}/{self.digest}/{self.preprocessing}"

    def to_context_string(self) -> str:
        """One line; the numbers mean nothing to a reader."""
        return f"CLIP: scene recorded ({len(self.embedding)} numbers)"

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/embed`; the embedding stays an array, which the JSON writers take."""
        return {"embedding": self.embedding, "logit_scale": self.logit_scale, **self.metadata()}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/embed` read again."""
        made = told["metadata"]
        embedding = np.asarray(told["embedding"], np.float32)
        return cls(embedding, made["model"], made["digest"], made["preprocessing"], told["logit_scale"])

    def metadata(self) -> dict[str, Any]:
        """What every answer about an embedding says of it."""
        return {
            "space": self.space,
            "metadata": {"model": self.network, "digest": self.digest, "preprocessing": self.preprocessing},
        }


class SpaceMetadata(wire.Answer):
    """What an embedding was made by."""

    model: str = Field(description="The network.")
    digest: str = Field(description="Of the weights that both towers come from.")
    preprocessing: str = Field(description="How the picture became the network's input.")


class InSpace(wire.Answer):
    """What every answer about an embedding says of it."""

    space: str = Field(description="Which embeddings it may be compared with: model, digest and preprocessing.")
    metadata: SpaceMetadata = Field(description="The same in its parts.")


class CLIPAnswer(InSpace):
    """One picture as an embedding."""

    embedding: list[float] = Field(description="Numbers of length 1 together: 768 of CLIP ViT-L/14.")
    logit_scale: float = Field(description="Factor on cosines before a softmax over texts.")


SPEC = Spec(
    name="clip",
    title="CLIP picture embedding",
    scope=Scope.CROP,
    priority=Priority.HIGH,
    triggers=(),
    declared_mb=560,  # of the documented 800; the rest is the text tower's
    input=InputSpec(
        "pixel_values",
        (224, 224),
        scale=1 / 255,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        resize="crop",
        interpolation="bicubic",
    ),
    agreement=Agreement("cosine", 0.999, lambda a, b: same_direction(a.embedding, b.embedding)),
    aliases=("clip_vision", "clip-vit-l"),
    variables=("CLIP_MODEL_PATH",),
    tensorrt="CLIP",
    tower="vision",
)


class CLIPAdapter(ImageNetwork[CLIPResult]):
    """The vision tower: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = CLIPResult
    RESPONSE = CLIPAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        card = description.card
        self.output, self.dimension = embedding_output(description.graph, "image_embeds", card_output(description))
        self.network = card.network or "clip"
        self.digest = card.space or f"sha256:{description.graph.digest[:16]}"
        self.logit_scale = card.logit_scale or LOGIT_SCALE
        self.preprocessing = preprocessing_name(self.input, (CLIP_MEAN, CLIP_STD))

    def looks_at(self, image: Image, boxes: Sequence[Box]) -> list[Image]:
        """A padded crop per box; the picture as it is where there is none."""
        return [pad_to_square(crop(image, box), PADDING) for box in boxes] or [image]

    def answers(self, results: Sequence[CLIPResult], boxes: Sequence[Box]) -> Sequence[CLIPResult]:
        """Those of crops say that they are of crops."""
        if not boxes:
            return results
        return [replace(result, preprocessing=f"square-{result.preprocessing}") for result in results]

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[CLIPResult]:
        """(N, D) to N results."""
        return [
            CLIPResult(embedding, self.network, self.digest, self.preprocessing, self.logit_scale)
            for embedding in embeddings_of(outputs[self.output], len(images))
        ]


def card_output(description: Any) -> str | None:
    """The output that a card calls the embedding."""
    outputs = description.card.outputs
    return outputs["embedding"].name if "embedding" in outputs else None


def embedding_output(graph: Graph, usual: str, named: str | None) -> tuple[str, int]:
    """The graph's output of one embedding per row: its name, and how many numbers it has.

    Args:
        graph: of a tower.
        usual: what exporters call it.
        named: what a card calls it.

    Raises:
        WeightsInvalid: there is none.
    """
    name = named or usual
    tensor = next((tensor for tensor in graph.outputs if tensor.name == name), None)
    numbers = tensor.shape[1] if tensor is not None and len(tensor.shape) == 2 else None
    if numbers is None:
        found = "absent" if tensor is None else f"of shape {tensor.shape}"
        raise WeightsInvalid(
            f"{graph.path.name} is no tower of CLIP: its output {name!r} is {found}; (N, numbers) is expected, under "
            "that name or the one that a card calls the embedding"
        )
    return name, numbers


def embeddings_of(raw: Any, count: int, *, to_unit: bool = True) -> Float:
    """(N, D) of any length to (N, D) of length 1, or left as they are.

    Raises:
        InferenceFailed: another number of rows.
    """
    array = np.asarray(raw, dtype=np.float32)
    if len(array) != count:
        raise InferenceFailed(f"{count} went in and {len(array)} embeddings came out")
    return unit(array) if to_unit else array


def anomaly_score(similarity: float) -> float:
    """0 = as the baseline, 1 = completely different: 1 - cosine, no less than 0 and no more than 1."""
    return min(1.0, max(0.0, 1.0 - similarity))


def class_scores(image: Float, texts: Float, logit_scale: float) -> Float:
    """Probabilities of N texts for one picture, sum 1: CLIP's softmax of scaled cosines.

    Args:
        image: (D,) of length 1.
        texts: (N, D) of length 1.
        logit_scale: the checkpoint's factor. Without it every text would get about 1 / N.
    """
    logits = logit_scale * (texts.astype(np.float64) @ image.astype(np.float64))
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum(), np.float64)


class CLIPEmbeddingModel(Model[CLIPResult]):
    """Embed pictures: `CLIPEmbeddingModel("/models/clip-vit-l").extract_embedding("porch.jpg")`."""

    ADAPTER = CLIPAdapter

    def extract_embedding(self, image: PictureLike) -> tuple[list[float], float]:
        """The numbers of a picture, and the milliseconds that they took."""
        result, milliseconds = self._embedded(image)
        return [float(value) for value in result.embedding], milliseconds

    def compute_anomaly_score(
        self, image: PictureLike, baseline: Sequence[float] | Float
    ) -> tuple[float, float, float]:
        """(anomaly score 0..1, cosine to the baseline -1..1, milliseconds).

        Raises:
            ValueError: a baseline without direction (zero, or not finite), or of another size than the embedding.
        """
        unit(baseline)  # before the network runs
        result, milliseconds = self._embedded(image)
        similarity = cosine_similarity(result.embedding, baseline)
        return anomaly_score(similarity), similarity, milliseconds

    def embed(self, image: PictureLike) -> CLIPResult:
        """As `extract_embedding`, as the typed result with its space."""
        return self._predict([image])[0]

    def _embedded(self, image: PictureLike) -> tuple[CLIPResult, float]:
        started = time.perf_counter()
        result = self._predict([image])[0]
        return result, (time.perf_counter() - started) * 1000
