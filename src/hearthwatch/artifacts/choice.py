"""Real or sample weights: chosen once, for all models of a run together, so that no run mixes them silently."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hearthwatch.artifacts.lookup import WeightsChoice
from hearthwatch.artifacts.samples import SAMPLES_DIR, has_samples
from hearthwatch.artifacts.search import holds_weights

WeightsWish = Literal["auto", "real", "sample"]


def choose_weights(
    wish: WeightsWish, *, given: bool, models_dir: Path, samples_dir: Path = SAMPLES_DIR
) -> WeightsChoice:
    """Which weights a run uses: `auto` takes samples only where nobody gave anything and there is nothing else.

    Args:
        wish: of `HEARTHWATCH_WEIGHTS`.
        given: somebody named a path, a variable or a folder, for whichever model: then real ones are meant.
        models_dir: the folder in which a run looks.
        samples_dir: the folder with sample weights.
    """
    if wish != "auto":
        return wish
    return "real" if given or not has_samples(samples_dir) or holds_weights(models_dir) else "sample"
