"""The 17 body joints of COCO: names, order, symmetry, and how two skeletons are compared.

A skeleton is a (17, 3) float array of x, y in picture pixels and a third column: the confidence (0..1) of a network,
or the visibility of a label (0 not labelled, 1 labelled but hidden, 2 visible).
"""

from __future__ import annotations

import math

import numpy as np

from hearthwatch.vision.image import Float

#: Joint names in the order of COCO's annotations (Lin et al. 2014, arXiv:1405.0312). Left is the person's own left.
COCO_KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

#: Limbs to draw, as pairs of joint indices counted from 0: the 19 of COCO's category record, which counts from 1.
SKELETON = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
)

#: Joint i of a mirrored picture is joint FLIP[i] of the original: left and right change places.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)

#: How far annotators disagree about each joint, as a fraction of the square root of the person's area: `kpt_oks_sigmas`
#: of pycocotools, measured by COCO on 5,000 images labelled twice (cocodataset.org, "Keypoint Evaluation").
OKS_SIGMAS = (
    0.026,
    0.025,
    0.025,
    0.035,
    0.035,
    0.079,
    0.079,
    0.072,
    0.072,
    0.062,
    0.062,
    0.107,
    0.107,
    0.087,
    0.087,
    0.089,
    0.089,
)


def oks(keypoints: Float, truth: Float, area: float) -> float:
    """Object keypoint similarity, as COCO's evaluation computes it: exp(-d^2 / (2 area (2 sigma)^2)), averaged.

    Args:
        keypoints: (17, 3) predicted x, y, confidence. The confidence plays no part; a joint that is not finite
            counts as missed (similarity 0).
        truth: (17, 3) labelled x, y, visibility. Only joints with visibility above 0 count.
        area: of the person, in square pixels: COCO's segment area, or the box's where there is none.

    Returns:
        0 (nothing near) to 1 (every labelled joint exactly there).

    Raises:
        ValueError: no joint is labelled, or the area is not a positive number; there is nothing to compare then.
    """
    labelled = truth[:, 2] > 0
    if not labelled.any() or not (math.isfinite(area) and area > 0):
        raise ValueError(f"OKS needs a labelled joint and a positive area; got {int(labelled.sum())} joints, {area}")
    difference = keypoints[labelled, :2].astype(np.float64) - truth[labelled, :2].astype(np.float64)
    variance = (2 * np.array(OKS_SIGMAS)[labelled]) ** 2
    similarity = np.exp(-np.square(difference).sum(axis=1) / (2 * area * variance))
    return float(np.where(np.isfinite(difference).all(axis=1), similarity, 0.0).mean())


def mirror(keypoints: Float, width: float) -> Float:
    """Flip a person left to right, as in the mirrored picture.

    Args:
        keypoints: (17, 3) x, y, confidence or visibility.
        width: of the picture, in the unit of x. Coordinates are continuous (the centre of the first pixel is 0.5),
            so x becomes width - x.

    Returns:
        (17, 3), a new array, left and right joints swapped.
    """
    mirrored = keypoints[list(FLIP)]
    mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored
