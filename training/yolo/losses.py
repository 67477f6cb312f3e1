"""How wrong a network's answers are.

Scores     binary cross entropy with the target quality, each weighted by how far off it is: TOOD (arXiv:2108.07755,
           equation 5), after quality focal loss (Li et al. 2020, arXiv:2006.04388).
Boxes      complete IoU (Zheng et al. 2019, arXiv:1911.08287) of the mean distances, and distribution focal loss
           (arXiv:2006.04388) of each side's distribution.
Key points object keypoint similarity (YOLO-Pose, Maji et al. 2022, arXiv:2204.06806, section 3.3) and binary cross
           entropy of "is there". Similarity is flat where a point is far off, so that a fresh network would not learn
           from it: the distance itself, in parts of the person's size, leads it near.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from hearthwatch.networks.yolov8_heads import Raw
from hearthwatch.networks.yolov8_plan import BINS
from hearthwatch.vision.keypoints import OKS_SIGMAS
from training.yolo.targets import Assignment, Truth, assign, iou, within

#: Of the weight of an error in the scores; the paper's gamma.
FOCUS = 2.0
#: A person's area is about half of the box (COCO's masks; `hearthwatch.models.pose_estimator` counts so as well).
AREA_OF_BOX = 0.5


@dataclass(frozen=True, slots=True)
class Gains:
    """What each part counts. Scores, boxes and distances as in TOOD and in GFL."""

    scores: float = 1.0
    boxes: float = 2.0
    distances: float = 0.5
    points: float = 4.0
    far_points: float = 2.0
    presence: float = 0.5


class Losses(NamedTuple):
    """The parts, weighted; their sum is what falls."""

    scores: torch.Tensor
    boxes: torch.Tensor
    distances: torch.Tensor
    points: torch.Tensor
    presence: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return self.scores + self.boxes + self.distances + self.points + self.presence


def losses(raw: Raw, truth: Truth, gains: Gains) -> Losses:
    """A batch's losses, per unit of assigned quality."""
    raw = Raw(*(part.float() for part in raw))
    strides = raw.strides[0]
    centres = ((raw.corners + 0.5) * raw.strides).T
    with torch.no_grad():
        shares = raw.boxes.unflatten(1, (4, BINS)).softmax(dim=2)
        boxes = _boxes(_mean(shares, dim=2).transpose(1, 2), centres, strides[:, None])
        assignment = assign(raw.classes.sigmoid(), boxes, centres, strides, truth)
    whole = assignment.quality.sum().clamp(min=1.0)
    scores = _scores(raw.classes, assignment, truth, centres) / whole
    image, anchor = (assignment.owner >= 0).nonzero(as_tuple=True)
    if len(image) == 0:
        nothing = raw.boxes.sum() * 0 + raw.extra.sum() * 0
        return Losses(gains.scores * scores, nothing, nothing, nothing, nothing)
    weights = assignment.quality[image, anchor] / whole
    objects = assignment.owner[image, anchor]
    cells = strides[anchor][:, None]
    logits = raw.boxes[image, :, anchor].unflatten(1, (4, BINS))
    predicted = _boxes(_mean(logits.softmax(dim=2), dim=2), centres[anchor], cells)
    goal = truth.boxes[objects]
    distances = torch.cat([centres[anchor] - goal[:, :2], goal[:, 2:] - centres[anchor]], dim=1) / cells
    points = presence = raw.extra.sum() * 0
    if raw.extra.shape[1]:
        said = raw.extra[image, :, anchor].unflatten(1, (-1, 3))
        places = (said[..., :2] * 2 + raw.corners.T[anchor][:, None]) * cells[..., None]
        known = truth.keypoints[objects]
        points = (weights * _points(places, known, goal, gains)).sum()
        seen = (known[..., 2] > 0).float()
        unsure = functional.binary_cross_entropy_with_logits(said[..., 2], seen, reduction="none").mean(dim=1)
        presence = gains.presence * (weights * unsure).sum()
    return Losses(
        gains.scores * scores,
        gains.boxes * (weights * (1 - complete_iou(predicted, goal))).sum(),
        gains.distances * (weights * distribution_loss(logits, distances)).sum(),
        points,
        presence,
    )


