"""What stands beside a sample network: `NAME.json`, a card for the program, and `NAME.md`, a model card for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.artifacts.card import read_card
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD
from training.recipe import Recipe

LICENCE = "Apache-2.0"
SOURCE = "trained by the Hearthwatch authors on drawn scenes"
#: The sentence that no model card is without.
WARNING = "Trained on drawn scenes; for trying out and testing; not for real cameras."
_ROW = re.compile(r"^([A-Z][a-z]+) {2,}(\S.*)$")


def imagenet_input(name: str, size: tuple[int, int], interpolation: str = "antialias") -> dict[str, Any]:
    """The card's `input` of a network that takes ImageNet's mean and standard deviation, squashed to `size`."""
    return {
        "name": name,
        "size": list(size),
        "layout": "NCHW",
        "color": "RGB",
        "dtype": "float32",
        "scale": 1 / 255,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "resize": "squash",
        "interpolation": interpolation,
    }


def write_card(onnx: Path, model: str, **fields: Any) -> None:
    """Write `NAME.json` beside `NAME.onnx`, with the fields that all sample networks share.

    Args:
        onnx: the network.
        model: which it serves.
        fields: `input`, `outputs` and what else the card says.

    Raises:
        WeightsInvalid: it would be refused when it is read.
    """
    card = {"model": model, "license": LICENCE, "source": SOURCE, "weights": "sample", **fields}
    path = onnx.with_suffix(".json")
    path.write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2) + b"\n")
    read_card(path)


@dataclass(frozen=True, slots=True)
class Made:
    """What a model card tells of one making.

    Attributes:
        size_bytes: of the network.
        minutes: that the training was limited to; None: not limited.
        figures: measured on held-out scenes.
        floors: by the same names, what a retrained network must reach.
    """

    size_bytes: int
    minutes: float | None
    figures: Mapping[str, float]
    floors: Mapping[str, float]


def model_card(recipe: Recipe, about: str, made: Made) -> str:
    """The text of `NAME.md`.

    Args:
        recipe: of the network.
        about: the recipe's docstring: a sentence, then rows of a word, two spaces and text.
        made: what came out.
    """
    sentence, rows = _about(about)
    effort = f"about {recipe.minutes:g} minutes" if made.minutes is None else f"a trial of {made.minutes:g} minutes"
    lines = [
        f"# {recipe.title}: sample weights",
        "",
        f"**{WARNING}** Real weights come with `hearthwatch models pull`.",
        "",
        sentence,
        "",
        "| | |",
        "|---|---|",
        f"| Serves | `{recipe.name}` |",
        *(f"| {name} | {text} |" for name, text in rows),
        f"| Size | {made.size_bytes / 1e6:.2f} MB, ONNX; weights in float16, arithmetic in float32 |",
        f"| Licence | {LICENCE}; network, training and pictures are ours, no photograph was used |",
        f"| Made by | `python -m training {recipe.name}`, from scratch, {effort} on two cores |",
        "",
        "Measured on drawn scenes that the training never saw, through the exported file and the model's own adapter:",
        "",
        "| measure | reached | floor of the tests |",
        "|---|---|---|",
        *(_figure(name, value, made.floors.get(name)) for name, value in made.figures.items()),
        "",
        "On photographs it was not measured, and is expected to fail.",
    ]
    return "\n".join(lines) + "\n"


def overview(ledger: Mapping[str, Mapping[str, Any]], floors: Mapping[str, Mapping[str, float]]) -> str:
    """The text of the folder's README: what all networks reached.

    Args:
        ledger: rows of `zoo.json` by model.
        floors: by model and measure.
    """
    rows = [
        f"| [{name}]({name}.md) | {row['bytes'] / 1e6:.2f} MB {_figure(measure, value, lowest)}"
        for name, row in sorted(ledger.items())
        for measure, value in row["figures"].items()
        for lowest in (floors.get(name, {}).get(measure),)
    ]
    lines = [
        "# Sample weights",
        "",
        f"**{WARNING}** Written by `python -m training`; docs/sample-weights.md says more.",
        "",
        "| network | size | measure, on drawn scenes that the training never saw | reached | floor of the tests |",
        "|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _figure(name: str, value: float, floor: float | None) -> str:
    return f"| {name.replace('_', ' ')} | {value:.3f} | {'' if floor is None else f'{floor:g}'} |"


def _about(text: str) -> tuple[str, list[tuple[str, str]]]:
    """A docstring's first sentence, and its rows with their continuation lines joined."""
    lines = text.strip().splitlines()
    rows: list[tuple[str, str]] = []
    for line in lines[1:]:
        if match := _ROW.match(line.rstrip()):
            rows.append((match[1], match[2]))
        elif rows and line.startswith("   ") and line.strip():
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
    return lines[0] if lines else "", rows
