"""One YOLO training: what a step does. That it can be stopped and taken up again is `training.loop`'s business."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hearthwatch.networks.yolov8 import YOLOv8
from training.loop import Moment, load_tensors, run, warm_then_cosine
from training.recipe import Workplace
from training.yolo.batches import Batch, Batches
from training.yolo.losses import Gains, losses
from training.yolo.plan import Layout, fresh

#: A step is hardly ever steeper; one that is would undo hundreds.
MOST_GRADIENT = 10.0
_CPU_FACTS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained.

    Attributes:
        title: for the progress.
        layout: of the network.
        steps: how many, where there is no limit in minutes.
        rate: of AdamW, at its highest.
        decay: of kernels; biases and norms do not decay.
        warm: share of the steps in which the rate rises.
        gains: of the losses.
        seed: of the first weights.
    """

    title: str
    layout: Layout
    steps: int
    rate: float = 4e-3
    decay: float = 0.05
    warm: float = 0.05
    gains: Gains = Gains()  # noqa: RUF009 - frozen
    seed: int = 0


class Learner:
    """A network on its way, and its optimizer (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self.network = fresh(course.layout, course.seed).to(memory_format=torch.channels_last)
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": course.decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=course.rate, fused=True)
        self._fast = has_bf16()

    def learn(self, batch: Batch, share: float) -> float:
        """One step; gives its loss.

        Args:
            batch: that is shown.
            share: of the training that is done, 0..1.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._course.rate * warm_then_cosine(share, self._course.warm)
        images = batch.pixels.permute(0, 3, 1, 2).float() / 255
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            raw = self.network.raw(images)
        total = losses(raw, batch.truth, self._course.gains).total
        self.optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MOST_GRADIENT)
        self.optimizer.step()
        return float(total.detach())


def train(course: Course, batches: Batches[Any], work: Workplace) -> Path:
    """Train, or go on; gives the file of the averaged network.

    Args:
        course: how.
        batches: with what.
        work: where the checkpoint is, and what may be used.
    """
    torch.set_flush_denormal(True)
    learner = Learner(course)
    with closing(batches.ahead()) as ahead:

        def step(moment: Moment) -> float:
            return learner.learn(ahead.at(moment.step), moment.share)

        return run(
            work,
            title=course.title,
            steps=course.steps,
            network=learner.network,
            parts={"optimizer": learner.optimizer},
            step=step,
        )


def trained(path: Path, layout: Layout) -> YOLOv8:
    """The network of a finished training, ready to infer."""
    network: Any = fresh(layout, 0)
    network.load_state_dict(load_tensors(path))
    return network.eval().requires_grad_(requires_grad=False)


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 by itself; where it does not, bfloat16 is slower than float32."""
    try:
        flags = _CPU_FACTS.read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
