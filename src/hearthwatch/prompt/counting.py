"""How many tokens a text has at most, where no tokeniser is at hand to count them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

#: A text to its number of tokens; the server's own tokeniser where it can be asked.
CountTokens = Callable[[str], int]
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
#: SentencePiece puts a space before a text.
_PREFIX = 1


def bytes_at_most(text: str) -> int:
    """A bound that no tokeniser of today's language models exceeds: the bytes of the text in UTF-8, and one.

    Each token stands for at least one byte of the text: byte-level BPE (Radford et al. 2019, GPT-2) has the single
    bytes as its smallest tokens, SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226) falls back to the same or
    to one unknown token a character, and merges only make fewer. Some normalise first, which can make a text longer
    (U+FDFA becomes 18 letters), so the longest of the four normal forms counts. What a server adds around a message
    (the words of its chat template) is not in the text and so not counted.

    English has some four bytes a token (a rule of thumb): a budget counted so holds a quarter of what would fit.
    """
    if text.isascii():
        return len(text) + _PREFIX
    # A surrogate on its own has no UTF-8; servers replace it, by at most three bytes.
    forms = (text, *(unicodedata.normalize(form, text) for form in _FORMS))  # type: ignore[arg-type]
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms) + _PREFIX
