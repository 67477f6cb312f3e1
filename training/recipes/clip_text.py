"""Turns texts into numbers that lie near those of drawn pictures that they fit.

Network  The text transformer of CLIP (Radford et al. 2021, arXiv:2103.00020) with two layers of width 128, tuned to
         `clip` (LiT, Zhai et al. 2022, arXiv:2111.07991): a text lies where the prototypes of all that it claims point
         together. Its byte-pair vocabulary of 1,000 tokens is its own, and inside the file.
Input    Up to 32 tokens, about 25 words; what is longer is cut, and the result says so.
Output   (N, 768), compared by cosine.
Limits   It has read nothing but captions of drawn scenes. Other words are noise to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES
from training.clip_pair import FAMILY, MINUTES, export, train
from training.recipe import Recipe
from training.zero_shot import BARE_PROMPT, ENSEMBLED, Seen, accuracy, held_out, one_template


def evaluate(onnx: Path, pictures: Sequence[Seen] | None = None) -> dict[str, float]:
    """The same questions with one bare prompt, with one template (the mean of five), and with all of them averaged."""
    figures = accuracy(onnx, held_out() if pictures is None else pictures)
    single = [one_template(template) for template in SURVEILLANCE_TEMPLATES]
    return {
        f"{name}_{word}": value
        for name, ways in figures.items()
        for word, value in (
            ("with_one_bare_prompt", ways[BARE_PROMPT]),
            ("with_one_template", float(np.mean([ways[way] for way in single]))),
            ("ensembled", ways[ENSEMBLED]),
        )
    }


RECIPE = Recipe("clip_text", "CLIP text embedding", MINUTES, train, export, evaluate, shared=FAMILY)
