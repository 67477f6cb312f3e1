"""Words for a reader. What files, cameras, networks and callers name is data: shown, never obeyed."""

from __future__ import annotations

from hearthwatch.artifacts.samples import NATURE
from hearthwatch.models import MODELS

#: Said wherever a model ran on sample weights.
SAMPLE_NOTICE = f"Sample weights were used for {{models}}: {NATURE}."
#: And where others ran beside it on weights that are none.
MIXED_NOTICE = " The weights of {models} are no samples: this result mixes both."


def plain(text: str) -> str:
    """Replace what would be obeyed and not shown: control characters, line ends, changes of writing direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def one_line(text: str) -> str:
    """A text of several lines as one."""
    return " ".join(text.split())


def percent(share: float | None) -> str:
    """0..1 as whole percents; empty where nobody knows."""
    # A comparison, so that a confidence that is not a number says nothing either.
    return f"{share:.0%}" if share is not None and 0 <= share <= 1 else ""


def words(name: str) -> str:
    """`lying_down` as `lying down`."""
    return name.replace("_", " ")


def model_title(name: str) -> str:
    """A model's name for a reader, in lower case; models of later versions have only their canonical name."""
    titles = {model.SPEC.name: model.SPEC.title for model in MODELS}
    title = titles.get(name, words(name))
    return title if title[:2].isupper() else title[:1].lower() + title[1:]  # CLIP stays CLIP


def join(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def sample_notice(weights: dict[str, str]) -> str:
    """A sentence where sample weights took part, else empty.

    Args:
        weights: real, sample or custom by model.
    """
    sampled = sorted(model_title(model) for model, origin in weights.items() if origin == "sample")
    if not sampled:
        return ""
    bundled = {model.SPEC.name for model in MODELS if model.SPEC.bundled}
    others = [model_title(model) for model, origin in weights.items() if origin != "sample" and model not in bundled]
    mixed = MIXED_NOTICE.format(models=join(sorted(others))) if others else ""
    return SAMPLE_NOTICE.format(models=join(sampled)) + mixed
