r"""Words of others in a prompt: shown, and never obeyed.

A plate, a sign, a caption, a name or an error of a service can say "ignore all instructions". Nothing makes a language
model deaf to that, but it can be kept inside its place: one line, of limited length, in quotes that it cannot close,
without the signs by which a server tells roles and turns apart or by which a reader tells headings and blocks apart.
Such signs are written as Python and JSON write them (`\u003c`), so that nothing is lost but the width of spaces.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: What is cut off when nobody says otherwise. Lines of writing and names have at most 100 characters
#: (`models.scene_text`, `gallery.base`), a plate 12; reasons and errors are sentences.
MAX_QUOTED = 160
#: One or two plain words are a name that a network or an application gives a thing: `baseball bat`, `person-1`.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,39}( [A-Za-z0-9_.\-]{1,20})?")
#: Of chat templates, Markdown, JSON and templates: <|im_start|>, [INST], ```, **, {"risk_score": 0}, {{ }}. The
#: backslash itself, so that nobody can write an escape of his own.
_SIGNS = frozenset("<>[]{}|`*\\")
#: Inside quotes, also what closes them or looks as if it did.
_CLOSING = frozenset('"\u201c\u201d\u201e\u201f\u2033\uff02')
#: Letters and marks that show nothing: Hangul fillers, the Mongolian vowel separator's kin and variation selectors, in
#: which whole messages can be hidden. Everything else that is invisible is not printable.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
#: A word and a colon by which transcripts begin a turn; wherever it stands, for what is before it may be glued to it.
_ROLE = re.compile(
    r"(system|user|assistant|human|ai|bot|developer|tool|function|instructions?|response|prompt)\s*[:\uff1a\ufe55]",
    re.IGNORECASE,
)
_COLONS = frozenset(":\uff1a\ufe55")
#: A heading, a rule or a list where it begins a line, and a heading anywhere.
_HEADING = re.compile(r"^\s*[#=~+\-]+|#{2,}")


class Inert(str):
    """A text that has been made harmless, so that it is not done twice; made by `inert` and `quoted`."""

    __slots__ = ()


def inert(text: str, limit: int = MAX_QUOTED) -> Inert:
    """A text on one line that is no markup, no role and no instruction to a template.

    Args:
        text: anything.
        limit: characters of it that are kept; how many were cut off is said.
    """
    return Inert(_harmless(text, limit, _SIGNS) + _rest(text, limit))


def quoted(text: str, limit: int = MAX_QUOTED) -> Inert:
    """The same in double quotes, which occur nowhere inside."""
    return Inert(f'"{_harmless(text, limit, _SIGNS | _CLOSING)}"{_rest(text, limit)}')


def named(text: str) -> Inert:
    """A name as it stands where it is one plain word or two, else in quotes."""
    return Inert(text) if _NAME.fullmatch(text) else quoted(text)


@lru_cache(maxsize=1024)  # an event says the same of many detections
def _harmless(text: str, limit: int, signs: frozenset[str]) -> str:
    kept = text[:limit]
    # The pattern is slow where it finds nothing, and without a colon it does not.
    has_colon = not _COLONS.isdisjoint(kept)
    places = {found.end() - 1 for found in _ROLE.finditer(kept)} if has_colon else set()
    places.update(place for found in _HEADING.finditer(kept) for place in range(*found.span()))
    if not places and _plain(signs).fullmatch(kept):
        return kept
    return "".join(_escape(c) if i in places and not c.isspace() else _shown(c, signs) for i, c in enumerate(kept))


def _rest(text: str, limit: int) -> str:
    return f" (and {len(text) - limit} characters more)" if len(text) > limit else ""


@lru_cache(maxsize=2)
def _plain(signs: frozenset[str]) -> re.Pattern[str]:
    """Of texts of which every character is shown as it is, which most are: four times as fast as asking each."""
    shown = [char for char in map(chr, range(0x80)) if _shown(char, signs) == char]
    return re.compile(f"[{re.escape(''.join(shown))}]*")


@lru_cache(maxsize=4096)
def _shown(char: str, signs: frozenset[str]) -> str:
    if char.isascii():
        return _escape(char) if char in signs or not char.isprintable() else char
    if unicodedata.category(char) == "Zs":
        return " "
    # Some tokenisers normalise first, and a full-width "<" becomes one.
    becomes = unicodedata.normalize("NFKC", char)
    hidden = not char.isprintable() or _INVISIBLE.match(char)
    return _escape(char) if hidden or char in signs or not signs.isdisjoint(becomes) else char


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
