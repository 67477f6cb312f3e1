"""Training of networks that share a body: what a step does. That it can be stopped is `training.loop`'s business."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.loop import Moment, mixed_precision, run, warm_then_cosine
from training.recipe import Workplace
from training.yolo.batches import Batch, Batches
from training.yolo.losses import Gains, losses
from training.yolo.plan import Layout, family

#: A step is hardly ever steeper; one that is would undo hundreds.
MOST_GRADIENT = 10.0


@dataclass(frozen=True, slots=True)
class Course:
    """How networks are trained together.

    Attributes:
        title: for the progress.
        layouts: of the networks; all but their heads is the same.
        steps: how many, where there is no limit in minutes.
        rate: of AdamW, at its highest.
        decay: of kernels; biases and norms do not decay.
        warm: share of the steps in which the rate rises.
        gains: of the losses.
        seed: of the first weights.
    """

    title: str
    layouts: tuple[Layout, ...]
    steps: int
    rate: float = 4e-3
    decay: float = 0.05
    warm: float = 0.03
    gains: Gains = Gains()  # noqa: RUF009 - frozen
    seed: int = 0


class Learner:
    """Networks on their way, and their optimizer (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        course: how they are trained.
        first: weights to begin with; None: fresh ones.
    """

    def __init__(self, course: Course, first: Mapping[str, torch.Tensor] | None = None) -> None:
        self._course = course
        self.networks: Any = family(course.layouts, course.seed).to(memory_format=torch.channels_last)
        if first is not None:
            self.networks.load_state_dict(first)
        parameters = [parameter for parameter in self.networks.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": course.decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=course.rate, fused=True)

    def learn(self, batch: Batch, share: float) -> float:
        """One step; gives its loss.

        Args:
            batch: that is shown.
            share: of the training that is done, 0..1.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._course.rate * warm_then_cosine(share, self._course.warm)
        images = batch.pixels.permute(0, 3, 1, 2).float() / 255
        first, *heads = self.networks
        with mixed_precision():
            levels = first.levels(images)
            raws = [head.raw(levels) for head in (first.model[-1], *heads)]
        total = sum(losses(raw, truth, self._course.gains).total for raw, truth in zip(raws, batch.truths, strict=True))
        self.optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), MOST_GRADIENT)
        self.optimizer.step()
        return float(total.detach())


def train(
    course: Course, batches: Batches[Any], work: Workplace, first: Mapping[str, torch.Tensor] | None = None
) -> Path:
    """Train, or go on; gives the file of the averaged networks.

    Args:
        course: how.
        batches: with what.
        work: where the checkpoint is, and what may be used.
        first: weights to begin with; None: fresh ones.
    """
    learner = Learner(course, first)
    with closing(batches.ahead()) as ahead:

        def step(moment: Moment) -> float:
            return learner.learn(ahead.at(moment.step), moment.share)

        return run(
            work,
            title=course.title,
            steps=course.steps,
            network=learner.networks,
            parts={"optimizer": learner.optimizer},
            step=step,
        )
