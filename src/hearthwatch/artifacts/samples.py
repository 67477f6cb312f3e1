"""Sample weights: small networks inside the package, trained on drawn scenes, for trying out and testing.

They answer where nobody gave any weights, or where somebody asks for them (`choice`); never where real ones were asked
for. The folder has `MODEL.onnx` with its card `MODEL.json` for each model that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hearthwatch.artifacts.card import read_card
from hearthwatch.errors import WeightsInvalid
from hearthwatch.settings import PACKAGE_SAMPLES

SAMPLES_DIR = PACKAGE_SAMPLES
#: What `FoundWeights.how` says of them.
SAMPLE = "sample weights"
#: Said wherever they answer, after their name.
NATURE = (
    "trained on drawn scenes, for trying out and testing, not for real cameras; "
    "`hearthwatch models pull` fetches the real ones"
)
SENTENCE = f"{SAMPLE}: {NATURE}"


def sample_path(model: str, folder: Path = SAMPLES_DIR) -> Path:
    """Where a model's sample weights are, if it has any."""
    return folder / f"{model}.onnx"


def has_sample(model: str, folder: Path = SAMPLES_DIR) -> bool:
    """Whether there is such a file; whether it is sound, `sample_weights` says."""
    try:
        return sample_path(model, folder).is_file()
    except OSError:
        return False


def has_samples(folder: Path = SAMPLES_DIR) -> bool:
    """Whether any model has sample weights there: a package may come without them."""
    try:
        return any(path.is_file() for path in folder.glob("*.onnx"))
    except OSError:
        return False


def sample_weights(model: str, folder: Path = SAMPLES_DIR) -> Path | None:
    """The sample weights of a model, an ONNX file; None where it has none.

    Raises:
        WeightsInvalid: its card is missing, or does not say that these are sample weights of this model: what came from
            them could pass for real.
    """
    if not has_sample(model, folder):
        return None
    path = sample_path(model, folder)
    card_path = path.with_suffix(".json")
    if not card_path.is_file():
        raise WeightsInvalid(f"{path} has no card {card_path.name}, so nobody says that it is a sample")
    card = read_card(card_path)
    if card.model != model or card.weights != "sample":
        raise WeightsInvalid(
            f"card {card_path} says model {card.model!r} and weights {card.weights!r}; in this folder it has to say "
            f"{model!r} and 'sample'"
        )
    return path


def notice(sampled: Sequence[str], others: Sequence[str] = ()) -> str | None:
    """A sentence for people where sample weights answer, else None.

    Args:
        sampled: the models that answer with sample weights.
        others: those that have weights of another kind; where there are both, the sentence names the former.
    """
    if not sampled:
        return None
    return f"{', '.join(sampled)}: {SENTENCE}" if others else SENTENCE
