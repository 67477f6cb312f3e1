"""A small image tower that learns what drawn pictures show, then a small text tower that learns to say it.

The image tower learns from labels: every value of every topic (`statements.TOPICS`) has a prototype, a point that
pictures of it shall lie near. Then the text tower is tuned to what the image tower has learned and is locked (LiT, Zhai
et al. 2022, arXiv:2111.07991): a text shall lie where the prototypes of all that it claims point together. Where both
towers learned from each other, as CLIP's do (Radford et al. 2021, arXiv:2103.00020), the text tower drew all values of
a topic together before the image tower told them apart, and colours stayed one. With drawn scenes nobody needs the
pictures to know what a text says of them, so reading is learned in minutes. The prototypes are dropped afterwards.

Pictures come in with 224 px a side, as CLIP's do, and are halved first: the drawn ones have little that 112 px do not
show, and a step costs a quarter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.adapter.clip_tokenizer import END, ClipTokenizer
from hearthwatch.artifacts.tokens import Vocabulary
from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD, EMBEDDING_DIMENSION
from hearthwatch.networks.clip import TextTower
from hearthwatch.networks.clip_layers import TransformerPlan
from hearthwatch.networks.resnet import create_resnet
from hearthwatch.vision.image import UInt8
from training.lessons import OF_TOPIC, VALUES, Batch, Lessons, Pictures
from training.loop import Moment, first_weights, load_tensors, mixed_precision, run, warm_then_cosine
from training.recipe import Workplace
from training.sentences import Said, Sentences
from training.statements import TOPICS

#: Channels of the ResNet-18's first layer, and the text transformer.
STEM, TEXT = 24, TransformerPlan(width=128, layers=2, heads=4, inner=512)
#: Tokens of a text, its start and end included. CLIP's 77 would cost twice as much, and drawn scenes ask for few words.
CONTEXT = 32
#: Factor on cosines. A picture has a prototype near it of each topic, so that its cosines with them stay below 0.5.
SCALE = 80.0
#: Weights of topics in the pictures' loss, where not 1: of what is asked most, and of what is small in a picture.
TOPIC_WEIGHTS = {"what": 2.0, "posture": 2.0, "colour": 4.0, "held": 4.0}
_WEIGHTS = functional.normalize(torch.tensor([TOPIC_WEIGHTS.get(topic, 1.0) for topic in TOPICS]), p=1, dim=0)
#: Deviation of the first token and position embeddings, as CLIP's.
TOKENS_STD, POSITIONS_STD = 0.02, 0.01
#: Of the first prototypes: small, so that they turn as fast as the weights do.
PROTOTYPES_STD = 0.05
MOST_GRADIENT = 2.0
#: Folder of the image tower's part of the training, and that part's share of a limit in minutes.
PICTURES, PICTURES_SHARE = "pictures", 0.75


class PictureSide(nn.Module):
    """The image tower, and the prototypes of `VALUES`.

    Args:
        stem: channels of the tower's first layer.
    """

    def __init__(self, stem: int = STEM) -> None:
        super().__init__()
        self.image = create_resnet(18, EMBEDDING_DIMENSION, stem=stem)
        self.prototypes = nn.Parameter(torch.empty(len(VALUES), EMBEDDING_DIMENSION))
        nn.init.normal_(self.prototypes, std=PROTOTYPES_STD)

    def tower(self) -> nn.Module:
        """(N, 3, 224, 224) to (N, 768)."""
        return nn.Sequential(nn.AvgPool2d(2), self.image)


class Pair(nn.Module):
    """Both towers.

    Args:
        vocabulary: of the texts.
        stem: as `PictureSide`.
    """

    def __init__(self, vocabulary: Vocabulary, stem: int = STEM) -> None:
        super().__init__()
        self.pictures = PictureSide(stem)
        self.text = TextTower(
            TEXT,
            vocabulary=len(vocabulary.tokens),
            length=CONTEXT,
            projection=EMBEDDING_DIMENSION,
            end=vocabulary.tokens[END],
        )
        embeddings = self.text.text_model.embeddings
        nn.init.normal_(embeddings.token_embedding.weight, std=TOKENS_STD)
        nn.init.normal_(embeddings.position_embedding.weight, std=POSITIONS_STD)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """How it is trained.

    Attributes:
        steps: of the image tower.
        batch: pictures in each.
        side: that a picture has, half of the network's input.
        text_steps: of the text tower.
        texts: in each of those.
        rate: of AdamW, at its highest.
        decay: of what has more than one axis.
        seed: of everything.
    """

    steps: int
    batch: int = 32
    side: int = 112
    text_steps: int = 2500
    texts: int = 32
    rate: float = 1e-3
    decay: float = 0.05
    seed: int = 0


def train_pair(vocabulary: Vocabulary, pictures: Pictures, plan: PairPlan, workplace: Workplace) -> Path:
    """Train, or go on; gives the file of the averaged pair."""
    pair = first_weights(lambda: Pair(vocabulary), plan.seed)
    first = _part(workplace, PICTURES, PICTURES_SHARE)
    pair.pictures.load_state_dict(load_tensors(_learn_pictures(pair.pictures, pictures, plan, first)))
    pair.pictures.eval().requires_grad_(False)
    tokenizer = ClipTokenizer(vocabulary, CONTEXT)
    sentences = Sentences(pictures.facts, tokenizer, batch=plan.texts, seed=plan.seed)
    return _learn_to_read(pair, sentences, plan, _part(workplace, "", 1 - PICTURES_SHARE))


def picture_loss(side: PictureSide, batch: Batch, prior: torch.Tensor) -> torch.Tensor:
    """How far the pictures of a batch are from the values that may be true of them.

    Args:
        side: learns.
        batch: what it is shown.
        prior: (V,) logarithm of how frequent each value is. With it a value's frequency is no evidence for it (Menon
            et al. 2021, arXiv:2007.07314): asked is later with all labels alike.
    """
    with mixed_precision():
        seen = side.image(normalised(batch.pixels)).float()
    logits = SCALE * functional.normalize(seen) @ functional.normalize(side.prototypes).T + prior
    may_be = torch.from_numpy(batch.possible)
    return torch.stack([label_loss(logits[:, topic], may_be[:, topic]) for topic in OF_TOPIC]) @ _WEIGHTS


def text_loss(pair: Pair, said: Said) -> torch.Tensor:
    """How far texts are from where the prototypes of what they claim point together: 1 less the cosine, 0..2."""
    prototypes = functional.normalize(pair.pictures.prototypes)
    # In float32: attention over so few tokens is faster in it.
    read = pair.text(torch.from_numpy(said.tokens))
    return (1 - functional.cosine_similarity(read, torch.from_numpy(said.claims) @ prototypes)).mean()


def _learn_pictures(side: PictureSide, pictures: Pictures, plan: PairPlan, workplace: Workplace) -> Path:
    lessons = Lessons(pictures, batch=plan.batch, side=plan.side, seed=plan.seed)
    prior = torch.from_numpy(lessons.frequencies).log()
    return _learn(
        "CLIP pair, pictures", plan, plan.steps, workplace, side, side,
        lambda step: picture_loss(side.train(), lessons.at(step), prior),
    )  # fmt: skip


def _learn_to_read(pair: Pair, sentences: Sentences, plan: PairPlan, workplace: Workplace) -> Path:
    return _learn(
        "CLIP pair, texts", plan, plan.text_steps, workplace, pair, pair.text,
        lambda step: text_loss(pair, sentences.at(step)),
    )  # fmt: skip


def _learn(
    title: str,
    plan: PairPlan,
    steps: int,
    workplace: Workplace,
    network: nn.Module,
    learner: nn.Module,
    loss_at: Callable[[int], torch.Tensor],
) -> Path:
    """Train a part of a network; gives the file of the averaged network."""
    groups = [
        {"params": [p for p in learner.parameters() if p.ndim > 1], "weight_decay": plan.decay},
        {"params": [p for p in learner.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, fused=True)

    def step(moment: Moment) -> float:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * warm_then_cosine(moment.share)
        loss = loss_at(moment.step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), MOST_GRADIENT)
        optimizer.step()
        return float(loss.detach())

    return run(workplace, title=title, steps=steps, network=network, parts={"optimizer": optimizer}, step=step)


def _part(workplace: Workplace, name: str, share: float) -> Workplace:
    """A part of a training, in its own folder; of a limit in minutes it has its share."""
    minutes = None if workplace.minutes is None else workplace.minutes * share
    return replace(workplace, folder=workplace.folder / name, minutes=minutes)


def label_loss(logits: torch.Tensor, may_be: torch.Tensor) -> torch.Tensor:
    """How far pictures are from the values of a topic that may be true of them, one of which is enough.

    Args:
        logits: (N, V).
        may_be: (N, V) which values may be true; pictures of which none or all may teach nothing.
    """
    choice = may_be.any(dim=1) & ~may_be.all(dim=1)
    if not choice.any():
        return logits.sum() * 0
    logits, may_be = logits[choice], may_be[choice]
    return (logits.logsumexp(dim=1) - logits.masked_fill(~may_be, -torch.inf).logsumexp(dim=1)).mean()


def normalised(pixels: UInt8) -> torch.Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W), CLIP's mean and standard deviation."""
    values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (CLIP_MEAN, CLIP_STD))
    return (values - mean) / std
