"""Trains a classifier of crops, at half its size first, which costs a quarter: it ends in a mean over all positions.

The full size comes while the rate is still half its highest: what was learned at half the size does not hold as it is.
"""

from __future__ import annotations

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
class Examples:
    """Crops with what they show.

    Attributes:
        pixels: (n, h, w, 4), with room around the thing; RGB, and 255 where the thing is. Without a pointer the
            fourth channel is not needed.
        inner: (n, 4) where its box lies in them, as shares.
        label: (n,) class index.
    """

    pixels: UInt8
    inner: Float
    label: npt.NDArray[np.int64]


#: Shape tells them apart, colour and exact scale do not.
ANIMALS_DIFFER = Variation(jitter=0.1, gain=0.5)


@dataclass(frozen=True, slots=True)
class ClassifierPlan:
    """How it is trained.

    Attributes:
        steps: batches.
        size: (height, width) of the network's input.
        half_until: share of the training that is made at half of it.
        examples: in a batch, as many of each class.
        rate: of AdamW, at its highest.
        smoothing: of the labels.
        mask_weight: of the loss of the masks.
    """

    steps: int
    size: tuple[int, int] = (224, 224)
    half_until: float = 0.55
    examples: int = 32
    rate: float = 2e-3
    smoothing: float = 0.05
    mask_weight: float = 1.0
    variation: Variation = ANIMALS_DIFFER


class Pointer(nn.Module):
    """Says from a layer's maps where the thing is. Drawn things come with their masks, and a network that knows what to
    look at learns faster what it is; only the training has it.

    Args:
        layer: of the network.
        channels: of its output.
    """

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, 1, 1)
        self._maps: list[torch.Tensor] = []
        layer.register_forward_hook(lambda _layer, _inputs, maps: self._maps.append(maps))

    def loss(self, mask: torch.Tensor) -> torch.Tensor:
        """Of the network's latest answer; (N, 1, H, W), 0..1."""
        maps = self._maps.pop()
        target = functional.adaptive_avg_pool2d(mask, maps.shape[2:])
        return functional.binary_cross_entropy_with_logits(self.head(maps.float()), target)


def train_classifier(
    network: nn.Module, pointer: Pointer | None, examples: Examples, plan: ClassifierPlan, workplace: Workplace
) -> Path:
    """Train `network`, which gives logits; the checkpoint is its state. A pointer belongs to the network."""
    classes = [np.flatnonzero(examples.label == index) for index in range(int(examples.label.max()) + 1)]
    if min(len(found) for found in classes) == 0:
        raise ValueError("a class has no examples")
    learning: dict[str, nn.Module] = {} if pointer is None else {"pointer": pointer}
    parameters = [weights for module in (network, *learning.values()) for weights in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=1e-2)

    def step(moment: Moment) -> float:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * warm_then_cosine(moment.share)
        rng = np.random.default_rng([2, moment.step])
        chosen = [int(rng.choice(classes[turn % len(classes)])) for turn in range(plan.examples)]
        size = plan.size if moment.share >= plan.half_until else (plan.size[0] // 2, plan.size[1] // 2)
        shown = torch.from_numpy(batch(examples.pixels[chosen], examples.inner[chosen], size, rng, plan.variation))
        network.train()
        with mixed_precision():
            logits = network(shown[:, :3].contiguous(memory_format=torch.channels_last))
        labels = torch.from_numpy(examples.label[chosen])
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=plan.smoothing)
        if pointer is not None:
            loss = loss + plan.mask_weight * pointer.loss(shown[:, 3:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    parts: dict[str, Stateful] = {**learning, "optimizer": optimizer}
    return run(workplace, title="training", steps=plan.steps, network=network, parts=parts, step=step)
