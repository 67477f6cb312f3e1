"""Action recogniser: what a person does in several frames, as a probability for each of some sentences.

Network  X-CLIP base, patches of 16 px (Ni et al. 2022, arXiv:2208.02816); any X-CLIP. Its text tower is `action_text`.
Weights  microsoft/xclip-base-patch16-zero-shot, MIT: 32 frames. A folder in Hugging Face's layout holds both towers.
Input    a clip of as many frames as the checkpoint has places for, chosen evenly, some twice where there are fewer;
         each with the shorter side at 224 and the square in the middle, ImageNet mean and std. Of a box, the same
         square region of every frame, with a margin; its labels as the text tower gives them.
Output   (1, P) of the clip and (T, P) of the labels; cosines times the checkpoint's factor, a softmax over the labels.
Limits   Trained on Kinetics' edited clips: a small person far from a camera, at night, is none of them. The scores sum
         to 1 over the labels that were asked about, so one of them is the likeliest also where none fits. Frames of
         one camera that stands still: a box is the same place in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_scores
from hearthwatch.adapter.base import Array, Run
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.frames import (
    FramesAdapter,
    Sentences,
    check_count,
    labels_or,
    make_clips,
    of_frame,
)
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import WeightsInvalid
from hearthwatch.models.action_text import SPEC as TEXT_SPEC
from hearthwatch.models.action_text import ActionTextModel
from hearthwatch.models.actions import ACTIONS, action_of
from hearthwatch.models.clip import LOGIT_SCALE, class_scores
from hearthwatch.models.clip_text import TextEmbedding
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import PictureLike, to_image
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec

#: Around a person's box, by its longer side: where he goes within a clip, and what he does it to.
ACTION_MARGIN = 0.25
#: Actions of the documented short answer.
SHOWN = 3
_VIDEO, _TEXTS = "video_embeds", "text_embeds"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What happens in one clip.

    Attributes:
        all_scores: 0..1 by label, the likeliest first; their sum is 1.
        truncated: labels whose end the network did not read.
    """

    all_scores: Mapping[str, float]
    truncated: tuple[str, ...] = field(default=())

    @property
    def action(self) -> str:
        """The likeliest of the labels."""
        return next(iter(self.all_scores))

    @property
    def top_action(self) -> str:
        """The same."""
        return self.action

    @property
    def confidence(self) -> float:
        """0..1, of the likeliest."""
        return self.all_scores[self.action]

    @property
    def is_suspicious(self) -> bool | None:
        """Whether the likeliest is a suspicious action; None for a label that is not documented."""
        known = action_of(self.action)
        return None if known is None else known.is_suspicious

    @property
    def risk_weight(self) -> float | None:
        """0..1, how much the likeliest says of a risk where it is certain; None likewise."""
        known = action_of(self.action)
        return None if known is None else known.risk_weight

    def to_context_string(self) -> str:
        """The activity as a prompt's lines, as documented."""
        short = self.to_dict()
        return (
            f"### Detected Activity\n"
            f"- **Primary action**: {short['top_action']}\n"
            f"- **Confidence**: {short['confidence']:.0%}\n"
            f"- **Alternative interpretations**: {', '.join(short['all_scores'])}"
        )

    def to_dict(self) -> dict[str, Any]:
        """`{top_action, confidence, all_scores}` of the likeliest three: what `classify_action` answers."""
        likeliest = dict(list(self.all_scores.items())[:SHOWN])
        return {"top_action": self.action, "confidence": self.confidence, "all_scores": likeliest}

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/action-classify`."""
        return {
            "action": self.action,
            "top_action": self.action,
            "confidence": wire.share(self.confidence),
            "is_suspicious": self.is_suspicious,
            "risk_weight": self.risk_weight,
            "all_scores": {label: wire.share(score) for label, score in self.all_scores.items()},
            "truncated": list(self.truncated),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/action-classify` read again."""
        scores = {label: wire.number(score) for label, score in told["all_scores"].items()}
        return cls(scores, tuple(told["truncated"]))


class ActionAnswer(wire.Answer):
    """What happens in one clip."""

    action: str = Field(description="The likeliest of the labels.")
    top_action: str = Field(description="The same.")
    confidence: float | None = Field(description="0..1, of the likeliest.")
    is_suspicious: bool | None = Field(description="Of a documented action; null for a label of the caller's own.")
    risk_weight: float | None = Field(
        description="0..1, how much a documented action says of a risk where it is certain; null for other labels."
    )
    all_scores: dict[str, float | None] = Field(description="0..1 by label, the likeliest first; their sum is 1.")
    truncated: list[str] = Field(description="Labels whose end the network did not read.")


SPEC = Spec(
    name="action_recognizer",
    title="Action recognition",
    scope=Scope.FRAMES,
    priority=Priority.LOW,
    triggers=("suspicious",),
    declared_mb=1500,
    input=InputSpec(
        "pixel_values",
        (224, 224),
        scale=1 / 255,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="crop",
        interpolation="antialias",
    ),
    agreement=Agreement(
        "label scores", 0.95, lambda reference, candidate: same_scores(reference.all_scores, candidate.all_scores)
    ),
    aliases=("action", "x-clip"),
    variables=("ACTION_MODEL_PATH",),
    margin=ACTION_MARGIN,
    tower="video",
    reader=TEXT_SPEC.name,
)


class ActionAdapter(FramesAdapter[ActionResult]):
    """The video tower: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = ActionResult
    RESPONSE = ActionAnswer
    LABELS = tuple(action.name for action in ACTIONS)

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        missing = {_VIDEO, _TEXTS} - {tensor.name for tensor in description.graph.outputs}
        if missing:
            raise WeightsInvalid(f"{description.graph.path.name} is no X-CLIP: it has no output {min(missing)}")
        self.logit_scale = description.card.logit_scale or LOGIT_SCALE

    def _one(self, clip: Array, sentences: Sentences, run: Run) -> ActionResult:
        """(F, 3, H, W) and (T, P) to a result."""
        # The frames first: they are the batch, by which engines choose what they have compiled.
        answer = run({self.input.name: clip, self.texts: sentences.features})
        video, texts = (unit(np.asarray(answer[name], np.float32)) for name in (_VIDEO, _TEXTS))
        scores = class_scores(video[0], texts, self.logit_scale)
        ranked = {sentences.labels[index]: float(scores[index]) for index in np.argsort(-scores, kind="stable")}
        return ActionResult(ranked, sentences.truncated)


