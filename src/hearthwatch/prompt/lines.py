"""Facts as lines of a prompt: whose each is, what it says, how sure that is."""

from __future__ import annotations

from collections.abc import Mapping

from hearthwatch.prompt.fact import Fact, Scene
from hearthwatch.prompt.quoting import MAX_QUOTED, Inert, inert, named, quoted

#: Whose the facts of the scene are.
NOBODY = "the picture"
#: A description has some hundred words (Florence-2's `<MORE_DETAILED_CAPTION>`), and all of it is one fact.
_LONG: Mapping[str, int] = {"caption": 800}
#: Of ours, around the words of others.
_MAX_TEXT = 300
#: Facts whose bare words are a class: all other words of others are quoted whatever they look like.
_OF_A_CLASS = frozenset({"presence", "weapon", "violence", "weather", "damage"})
_KINDS: Mapping[str, str] = {"person": "people", "vehicle": "vehicles", "animal": "animals", "object": "other things"}


def line_of(fact: Fact, names: Mapping[str, Inert]) -> Inert:
    """One line without its end.

    Args:
        fact: what is known.
        names: of the detections, by id.
    """
    whose = NOBODY if fact.subject is None else names[fact.subject]
    return Inert(f"{whose}: {_told(fact)}{_sure(fact.confidence)}")


def names_of(scene: Scene) -> dict[str, Inert]:
    """What each detection is called, by its id; no two are called the same, whatever their ids are.

    A resident's facts under a stranger's name would be the stranger's.
    """
    names: dict[str, Inert] = {}
    taken = {NOBODY}
    for number, key in enumerate(dict.fromkeys(f.subject for f in scene.facts if f.subject is not None), 1):
        name = named(key) if key != NOBODY else quoted(key)
        # Only what was cut can be the same, and only a name that was not quoted could look like this.
        names[key] = name if name not in taken else Inert(f"{name} (detection {number})")
        taken.add(names[key])
    return names


def counted(scene: Scene) -> str:
    """How many of each kind are in view: it stays where the facts about them have to leave."""
    return ", ".join(f"{words} {len(scene.subjects(kind))}" for kind, words in _KINDS.items())


def _told(fact: Fact) -> str:
    """The fact's text, the words of others in it in quotes and all of it inert."""
    told, rest, limit = "", fact.text, _LONG.get(fact.kind, MAX_QUOTED)
    for quote in filter(None, fact.quotes):
        before, _, rest = rest.partition(repr(quote) if repr(quote) in rest else quote)
        told += inert(before, _MAX_TEXT)
        told += named(quote) if fact.kind in _OF_A_CLASS else quoted(quote, limit)
    return told + inert(rest, _MAX_TEXT)


def _sure(confidence: float | None) -> str:
    # A comparison, so that a confidence that is not a number says nothing either.
    return f" ({confidence:.0%})" if confidence is not None and 0 <= confidence <= 1 else ""
