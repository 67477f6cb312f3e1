"""Names and plates as pseudonyms, for a language model that is elsewhere; and back in what it answers.

A pseudonym is the same throughout one event and means nothing beyond it. Hidden are the words that are known to be
names or plates, however they are spelled: what a camera reads from a sign is told as it stands, but for these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.prompt.fact import Scene

#: What may stand between two characters of a plate: `AB 12-CD` is `AB12CD`.
_BETWEEN = r"[\W_]{0,3}"


@dataclass(frozen=True, slots=True)
class Private:
    """Words that do not leave the house as they are.

    Attributes:
        names: of people, and of vehicles that somebody named.
        plates: in any spelling.
    """

    names: frozenset[str] = frozenset()
    plates: frozenset[str] = frozenset()


def private_of(detections: Sequence[DetectionInput], enrichment: EnrichmentResult | None) -> Private:
    """The names and plates of one event: what the application said, what the gallery knows, what was read."""
    found = enrichment or EnrichmentResult()
    matches = (*found.person_household_matches, *found.vehicle_household_matches)
    read = (*found.license_plates, *found.plate_by_detection.values())
    plates: list[str | None] = [detection.plate for detection in detections]
    plates += [text for plate in read for text in (plate.text, plate.raw_text)]
    plates += [vote.text for vote in found.plate_votes.values()]
    names = [*(detection.known for detection in detections), *(match.name for match in matches)]
    return Private(frozenset(filter(None, names)), frozenset(filter(None, plates)))


class Veil:
    """Hides private words, and shows them again.

    Args:
        private: the words.
        scene: where pseudonyms will stand; none is taken that is there already.
    """

    def __init__(self, private: Private, scene: Scene) -> None:
        there = f"{scene.camera} {' '.join(f'{fact.value} {fact.text} {fact.subject}' for fact in scene.facts)}".upper()
        plates = sorted({_letters(plate) for plate in private.plates} - {""})
        self._words = {
            **dict(zip(_free("NAME", there), sorted(private.names), strict=False)),
            **dict(zip(_free("PLATE", there), plates, strict=False)),
        }
        forms = [
            (form, pseudonym)
            for pseudonym, word in self._words.items()
            for form in (_plate_form(word) if pseudonym.startswith("PLATE") else _name_forms(word))
        ]
        forms.sort(key=lambda pair: -len(pair[0]))  # the longest first: a name may be part of another
        self._pseudonyms = [pseudonym for _, pseudonym in forms]
        # Nothing to hide: a pattern that matches nothing.
        joined = "|".join(f"({form})" for form, _ in forms) or "(?!)"
        self._hidden = re.compile(f"(?<!\\w)(?:{joined})(?!\\w)", re.IGNORECASE)
        # Not `\b`: of two names that were one sign each, the pseudonyms stand side by side.
        shown = "|".join(rf"(?<![^\W\d_]){word}(?!\d)" for word in self._words)
        self._shown = re.compile(shown or "(?!)", re.IGNORECASE)

    def hide(self, text: str) -> str:
        """The text with pseudonyms."""
        return self._hidden.sub(lambda found: self._pseudonyms[(found.lastindex or 1) - 1], text)

    def hide_scene(self, scene: Scene) -> Scene:
        """The scene with pseudonyms, for whoever writes a prompt from it and may cut long words."""
        return replace(
            scene,
            camera=None if scene.camera is None else self.hide(scene.camera),
            facts=tuple(
                replace(
                    fact,
                    value=self.hide(fact.value),
                    text=self.hide(fact.text),
                    quotes=tuple(map(self.hide, fact.quotes)),
                )
                for fact in scene.facts
            ),
        )

    def show(self, text: str) -> str:
        """The text with the words that the pseudonyms stand for."""
        return self._shown.sub(lambda found: self._words[found[0].upper()], text)


def _free(kind: str, there: str) -> Iterator[str]:
    """Pseudonyms that are not there already."""
    return (f"{kind}-{number}" for number in count(1) if f"{kind}-{number}" not in there)


def _name_forms(name: str) -> list[str]:
    """A name as it is, and as Python and JSON quote it; any space may stand between its words."""
    quoted = dict.fromkeys((name, repr(name)[1:-1], json.dumps(name)[1:-1]))
    return [r"\s+".join(map(re.escape, form.split())) for form in quoted if form.strip()]


def _plate_form(letters: str) -> list[str]:
    return [_BETWEEN.join(map(re.escape, letters))]


def _letters(plate: str) -> str:
    """A plate's letters and digits."""
    return "".join(char for char in plate.upper() if char.isalnum())