class ActionRecognizer(Model[ActionResult]):
    """Tell what a person does: `ActionRecognizer("/models/xclip-base-patch16-zero-shot").classify_action(frames)`."""

    ADAPTER = ActionAdapter
    SECURITY_ACTIONS: ClassVar[list[str]] = list(ActionAdapter.LABELS)

    def __init__(self, model_path: Any = None, device: str | None = None, use_tensorrt: bool | None = None) -> None:
        super().__init__(model_path, device, use_tensorrt)
        self._reader = ActionTextModel(model_path, device)
        self._features: dict[str, TextEmbedding] = {}

    def load_model(self) -> Self:
        """Both towers; raises as `Model.load_model`."""
        super().load_model()
        self._reader.load_model()
        return self

    def unload(self) -> None:
        """Give the memory of both towers back, and forget what was read."""
        self._features.clear()
        self._reader.unload()
        super().unload()

    def classify_action(
        self, frames: Sequence[PictureLike], custom_actions: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """`{top_action, confidence, all_scores}` of the likeliest three; raises as `recognize_action`."""
        return self.recognize_action(frames, custom_actions).to_dict()

    def recognize_action(
        self,
        frames: Sequence[PictureLike],
        custom_actions: Sequence[str] | None = None,
        *,
        bbox: Box | None = None,
    ) -> ActionResult:
        """As `classify_action`, as the typed result with all scores.

        Args:
            frames: 1 to 64 pictures of one place in the order of time.
            custom_actions: at most 100 sentences to choose from; None takes `SECURITY_ACTIONS`.
            bbox: of the person, in pixels of the frames; None looks at the middle of the whole.

        Raises:
            InputError: no frames, too many, labels that are none, or a box outside a frame.
            ImageError: a frame that is no picture; the message says which.
        """
        check_count(len(frames))
        labels = labels_or(custom_actions, self.SECURITY_ACTIONS)
        adapter = self._ready().watching
        boxes = [] if bbox is None else [bbox]

        def show(index: int) -> Array:
            with of_frame(index):
                return adapter.look(to_image(frames[index]), boxes)

        clips = make_clips(len(frames), adapter.frames, show)
        result: ActionResult = self._ready().watch(clips, self._sentences(labels))[0][0]
        return result

    def _sentences(self, labels: Sequence[str]) -> Sentences:
        """The labels as the text tower reads them; each is read once."""
        new = [label for label in labels if label not in self._features]
        self._features.update(zip(new, self._reader.read_texts(new) if new else (), strict=True))
        return _sentences_of(labels, [self._features[label] for label in labels])


def _sentences_of(labels: Sequence[str], read: Sequence[TextEmbedding]) -> Sentences:
    """What a text tower read of at least one label, in the order of the labels."""
    cut = tuple(label for label, one in zip(labels, read, strict=True) if one.truncated)
    return Sentences(tuple(labels), np.stack([one.embedding for one in read]), read[0].digest, cut)
