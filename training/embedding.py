"""Trains a network whose vectors are near for the same person: a supervised contrastive loss.

Each picture is to tell the others of the same person from all others of its batch (Khosla et al. 2020,
arXiv:2004.11362, equation 2), by the cosine that the vectors are compared with later. It needs no classifier of the
identities; with one, and with a triplet loss (Hermans et al. 2017), 800 identities and 800 steps ended where they
began, with all vectors the same.

The first steps are made at half the size, which costs a quarter: the network ends in a mean over all positions. The
full size comes while the rate is not yet small, with fewer people in a batch, because what was learned at half the size
does not hold as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from hearthwatch.vision.image import Float, UInt8
from training.augment import Variation, batch
from training.loop import Moment, Stateful, mixed_precision, run, warm_then_cosine
from training.recipe import Workplace


@dataclass(frozen=True, slots=True, eq=False)
class Portraits:
    """Pictures of people.

    Attributes:
        pixels: (n, h, w, 3), with room around the person.
        inner: (n, 4) where the person's box lies in them, as shares.
        identity: (n,) whom they show.
        camera: (n,) which camera took them.
    """

    pixels: UInt8
    inner: Float
    identity: npt.NDArray[np.int64]
    camera: npt.NDArray[np.int64]


#: A person at noon has to be known at night.
CAMERAS_DIFFER = Variation(gain=0.8, gamma=0.4, noise=0.08)


@dataclass(frozen=True, slots=True)
class EmbeddingPlan:
    """How it is trained.

    Attributes:
        steps: batches.
        size: (height, width) of the network's input.
        half_until: share of the training that is made at half of it.
        people: in a batch of half the size.
        people_at_full_size: likewise.
        each: pictures of each of them, half of them from either camera.
        rate: of AdamW, at its highest.
        temperature: of the softmax over cosines.
    """

    steps: int
    size: tuple[int, int] = (256, 128)
    half_until: float = 0.75
    people: int = 24
    people_at_full_size: int = 16
    each: int = 4
    rate: float = 2e-3
    temperature: float = 0.1
    variation: Variation = CAMERAS_DIFFER


def train_embedding(network: nn.Module, portraits: Portraits, plan: EmbeddingPlan, workplace: Workplace) -> Path:
    """Train `network`, which gives vectors; the checkpoint is its state."""
    _, label = np.unique(portraits.identity, return_inverse=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=5e-4)
    draw = _sampler(portraits, label, plan)

    def step(moment: Moment) -> float:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * warm_then_cosine(moment.share)
        pixels, labels = draw(moment)
        network.train()
        with mixed_precision():
            vectors = network(pixels.to(memory_format=torch.channels_last))
        loss = contrastive(vectors.float(), labels, plan.temperature)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    parts: dict[str, Stateful] = {"optimizer": optimizer}
    return run(workplace, title="training", steps=plan.steps, network=network, parts=parts, step=step)


def contrastive(vectors: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean cross entropy of finding each vector's others of the same label among all others.

    Args:
        vectors: (N, features), of any length.
        labels: (N,), each at least twice.
        temperature: of the softmax over cosines.
    """
    unit = functional.normalize(vectors)
    itself = torch.eye(len(labels), dtype=torch.bool)
    same = (labels[:, None] == labels[None, :]) & ~itself
    chances = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf).log_softmax(dim=1)
    return -(chances.masked_fill(~same, 0).sum(dim=1) / same.sum(dim=1)).mean()


def _sampler(
    portraits: Portraits, label: npt.NDArray[np.intp], plan: EmbeddingPlan
) -> Callable[[Moment], tuple[torch.Tensor, torch.Tensor]]:
    """Batches of `people` identities with `each` pictures, from either camera where both have some."""
    cameras = np.unique(portraits.camera)
    groups = [
        [found for camera in cameras if len(found := np.flatnonzero((label == n) & (portraits.camera == camera)))]
        for n in range(int(label.max()) + 1)
    ]
    half = (plan.size[0] // 2, plan.size[1] // 2)

    def draw(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng([1, moment.step])
        is_half = moment.share < plan.half_until
        count = min(plan.people if is_half else plan.people_at_full_size, len(groups))
        people = rng.choice(len(groups), count, replace=False)
        by_camera = [groups[person][turn % len(groups[person])] for person in people for turn in range(plan.each)]
        chosen = [int(rng.choice(pictures)) for pictures in by_camera]
        size = half if is_half else plan.size
        pixels = batch(portraits.pixels[chosen], portraits.inner[chosen], size, rng, plan.variation)
        return torch.from_numpy(pixels), torch.from_numpy(label[chosen].astype(np.int64))

    return draw
