"""FashionCLIP: what a person wears and carries, from a crop of the person, by asking with sentences.

Network  CLIP ViT-B/32 (Radford et al. 2021, arXiv:2103.00020) trained further on fashion (Chia et al. 2022,
         "Contrastive language and vision learning of general fashion concepts"); any CLIP with a vision transformer.
Weights  patrickjohncyh/fashion-clip, MIT. A folder in Hugging Face's layout holds this tower and `fashion_clip_text`.
Input    a crop of one person with a margin, padded to a square: CLIP's own crop would cut off head and feet. Then
         bicubic to 224 x 224, CLIP's own mean and std.
Output   (N, 512), compared with the embeddings of the prompts, averaged over five templates (`adapter.prompts`).
Limits   Trained on photographs of shops; a camera's small, dark and blurred people are none. It answers with a sentence
         of a list: a person in a suit of armour is something of it as well. No uniform proves a profession.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_scores
from hearthwatch.adapter.base import Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.prompts import PromptedNetwork, Prompts
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.models import clip
from hearthwatch.models.clip import PADDING, SURVEILLANCE_TEMPLATES, CLIPAdapter
from hearthwatch.models.clothing import ClothingClassificationResult, judge, matches
from hearthwatch.models.clothing_prompts import ENHANCED_CLOTHING_PROMPTS
from hearthwatch.models.fashion_clip_text import FashionTextAdapter
from hearthwatch.vision.cloth import CLOTH_COLORS, cloth_of
from hearthwatch.vision.crops import pad_to_square
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.preprocess import to_batch

#: Around the person's box: detectors cut off hoods and bags.
CLOTHING_MARGIN = 0.05


class GroupAnswer(wire.Answer):
    """One group of prompts."""

    top_match: str = Field(description="Its likeliest prompt.")
    confidence: float | None = Field(description="0..1, the mass of its prompts beside the casual ones.")
    all_scores: dict[str, float | None] = Field(description="0..1 by prompt; their sum is the confidence.")
    over_casual: float | None = Field(
        description="0..1, the confidence if both sides had equally many prompts; 0.5 says nothing."
    )


class ClothingAnswer(wire.Answer):
    """What one person wears and carries."""

    clothing_type: str = Field(description="hoodie, vest, uniform and so on.")
    color: str | None = Field(description=f"Of the upper clothes: {', '.join(CLOTH_COLORS)}; null with a reason.")
    color_confidence: float | None = Field(description="0..1, the share of the chest in that colour.")
    color_reason: str | None = Field(description="Why there is no colour; null where there is one.")
    style: str = Field(description="casual, business, athletic, outdoor, delivery, work, concealing and so on.")
    confidence: float | None = Field(description="0..1, of the top category.")
    top_category: str = Field(description="suspicious, delivery, utility or casual.")
    description: str = Field(description="All of it as one phrase for people.")
    is_suspicious: bool = Field(description="Whether the clothes are of the kind that hides somebody.")
    is_service_uniform: bool = Field(description="Whether they are those of a delivery or of a trade.")
    carrying: str | None = Field(description="What is carried; null where nothing is, or nothing is seen to be.")
    categories: dict[str, GroupAnswer] = Field(description=f"By group: {', '.join(ENHANCED_CLOTHING_PROMPTS)}.")


SPEC = Spec(
    name="fashion_clip",
    title="Clothing classifier",
    scope=Scope.CROP,
    priority=Priority.HIGH,
    triggers=("person",),
    declared_mb=800,
    input=clip.SPEC.pixels,
    agreement=Agreement(
        "class scores", 0.95, lambda reference, candidate: same_scores(reference.scores, candidate.scores)
    ),
    aliases=("clothing",),
    variables=("CLOTHING_MODEL_PATH",),
    margin=CLOTHING_MARGIN,
    tower="vision",
    kin=clip.SPEC.name,
)


class ClothingAdapter(PromptedNetwork[ClothingClassificationResult]):
    """The vision tower of any CLIP, and what its embeddings say beside those of the prompts."""

    SPEC = SPEC
    FINDING = ClothingClassificationResult
    RESPONSE = ClothingAnswer
    PROMPTS = Prompts(
        FashionTextAdapter, tuple(chain.from_iterable(ENHANCED_CLOTHING_PROMPTS.values())), SURVEILLANCE_TEMPLATES
    )
    BARE = CLIPAdapter

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self._tower = CLIPAdapter(description)

    @property
    def space(self) -> tuple[str, int]:
        return self._tower.digest, self._tower.dimension

    def preprocess(self, images: Sequence[Image]) -> Tensors:
        """N crops, padded to squares, to (N, 3, 224, 224) float32."""
        return {self.input.name: to_batch([pad_to_square(image, PADDING) for image in images], self.input)}

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[ClothingClassificationResult]:
        """(N, D) to N people."""
        embedded = self._tower.postprocess(outputs, images)
        return [
            judge(matches(self._logits(result.embedding)), cloth_of(image.pixels))
            for result, image in zip(embedded, images, strict=True)
        ]

    def _logits(self, embedding: Float) -> Mapping[str, list[float]]:
        """Scaled cosines by group, in the order of its prompts."""
        cosines = iter((self._tower.logit_scale * (self.texts @ embedding)).tolist())
        return {name: [next(cosines) for _ in prompts] for name, prompts in ENHANCED_CLOTHING_PROMPTS.items()}


class ClothingClassifier(Model[ClothingClassificationResult]):
    """Tell what people wear: `ClothingClassifier("/models/fashion-clip").classify(person_crop)`."""

    ADAPTER = ClothingAdapter

    def precompute_embeddings(self) -> None:
        """Have the prompts read now, and load; without it the first picture does. Raises as `load_model`."""
        self.load_model()

    def classify(self, image: PictureLike) -> dict[str, Any]:
        """`{group: {top_match, confidence, all_scores}}` of the one person in a crop."""
        return self.classify_clothing(image).to_dict()

    def classify_clothing(self, image: PictureLike) -> ClothingClassificationResult:
        """As `classify`, as the typed result."""
        return self._predict([image])[0]
