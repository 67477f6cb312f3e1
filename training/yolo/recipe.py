"""What the recipes of the four YOLO networks share: one training, in which every picture teaches all of them.

Alone, each of them would have a quarter of the time, and would learn the same streets, people and cars again. They
share all layers but their heads, and end as four files that know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from training.dataset import TRAINING, WINDOWS, AnyScene, SceneSet, scenes
from training.recipe import Recipe, Workplace
from training.scenes.labels import Thing
from training.yolo.examples import Example, View, example_of
from training.yolo.export import Facts, export

if TYPE_CHECKING:
    import torch

    from training.yolo.plan import Layout

    Tensors = Mapping[str, torch.Tensor]

#: Whole pictures of 640 px and windows of pictures of 1280 px, as they are: each network is used at a size between.
SETS = (TRAINING, WINDOWS)
VIEW = View(size=(256, 256), zoom=(0.6, 1.4), focus=0.9)
#: What is learned; less is asked for when the networks are measured.
LEARNED_PX, LEARNED_VISIBLE = 6.0, 0.3
STEPS, BATCH, RATE, SEED = 6_000, 16, 2e-3, 5
#: Folder of the one training's checkpoint.
FAMILY = "yolo"
#: That the one training takes on two cores, about.
MINUTES = 60.0


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a network learns by itself when the four are through: its own things, at the size that it is used at.

    Attributes:
        pictures: that are shown.
        view: how they are shown.
        steps: how many.
        batch: views a step.
        rate: of the optimizer, at its highest.
    """

    pictures: SceneSet
    view: View
    steps: int
    batch: int = 8
    rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class Lesson:
    """A YOLO network to be trained.

    Attributes:
        model: that it serves.
        title: in words.
        names: of the classes, by index.
        size: (height, width) of its input in use.
        rows: class index and label of everything in a scene that it is for.
        least_px: when it is measured, things smaller than a square of this side, in its input, are not asked for.
        least_visible: nor are those of whom less can be seen.
        keypoints: per object; 0 for a plain detector.
        refinements: what it learns by itself, one after the other.
    """

    model: str
    title: str
    names: tuple[str, ...]
    size: tuple[int, int]
    rows: Callable[[AnyScene], Sequence[tuple[int, Thing]]]
    least_px: float
    least_visible: float = 0.5
    keypoints: int = 0
    refinements: tuple[Refinement, ...] = ()

    def recipe(self, evaluate: Callable[[Path], dict[str, float]]) -> Recipe:
        """As the command knows it."""
        return Recipe(self.model, self.title, MINUTES, self.train, self.export, evaluate, shared=FAMILY)

    def train(self, work: Workplace) -> Path:
        """Its weights alone: out of those of all four, and refined where it is to be."""
        from training.loop import TRAINED, load_tensors, save_tensors

        own = work.folder / TRAINED
        if own.is_file():
            return own
        tensors = self._member(load_tensors(train(work)))
        for number, part in enumerate(self.refinements, 1):
            folder = work.folder if number == len(self.refinements) else work.folder / f"part-{number}"
            tensors = load_tensors(_refine(self, part, tensors, replace(work, folder=folder)))
        if not self.refinements:
            save_tensors(own, tensors)
        return own

    def example(self, scene: AnyScene) -> Example:
        """What it is asked for in a whole picture, when it is measured."""
        least_px = self.least_px / self.scale(scene)
        return example_of(
            scene.picture,
            self.rows(scene),
            least_px=least_px,
            least_visible=self.least_visible,
            keypoints=self.keypoints > 0,
        )

    def learned(self, scene: AnyScene) -> Example:
        """What it learns from a picture, as the view allows."""
        return example_of(
            scene.picture, self.rows(scene), least_px=0, least_visible=LEARNED_VISIBLE, keypoints=self.keypoints > 0
        )

    def scale(self, scene: AnyScene) -> float:
        """Pixels of its input per pixel of a whole picture."""
        height, width = scene.picture.shape[:2]
        return min(self.size[0] / height, self.size[1] / width)

    def export(self, weights: Path, output: Path) -> None:
        """Its weights to its graph and card."""
        from training.loop import load_tensors
        from training.yolo.plan import member

        network = member(load_tensors(weights), [self.layout()], 0)
        export(network, output, Facts(self.model, self.names, self.size))

    def _member(self, tensors: Tensors) -> Tensors:
        """Of the weights of all four, its own, as a family of one."""
        from training.yolo.plan import member

        all_of_them = lessons()
        place = [lesson.model for lesson in all_of_them].index(self.model)
        network = member(tensors, [lesson.layout() for lesson in all_of_them], place)
        return {f"0.{name}": value for name, value in network.state_dict().items()}

    def layout(self) -> Layout:
        """Of its network. Needs torch."""
        from training.yolo.plan import Layout

        return Layout(len(self.names), self.keypoints)


def lessons() -> list[Lesson]:
    """All four, in the order of their heads."""
    # Not at the top: each of them imports this module.
    from training.recipes import detector, plates, pose, threat

    return [detector.LESSON, pose.LESSON, threat.LESSON, plates.LESSON]


def train(work: Workplace) -> Path:
    """Weights of all four, from one training: whoever asks first has it done.

    It is kept beside the scenes, under the name of the folder that was given: that is the version of the code.
    """
    # Not at the top: the finished networks are measured where there is no torch.
    from training.loop import TRAINED
    from training.yolo.batches import Batches
    from training.yolo.loop import Course
    from training.yolo.loop import train as learn

    folder = work.scenes.parent / FAMILY / work.folder.name
    if (folder / TRAINED).is_file():
        return folder / TRAINED
    known = [scenes(each, work.scenes, processes=work.threads, progress=work.progress) for each in SETS]
    order = [(part, index) for part, some in enumerate(known) for index in range(len(some))]
    taught = lessons()

    def examples(key: tuple[int, int]) -> list[Example]:
        scene = known[key[0]][key[1]]
        return [lesson.learned(scene) for lesson in taught]

    course = Course("YOLO networks", tuple(lesson.layout() for lesson in taught), STEPS, rate=RATE, seed=SEED)
    return learn(course, Batches(order, examples, VIEW, BATCH, SEED), replace(work, folder=folder))


def _refine(lesson: Lesson, how: Refinement, first: Tensors, work: Workplace) -> Path:
    from training.yolo.batches import Batches
    from training.yolo.loop import Course
    from training.yolo.loop import train as learn

    known = scenes(how.pictures, work.scenes, processes=work.threads, progress=work.progress)
    course = Course(f"{lesson.title}, by itself", (lesson.layout(),), how.steps, rate=how.rate, seed=SEED)
    batches = Batches(range(len(known)), lambda index: [lesson.learned(known[index])], how.view, how.batch, SEED + 1)
    return learn(course, batches, work, first)


def hits(labels: Sequence[str], said: Sequence[str]) -> float:
    """Share of labels that were said; 0 of none."""
    return sum(a == b for a, b in zip(labels, said, strict=True)) / max(len(labels), 1)
