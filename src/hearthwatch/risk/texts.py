"""What a language model wrote: the answer without its thinking, and its words as data."""

from __future__ import annotations

import re

#: Reasoning models write what they think between these marks (DeepSeek-R1 and those after it), before the answer.
_OPENED = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_CLOSED = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
#: Around the whole answer where it is a block of code, which many models make of JSON.
_FENCE = "```"
_MORE = "\N{HORIZONTAL ELLIPSIS}"


def without_thinking(text: str) -> str:
    """The answer alone: what was thought, and a fence of code around it, taken off.

    The answer is what follows the last thought, so that a thought may begin in the prompt, as some chat templates have
    it. One that never ends leaves nothing. Each step takes time in proportion to the text, whatever is written in it.
    """
    if not text.lstrip().startswith("{"):  # the marks may also be words inside an answer's texts
        text = _OPENED.split(_CLOSED.split(text)[-1], maxsplit=1)[0]
    text = text.strip()
    if len(text) >= 2 * len(_FENCE) and text.startswith(_FENCE) and text.endswith(_FENCE):
        language, _, inside = text[len(_FENCE) : -len(_FENCE)].partition("\n")
        text = inside.strip() if language.strip().isalpha() or not language.strip() else text
    return text


def clean(text: str, characters: int) -> str:
    """A text on one line without anything that a reader would obey and not show.

    Args:
        text: any; control characters, changes of writing direction and halves of surrogate pairs are dropped.
        characters: that are kept; a longer text ends in an ellipsis.
    """
    # Cut first: what is left is small, however long a text a server sent.
    shown = " ".join("".join(c for c in text[: 4 * characters] if c.isprintable() or c.isspace()).split())
    return shown if len(shown) <= characters else shown[: characters - 1].rstrip() + _MORE
