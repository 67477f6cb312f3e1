"""A small image tower and a small text tower that learn together which texts fit which pictures.

The loss is CLIP's, a cross entropy over the pairs of a batch in both directions (Radford et al. 2021, arXiv:2103.00020,
figure 3), with what UniCL made of it (Yang et al. 2022, arXiv:2204.03610): several texts may fit a picture, and all of
them are right. With drawn scenes nobody has to guess which: a text that happens to fit another picture of the batch is
no counter-example, and one of which nobody can say whether it fits counts neither way. Beside the captions of the batch
there is a question about each topic: all its values in the same words, as labels are compared in use.

Pictures come in with 224 px a side, as CLIP's do, and are halved first: the drawn ones have little that 112 px do not
show, and a step costs a quarter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.adapter.clip_tokenizer import END, ClipTokenizer
from hearthwatch.artifacts.tokens import Vocabulary
from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD, EMBEDDING_DIMENSION, LOGIT_SCALE
from hearthwatch.networks.clip import TextTower, TransformerPlan
from hearthwatch.networks.resnet import create_resnet
from hearthwatch.vision.image import UInt8
from training.lessons import Batch, Lessons, Pictures
from training.loop import Moment, first_weights, mixed_precision, run, warm_then_cosine
from training.recipe import Workplace

#: Channels of the ResNet-18's first layer, and the text transformer.
STEM, TEXT = 24, TransformerPlan(width=128, layers=2, heads=4, inner=512)
#: Tokens of a text, its start and end included. CLIP's 77 would cost twice as much, and drawn scenes ask for few words.
CONTEXT = 32
#: Factor on cosines at the beginning (section 2.5 of CLIP).
FIRST_SCALE = 1 / 0.07
#: Deviation of the first token and position embeddings, as CLIP's.
TOKENS_STD, POSITIONS_STD = 0.02, 0.01
MOST_GRADIENT = 2.0


class Pair(nn.Module):
    """Both towers, and the logarithm of the factor on their cosines.

    Args:
        vocabulary: of the texts.
        stem: channels of the image tower's first layer.
    """

    def __init__(self, vocabulary: Vocabulary, stem: int = STEM) -> None:
        super().__init__()
        self.image = create_resnet(18, EMBEDDING_DIMENSION, stem=stem)
        self.text = TextTower(
            TEXT,
            vocabulary=len(vocabulary.tokens),
            length=CONTEXT,
            projection=EMBEDDING_DIMENSION,
            end=vocabulary.tokens[END],
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        embeddings = self.text.text_model.embeddings
        nn.init.normal_(embeddings.token_embedding.weight, std=TOKENS_STD)
        nn.init.normal_(embeddings.position_embedding.weight, std=POSITIONS_STD)

    def picture_tower(self) -> nn.Module:
        """(N, 3, 224, 224) to (N, 768)."""
        return nn.Sequential(nn.AvgPool2d(2), self.image)

    def scale(self) -> torch.Tensor:
        """The factor."""
        return self.logit_scale.exp().clamp(max=LOGIT_SCALE)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """How it is trained.

    Attributes:
        steps: batches.
        batch: pictures in each.
        side: that a picture has, half of the network's input.
        rate: of AdamW, at its highest.
        decay: of what has more than one axis.
        questions: weight of their mean beside the captions: with 1, colours were not told apart after 200 steps.
        seed: of the batches.
    """

    steps: int
    batch: int = 64
    side: int = 112
    rate: float = 2e-3
    decay: float = 0.05
    questions: float = 6.0
    seed: int = 0


def train_pair(vocabulary: Vocabulary, pictures: Pictures, plan: PairPlan, workplace: Workplace) -> Path:
    """Train, or go on; gives the file of the averaged pair."""
    pair = first_weights(lambda: Pair(vocabulary), plan.seed)
    groups = [
        {"params": [p for p in pair.parameters() if p.ndim > 1], "weight_decay": plan.decay},
        {"params": [p for p in pair.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate)
    tokenizer = ClipTokenizer(vocabulary, CONTEXT)
    lessons = Lessons(pictures, tokenizer, batch=plan.batch, side=plan.side, seed=plan.seed)

    def step(moment: Moment) -> float:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * warm_then_cosine(moment.share)
        loss = loss_of(pair.train(), lessons.at(moment.step), plan.questions)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(pair.parameters(), MOST_GRADIENT)
        optimizer.step()
        return float(loss.detach())

    return run(workplace, title="CLIP pair", steps=plan.steps, network=pair, parts={"optimizer": optimizer}, step=step)


def loss_of(pair: Pair, batch: Batch, questions: float) -> torch.Tensor:
    """Of one batch: the captions', and the mean of the questions'."""
    with mixed_precision():
        images = pair.image(normalised(batch.pixels)).float()
    # In float32: attention over so few tokens is faster in it.
    texts = torch.cat([pair.text(torch.from_numpy(ids)) for ids in (batch.captions, batch.questions)])
    logits = pair.scale() * functional.normalize(images) @ functional.normalize(texts).T
    truth = torch.from_numpy(batch.truth)
    losses = [fitting_loss(logits[:, group], truth[:, group]) for group in batch.groups]
    return losses[0] + questions * torch.stack(losses[1:]).mean()


def fitting_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Half of it over the texts of each picture, half over the pictures of each text; 0 where all is right.

    Args:
        logits: (N, T) scaled cosines.
        truth: (N, T) 1 fits, 0 does not, -1 nobody can say.
    """
    return (_over(logits, truth) + _over(logits.T, truth.T)) / 2


def _over(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """How far each row is from a target that all columns that fit share; rows without a choice teach nothing."""
    fits = truth == 1
    choice = fits.any(dim=1) & (truth == 0).any(dim=1)
    logs = logits.masked_fill(truth < 0, -torch.inf)[choice].log_softmax(dim=1)
    fits = fits[choice]
    if not len(fits):
        return logits.sum() * 0
    count = fits.sum(dim=1)
    # Less the target's own entropy, which differs from batch to batch: 0 is perfect.
    return -(logs.masked_fill(~fits, 0).sum(dim=1) / count + count.log()).mean()


def normalised(pixels: UInt8) -> torch.Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W), CLIP's mean and standard deviation."""
    values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (CLIP_MEAN, CLIP_STD))
    return (values - mean) / std
