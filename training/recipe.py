"""What the command of the sample networks knows of a network: how it is trained, exported and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from training.progress import Progress


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a training puts what it needs again, and what it may use.

    Attributes:
        folder: of this network alone: checkpoints. Whatever is there is taken up again.
        scenes: drawn scenes, shared by all networks.
        minutes: at most so long, in place of the recipe's own number of steps; None trains those. A limit in minutes
            gives another network on another machine, the number of steps the same one.
        threads: processor cores to use.
        progress: shows how far it is.
    """

    folder: Path
    scenes: Path
    minutes: float | None = None
    threads: int = 2
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One sample network.

    Attributes:
        name: of the model that it serves, such as "yolo26"; its files are named so.
        title: in words.
        minutes: that its training takes on two cores, about.
        train: trains, or goes on where it was stopped; gives the checkpoint. Needs torch.
        export: checkpoint to `NAME.onnx`, and to the card `NAME.json` beside it. Needs torch.
        evaluate: `NAME.onnx` to its measures on held-out scenes, through the model's own adapter. Needs no torch.
        shared: folder beside the networks' own with what several of them learn together; empty where one learns alone.
    """

    name: str
    title: str
    minutes: float
    train: Callable[[Workplace], Path]
    export: Callable[[Path, Path], None]
    evaluate: Callable[[Path], dict[str, float]]
    shared: str = ""