def complete_iou(predicted: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """CIoU of (P, 4) xyxy pairs: overlap, less the distance of the middles, less the difference of the aspects."""
    overlap = iou(predicted, goal)
    low = torch.minimum(predicted[:, :2], goal[:, :2])
    high = torch.maximum(predicted[:, 2:], goal[:, 2:])
    diagonal = (high - low).square().sum(dim=1).clamp(min=1e-9)
    middles = (predicted[:, :2] + predicted[:, 2:] - goal[:, :2] - goal[:, 2:]) / 2
    sizes = [(box[:, 2:] - box[:, :2]).clamp(min=1e-3) for box in (predicted, goal)]
    angles = [torch.atan2(size[:, 0], size[:, 1]) for size in sizes]
    aspect = 4 / math.pi**2 * (angles[1] - angles[0]).square()
    with torch.no_grad():  # the paper's trade-off, which is not differentiated
        trade = aspect / (1 - overlap + aspect).clamp(min=1e-9)
    return overlap - middles.square().sum(dim=1) / diagonal - trade * aspect


def distribution_loss(logits: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """DFL: cross entropy with the two bins beside each distance, by nearness; the mean of the four sides.

    Args:
        logits: (P, 4, BINS).
        distances: (P, 4) in cells.
    """
    goal = distances.clamp(min=0, max=BINS - 1 - 1e-3)
    below = goal.floor()
    share = goal - below
    log = logits.log_softmax(dim=2)
    lower = log.gather(2, below.long()[..., None])[..., 0]
    upper = log.gather(2, below.long()[..., None] + 1)[..., 0]
    return -((1 - share) * lower + share * upper).mean(dim=1)


def _scores(logits: torch.Tensor, assignment: Assignment, truth: Truth, centres: torch.Tensor) -> torch.Tensor:
    goal = torch.zeros_like(logits)
    image, anchor = (assignment.owner >= 0).nonzero(as_tuple=True)
    goal[image, truth.classes[assignment.owner[image, anchor]], anchor] = assignment.quality[image, anchor]
    counted = torch.ones(logits.shape[0], logits.shape[2])
    if len(truth.ignored):
        silent = within(centres, truth.ignored).float()
        counted = 1 - torch.zeros_like(counted).index_add(0, truth.ignored_images, silent).clamp(max=1)
        counted[image, anchor] = 1.0
    off = (logits.detach().sigmoid() - goal).abs() ** FOCUS
    each = functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    return (off * each * counted[:, None]).sum()


def _points(places: torch.Tensor, known: torch.Tensor, boxes: torch.Tensor, gains: Gains) -> torch.Tensor:
    """(P,): how far the known points of each object are off; 0 for one without any.

    Args:
        places: (P, K, 2) predicted, in input pixels.
        known: (P, K, 3).
        boxes: (P, 4) of the objects.
        gains: of near and far.
    """
    sigmas = torch.tensor(OKS_SIGMAS)[: known.shape[1]]
    areas = AREA_OF_BOX * (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp(min=1.0)
    square = (places - known[..., :2]).square().sum(dim=2) / areas[:, None]
    similar = torch.exp(-square / (2 * (2 * sigmas).square()))
    # The smallest number keeps the root's slope finite where a point is exactly right.
    each = gains.points * (1 - similar) + gains.far_points * (square + 1e-4).sqrt()
    there = (known[..., 2] > 0).float()
    return (each * there).sum(dim=1) / there.sum(dim=1).clamp(min=1.0)


def _mean(shares: torch.Tensor, dim: int) -> torch.Tensor:
    """Distributions over the bins along `dim` to their means, in cells."""
    bins = torch.arange(BINS, dtype=shares.dtype)
    return (shares.movedim(dim, -1) * bins).sum(dim=-1)


def _boxes(distances: torch.Tensor, centres: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """(…, A, 4) distances in cells to xyxy in input pixels."""
    return torch.cat([centres - distances[..., :2] * cells, centres + distances[..., 2:] * cells], dim=-1)
