"""The contract of a model file: an adapter turns images into results, given a way to run its graph.

An adapter does arithmetic on arrays. It opens no file, reads no setting, writes no log and imports no engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from hearthwatch.adapter.spec import Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.tokens import TextDescription
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image
from hearthwatch.vision.preprocess import to_batch

Array = npt.NDArray[np.generic]
Tensors = Mapping[str, Array]
#: One call of the network: named arrays in, named arrays out.
Run = Callable[[Tensors], Mapping[str, Array]]


class Result(Protocol):
    """What every result can do."""

    def to_context_string(self) -> str:
        """The result as lines of a prompt."""
        ...

    def to_wire(self) -> dict[str, Any]:
        """The result as plain values, by the names of its route; arrays of numbers may stay arrays."""
        ...

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The result that another process told by `to_wire`; other keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: it is no such answer.
        """
        ...


R = TypeVar("R")


class Adapter(ABC, Generic[R]):
    """One model: its spec, and the way to its results, from pictures (`PictureAdapter`), texts (`TextAdapter`) or
    clips of several pictures (`adapter.frames`).

    Args:
        description: the weight file that the graph comes from: what goes in, class names, card.

    Raises:
        WeightsInvalid: the file cannot be what this model needs.
    """

    SPEC: ClassVar[Spec]
    #: Type of what it finds for one box, or in a picture as a whole where that is all it is asked.
    FINDING: ClassVar[type[Any]]
    #: Describes `to_wire` of its results for OpenAPI; what serving adds to every answer is not in it.
    RESPONSE: ClassVar[type[BaseModel]]
    #: Whether `to_wire` takes long enough to be kept off an event loop.
    HEAVY_WIRE: ClassVar[bool] = False

    def __init__(self, description: Description | TextDescription) -> None:
        self.description = description

    @classmethod
    def reading(cls, description: Any) -> Adapter[R]:
        """The adapter of a weight file: another class's where the model has several kinds of network.

        Raises:
            WeightsInvalid: the file cannot be what this model needs.
        """
        return cls(description)

    @property
    def scope(self) -> Scope:
        """What the network of this weight file looks at; the model's own scope, unless its kind has another."""
        return self.SPEC.scope

    @classmethod
    def batches(cls) -> bool:
        """Whether questions of several calls may share one `predict`."""
        return False


class PictureAdapter(Adapter[R]):
    """A model that looks at pictures."""

    #: Describes what of `RESPONSE` is the same for all boxes of a picture; None: nothing is.
    SHARED: ClassVar[type[BaseModel] | None] = None

    description: Description

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.input = description.input

    @classmethod
    def batches(cls) -> bool:
        """Not where `for_boxes` is its own."""
        return cls.for_boxes is PictureAdapter.for_boxes

    @abstractmethod
    def predict(self, images: Sequence[Image], run: Run) -> list[R]:
        """N images to N results. Coordinates in a result are picture pixels. N may be 0."""

    def for_boxes(self, image: Image, boxes: Sequence[Box], run: Run) -> Sequence[object | None]:
        """One answer per box of one picture; None where the model finds nothing for a box.

        Models of scope `crop` look at each box by itself. Models of scope `frame` look once and override `associate`.

        Raises:
            BadBox: a box outside the picture.
        """
        return self.answers(self.predict(self.looks_at(image, boxes), run), boxes)

    def looks_at(self, image: Image, boxes: Sequence[Box]) -> list[Image]:
        """What `predict` is given: a crop per box for scope `crop`; the picture for others, and without boxes.

        Raises:
            BadBox: a box outside the picture.
        """
        if boxes and self.scope is Scope.CROP:
            return [crop(image, box, margin=self.SPEC.margin) for box in boxes]
        return [image]

    def answers(self, results: Sequence[R], boxes: Sequence[Box]) -> Sequence[object | None]:
        """Results of `looks_at` to one answer per box; without boxes, the one about the picture."""
        return results if not boxes or self.scope is Scope.CROP else self.associate(results[0], boxes)

    @classmethod
    def for_one_box(cls, found: Any) -> Any:
        """What `for_boxes` gave for one box, in the form of a whole picture's result: that of the model's route.

        Args:
            found: None where the model found nothing for the box.
        """
        return found

    @classmethod
    def rows_to_wire(cls, results: Sequence[R]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Results of several boxes of one picture: what is the same for all (`SHARED`), and the rest of each."""
        return {}, [cast("Result", result).to_wire() for result in results]

    def associate(self, result: R, boxes: Sequence[Box]) -> Sequence[object | None]:
        """The part of a picture's result that belongs to each box."""
        return [result] * len(boxes)


class TextAdapter(Adapter[R]):
    """A model that reads texts."""

    description: TextDescription

    def __init__(self, description: TextDescription) -> None:
        super().__init__(description)
        self.tokens = description.tokens

    @abstractmethod
    def read(self, texts: Sequence[str], run: Run) -> list[R]:
        """N texts to N results. N may be 0."""


class ImageNetwork(PictureAdapter[R]):
    """The common case: one graph with one image input."""

    def preprocess(self, images: Sequence[Image]) -> Tensors:
        """N images to the graph's input: (N, 3, H, W) or (N, H, W, 3), as the `InputSpec` says."""
        return {self.input.name: to_batch(images, self.input)}

    @abstractmethod
    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[R]:
        """The graph's outputs for N images to N results."""

    def predict(self, images: Sequence[Image], run: Run) -> list[R]:
        if not images:
            return []
        return self.postprocess(run(self.preprocess(images)), images)
