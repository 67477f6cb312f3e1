"""What the recipes of the YOLO networks share: from a description to a `Recipe`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.dataset import TRAINING, AnyScene, SceneSet, StoredScene, scenes
from training.recipe import Recipe, Workplace
from training.yolo.examples import Example, View
from training.yolo.export import Facts, export


@dataclass(frozen=True, slots=True)
class Lesson:
    """A YOLO network to be trained.

    Attributes:
        model: that it serves.
        title: in words.
        names: of the classes, by index.
        size: (height, width) of its input in use.
        view: how it is shown pictures in training.
        example: what it is to find in a scene.
        scenes: that it learns from.
        times: how often a scene is shown in each pass over all of them.
        minutes: that the training takes on two cores, about.
        steps: of the training.
        batch: views per step.
        keypoints: per object; 0 for a plain detector.
        width: multiplier of the stock channels.
        most: stock channels that no layer exceeds.
        rate: of the optimizer.
        seed: of everything.
    """

    model: str
    title: str
    names: tuple[str, ...]
    size: tuple[int, int]
    view: View
    example: Callable[[AnyScene], Example]
    times: Callable[[StoredScene], int]
    minutes: float
    steps: int
    batch: int = 16
    scenes: tuple[SceneSet, ...] = (TRAINING,)
    keypoints: int = 0
    width: float = 0.25
    most: int = 384
    rate: float = 4e-3
    seed: int = 5

    def recipe(self, evaluate: Callable[[Path], dict[str, float]]) -> Recipe:
        """As the command knows it."""
        return Recipe(self.model, self.title, self.minutes, self.train, self.export, evaluate)

    def train(self, work: Workplace) -> Path:
        """Weights of the trained network."""
        # Not at the top: the finished networks are measured where there is no torch.
        from training.yolo.batches import Batches
        from training.yolo.loop import Course, train

        known = [scenes(each, work.scenes, processes=work.threads, progress=work.progress) for each in self.scenes]
        order = [
            (part, index)
            for part, some in enumerate(known)
            for index, scene in enumerate(some)
            for _ in range(self.times(scene))
        ]
        batches = Batches(order, lambda key: self.example(known[key[0]][key[1]]), self.view, self.batch, self.seed)
        course = Course(self.title.lower(), self._layout(), self.steps, rate=self.rate, seed=self.seed)
        return train(course, batches, work)

    def export(self, weights: Path, output: Path) -> None:
        """Weights to graph and card."""
        from training.yolo.loop import trained

        export(trained(weights, self._layout()), output, Facts(self.model, self.names, self.size))

    def _layout(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - of a module that needs torch
        from training.yolo.plan import Layout

        return Layout(len(self.names), self.keypoints, self.width, self.most)


def once(_scene: StoredScene) -> int:
    """As often as any other."""
    return 1


def hits(labels: Sequence[str], said: Sequence[str]) -> float:
    """Share of labels that were said; 0 of none."""
    return sum(a == b for a, b in zip(labels, said, strict=True)) / max(len(labels), 1)
