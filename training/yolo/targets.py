"""Which anchor answers for which object, and how sure it may be: task-aligned assignment.

TOOD (Feng et al. 2021, arXiv:2108.07755), section 3.2: an anchor is measured by t = s^alpha * u^beta, its score for the
object's class and the overlap of its box with the object's; the best few whose centre is inside the object are its
positives. Their target score is t, scaled so that the best one's is the largest overlap that the object has.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

#: The paper's alpha and beta; its m is 13 for pictures of 800 px and more, with nearly three times as many anchors.
SCORE_POWER, OVERLAP_POWER, POSITIVES = 1.0, 6.0, 10
#: An object is at least so large, in cells, for the question whether a centre is inside: a plate of 6 px of height may
#: lie between two rows of centres, and nobody would answer for it.
LEAST_REACH = 0.75
#: Where no predicted box touches an object yet, its nearest anchors begin.
NEARNESS = 1e-9


class Truth(NamedTuple):
    """The objects of a batch, one after the other.

    Attributes:
        images: (G,) int64, which picture each is in.
        boxes: (G, 4) xyxy in input pixels.
        classes: (G,) int64.
        keypoints: (G, K, 3) x, y in input pixels, and 0 where the point is not known; K may be 0.
        ignored_images: (I,) int64, which picture each ignored box is in.
        ignored: (I, 4) xyxy: nothing that an anchor without an object says in there is held against it.
    """

    images: torch.Tensor
    boxes: torch.Tensor
    classes: torch.Tensor
    keypoints: torch.Tensor
    ignored_images: torch.Tensor
    ignored: torch.Tensor


class Assignment(NamedTuple):
    """What each anchor of a batch is for.

    Attributes:
        owner: (N, A) int64: the object it answers for, -1 for none.
        quality: (N, A): its target score in 0..1; 0 without an object.
    """

    owner: torch.Tensor
    quality: torch.Tensor


def assign(
    scores: torch.Tensor, boxes: torch.Tensor, centres: torch.Tensor, strides: torch.Tensor, truth: Truth
) -> Assignment:
    """Choose the positives of a batch. To be called without gradients.

    Args:
        scores: (N, classes, A) probabilities.
        boxes: (N, A, 4) predicted, xyxy in input pixels.
        centres: (A, 2) of the anchors, in input pixels.
        strides: (A,) input pixels per cell.
        truth: the objects.
    """
    batch, _, anchors = scores.shape
    count = len(truth.boxes)
    if count == 0:
        return Assignment(torch.full((batch, anchors), -1), scores.new_zeros(batch, anchors))
    inside, nearness = _inside(centres, strides, truth.boxes)
    overlaps = iou(truth.boxes[:, None], boxes[truth.images])
    aligned = scores[truth.images, truth.classes] ** SCORE_POWER * overlaps**OVERLAP_POWER * inside
    wanted = (aligned + NEARNESS * nearness) * inside
    best = wanted.topk(min(POSITIVES, anchors), dim=1).indices
    chosen = torch.zeros_like(inside).scatter_(1, best, value=True) & inside
    owner = _owners(chosen, overlaps + NEARNESS * nearness, truth.images, batch)
    aligned = aligned * (owner[truth.images] == torch.arange(count)[:, None])
    scaled = aligned / aligned.amax(dim=1, keepdim=True).clamp(min=1e-12)
    most = (overlaps * (owner[truth.images] == torch.arange(count)[:, None])).amax(dim=1, keepdim=True)
    image, anchor = (owner >= 0).nonzero(as_tuple=True)
    quality = scores.new_zeros(batch, anchors)
    quality[image, anchor] = (scaled * most)[owner[image, anchor], anchor]
    return Assignment(owner, quality)


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union of (…, 4) and (…, 4) xyxy, which broadcast."""
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(dim=-1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)


def within(centres: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Which of (A, 2) centres are in which of (G, 4) boxes: (G, A) bool."""
    beyond_low = centres > boxes[:, None, :2]
    before_high = centres < boxes[:, None, 2:]
    return (beyond_low & before_high).all(dim=-1)


def _inside(centres: torch.Tensor, strides: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(G, A): whether a centre is in a box, and how near it is to its middle, 0..1."""
    middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    half = (boxes[:, None, 2:] - boxes[:, None, :2]) / 2
    away = (centres - middle).abs()
    reach = torch.maximum(half, LEAST_REACH * strides[:, None])
    return (away < reach).all(dim=-1), 1 / (1 + away.sum(dim=-1) / strides)


def _owners(chosen: torch.Tensor, overlaps: torch.Tensor, images: torch.Tensor, batch: int) -> torch.Tensor:
    """(N, A): an anchor that several objects chose is for the one that its box overlaps most; of equals, the first."""
    count, anchors = chosen.shape
    rows = images[:, None].expand(count, anchors)
    wished = torch.where(chosen, overlaps, -1.0)
    best = torch.full((batch, anchors), -1.0).scatter_reduce(0, rows, wished, "amax")
    wins = chosen & (wished == best[images])
    numbers = torch.where(wins, torch.arange(count)[:, None], count)
    owner = torch.full((batch, anchors), count).scatter_reduce(0, rows, numbers, "amin")
    return torch.where(owner < count, owner, -1)
