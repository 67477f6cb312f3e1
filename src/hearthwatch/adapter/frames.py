"""Models that watch a clip: several pictures of one subject, in the order of time, compared with sentences.

A clip has as many frames as the network takes. They are chosen evenly from those that there are, and where there are
fewer, some are shown twice. Each frame becomes a network's input as soon as it is decoded, so that a clip of large
pictures takes no more memory than one of them and its inputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from hearthwatch.adapter.base import Adapter, Array, Run
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import ImageError, InputError, LoadFailed, TooManyFrames, TooManyTexts, WeightsInvalid
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import check_inside, crop, pad_to_square
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.preprocess import to_batch

#: Frames and labels of one call (CONTRACT.md).
MAX_FRAMES, MAX_LABELS = 64, 100
#: What fills a region beyond the edge of a picture: ImageNet's mean colour, which such networks see as nothing.
PADDING = (124, 116, 104)

R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Sentences:
    """Labels as a text tower read them.

    Attributes:
        labels: different ones.
        features: (T, D) float32, in their order, as the tower gives them.
        digest: of the checkpoint that both towers come from.
        truncated: the labels whose end the tower did not read.
    """

    labels: tuple[str, ...]
    features: Float
    digest: str
    truncated: tuple[str, ...] = ()


class FramesAdapter(Adapter[R]):
    """A model that watches clips: one graph, whose batch is the frames of one clip, and whose other input are texts."""

    #: What a clip is compared with where nobody gives other labels.
    LABELS: ClassVar[tuple[str, ...]]

    description: Description

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.input = description.input
        self.texts, self.frames, self.text_width = _shapes(description)
        self.digest = description.card.space or f"sha256:{description.graph.digest[:16]}"

    def look(self, image: Image, boxes: Sequence[Box]) -> Array:
        """One frame as input: a row per box, or one of the whole picture where there are none.

        A box is shown with `SPEC.margin` of its longer side around it, as a square: the subject moves, and where it
        moves to is part of what it does. What of the square lies beyond the picture is filled.

        Returns:
            (N, 3, H, W) float32.

        Raises:
            BadBox: a box outside the picture.
        """
        return to_batch([self._region(image, box) for box in boxes] or [image], self.input)

    def watch(self, clips: Sequence[Array], sentences: Sentences, run: Run) -> list[R]:
        """N clips, each (frames, 3, H, W), to N results. N may be 0.

        Raises:
            LoadFailed: the sentences were read by the text tower of other weights.
        """
        if (sentences.digest, sentences.features.shape[1]) != (self.digest, self.text_width):
            raise LoadFailed(
                f"clips are watched by weights of {self.digest} ({self.text_width} numbers) and labels were read by "
                f"those of {sentences.digest} ({sentences.features.shape[1]} numbers): only towers of one checkpoint "
                "can be compared; cards with the same `space` say that they are"
            )
        return [self._one(clip, sentences, run) for clip in clips]

    @abstractmethod
    def _one(self, clip: Array, sentences: Sentences, run: Run) -> R:
        """One clip to its result."""

    def _region(self, image: Image, box: Box) -> Image:
        check_inside(image, box)
        half = max(box.width, box.height) * (0.5 + self.SPEC.margin)
        x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
        return pad_to_square(crop(image, Box(x - half, y - half, x + half, y + half)), PADDING)


def labels_or(given: object, default: Sequence[str]) -> tuple[str, ...]:
    """The labels that are asked about, each once, in their order.

    Args:
        given: texts; None or nothing takes the default.
        default: those of the model.

    Raises:
        TooManyTexts: more than `MAX_LABELS`.
        InputError: something that is no list of texts, or an empty text.
    """
    if given is None:
        return tuple(default)
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"labels are a list of texts; got {type(given).__name__}")
    if len(given) > MAX_LABELS:
        raise TooManyTexts(f"{len(given)} labels were given; at most {MAX_LABELS} are allowed")
    for index, label in enumerate(given):
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"label {index} is {label!r:.60}; a text that says something is expected")
    return tuple(dict.fromkeys(given)) or tuple(default)


def check_count(count: int) -> None:
    """Nothing where a clip may have so many frames.

    Raises:
        TooManyFrames: more than `MAX_FRAMES`.
        InputError: none.
    """
    if count > MAX_FRAMES:
        raise TooManyFrames(f"{count} frames were given; at most {MAX_FRAMES} are allowed")
    if count < 1:
        raise InputError("a clip needs frames; none were given")


@contextmanager
def of_frame(index: int) -> Iterator[None]:
    """What is wrong with a picture says which frame it was."""
    try:
        yield
    except ImageError as error:
        raise type(error)(f"frame {index}: {error}") from error


def evenly(count: int, wanted: int) -> list[int]:
    """The indices of `wanted` of `count` frames: the middle one of each of that many equal parts.

    Fewer frames than wanted are all shown, in their order and some of them several times. There is at least one.
    """
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def make_clips(count: int, wanted: int, show: Callable[[int], Array]) -> list[Array]:
    """The clips of one or several subjects of the same frames.

    Args:
        count: frames that there are.
        wanted: frames of a clip.
        show: gives the frame of an index as input, (N, 3, H, W), a row per subject; asked once for each that is shown.

    Returns:
        N arrays of (wanted, 3, H, W).
    """
    chosen = evenly(count, wanted)
    shown = {index: show(index) for index in dict.fromkeys(chosen)}
    return [np.stack([shown[index][row] for index in chosen]) for row in range(len(shown[chosen[0]]))]


def clips_of(adapter: FramesAdapter[R], images: Sequence[Image], boxes: Sequence[Box] = ()) -> list[Array]:
    """Images that are there already as clips: one per box, or one of the whole pictures."""
    return make_clips(len(images), adapter.frames, lambda index: adapter.look(images[index], boxes))


def _shapes(description: Description) -> tuple[str, int, int]:
    """The name of the input of texts, the frames of a clip, and how many numbers a text has.

    Raises:
        WeightsInvalid: the graph watches no clips.
    """
    inputs = {tensor.name: tensor for tensor in description.graph.inputs}
    pictures = inputs.pop(description.input.name, None)
    frames = pictures.shape[0] if pictures is not None and len(pictures.shape) == 4 else None
    if frames is None or len(inputs) != 1:
        shown = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in description.graph.inputs) or "none"
        raise WeightsInvalid(
            f"{description.graph.path.name} watches no clips: a fixed number of frames, (frames, 3, height, width), "
            f"and (texts, numbers) are expected; its inputs: {shown}"
        )
    texts = next(iter(inputs.values()))
    width = texts.shape[1] if len(texts.shape) == 2 else None
    if width is None or texts.shape[0] is not None or not 1 <= frames <= MAX_FRAMES:
        raise WeightsInvalid(
            f"{description.graph.path.name} watches {frames} frames and takes texts as {texts.shape}; allowed are 1 to "
            f"{MAX_FRAMES} frames, and any number of texts of one width"
        )
    return texts.name, frames, width
