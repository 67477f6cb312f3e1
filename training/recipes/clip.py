"""Turns drawn pictures into numbers that lie near those of texts that fit them.

Network  ResNet-18 (He et al. 2016, arXiv:1512.03385) at three eighths of its width, behind a halving of the picture;
         it learns from labels, each of which has a prototype that its pictures shall lie near. `clip_text` is tuned to
         it afterwards (LiT, Zhai et al. 2022, arXiv:2111.07991).
Input    CLIP's own: bicubic, the shorter side at 224 px, the square in the middle; a box padded to a square first.
Output   (N, 768), compared by cosine.
Limits   It knows what the captions of drawn scenes talk about: postures, clothes and their colours, what is held and
         carried, vehicles and their paint, cats and dogs, place and light. Measured are things of 90 px and more that
         are hidden by at most a fifth; colours where there is light, and none that are shades of each other; what is
         in a hand where it is not tiny. Each answer counts the same, however often it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.clip_pair import FAMILY, MINUTES, export, train
from training.recipe import Recipe
from training.zero_shot import ENSEMBLED, Seen, accuracy, held_out


def evaluate(onnx: Path, pictures: Sequence[Seen] | None = None) -> dict[str, float]:
    """What it says of each picture, asked as `/classify` asks unless told otherwise: with all templates averaged."""
    figures = accuracy(onnx, held_out() if pictures is None else pictures)
    return {name: ways[ENSEMBLED] for name, ways in figures.items()}


RECIPE = Recipe("clip", "CLIP picture embedding", MINUTES, train, export, evaluate, shared=FAMILY)
