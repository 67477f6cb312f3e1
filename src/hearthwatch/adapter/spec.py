"""`Spec`: what a model says about itself, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from hearthwatch.adapter.agreement import Agreement
from hearthwatch.artifacts.tokens import TokenSpec
from hearthwatch.vision.inputs import InputSpec


class Scope(StrEnum):
    """What a model looks at."""

    FRAME = "frame"  #: the whole picture, once; its findings are associated with the boxes
    CROP = "crop"  #: one crop per detection
    FRAMES = "frames"  #: several pictures of one subject, in the order of time
    TEXT = "text"  #: no picture at all: texts


class Priority(IntEnum):
    """Who loads first and leaves last."""

    CRITICAL = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


@dataclass(frozen=True, slots=True)
class Spec:
    """One model.

    Attributes:
        name: the canonical name (preload lists, metrics, `/health`).
        title: what it does, for people.
        scope: what it looks at.
        priority: its place when memory is short.
        triggers: detection classes that deserve it, or what must hold of a person that does (`face`, `suspicious`);
            empty for models that are asked for by name.
        declared_mb: memory that the documentation states, the first guess until it is measured.
        input: the documented preprocessing, used where neither card nor file says otherwise; of texts, the tokens.
        agreement: when two engines or precisions agree on this model.
        aliases: old spellings that are accepted.
        variables: the documented environment variables for its weights; `HEARTHWATCH_<NAME>_MODEL_PATH` where none is.
        margin: share of a box's size that a crop shows around it.
        tensorrt: prefix of the documented `*_USE_TENSORRT`, `*_TENSORRT_FP16` and `*_TENSORRT_ENGINE_PATH` variables;
            empty where the model has none.
        tower: which network of a checkpoint that holds several it runs: vision or text (CLIP's), video or text
            (X-CLIP's); else empty.
        kin: another model whose weight files serve this one as well, where somebody names them, and as its sample;
            empty where there is none.
        reader: canonical name of the text tower whose features of its labels it needs; else empty.
        bundled: its networks come inside an installed package, so there is no weight file to find.
    """

    name: str
    title: str
    scope: Scope
    priority: Priority
    triggers: tuple[str, ...]
    declared_mb: int
    input: InputSpec | TokenSpec
    agreement: Agreement
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    margin: float = 0.0
    bundled: bool = False
    tensorrt: str = ""
    tower: str = ""
    kin: str = ""
    reader: str = ""

    @property
    def pixels(self) -> InputSpec:
        """The documented preprocessing of a model that looks at pictures.

        Raises:
            TypeError: it reads texts.
        """
        if not isinstance(self.input, InputSpec):
            raise TypeError(f"{self.name} reads texts and has no pixels")
        return self.input

    @property
    def path_variables(self) -> tuple[str, ...]:
        """The variables that may point at its weights, in order."""
        return self.variables or (f"HEARTHWATCH_{self.name.upper()}_MODEL_PATH",)
