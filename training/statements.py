"""What can be said about a picture, in English, and whether it is true.

A statement is a text and what it claims, a value by topic: "a person in a red jacket" claims a person, the colour red
and a jacket. Of each topic a picture has the values that may be true of it. One value is certain; none at all means
that nothing of the topic is there; a topic that is missing cannot be seen, and claims about it are neither true nor
false. The sentences follow from the labels alone, so they cannot be wrong about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.scenes.finish import COLOURS
from training.scenes.looks import CLOTH
from training.scenes.props import HARMLESS
from training.scenes.spec import ANIMALS, LIGHTS, PLACES, POSTURES, VEHICLES, WEAPONS
from training.subjects import SCENE
from training.wording import FRAMES, NOTHING, framed, pick, template, with_article, word_of

Rng = np.random.Generator
Known = Mapping[str, frozenset[str]]
Claims = Mapping[str, str]

UPPERS = ("t-shirt", "shirt", "sweater", "jacket", "hoodie", "coat", "hi-vis vest")
LOWERS = ("trousers", "jeans", "shorts", "skirt", "leggings")
HATS, BAGS = ("cap", "beanie", "hat", "helmet", "headscarf"), ("backpack", "shoulder bag")
#: Least pixels of what is in a hand, where the picture has `SEEN_AT` on a side, to be told from nothing.
HELD_PX, SEEN_AT = 10, 112
#: Least share of a whole picture's side that a thing must have to be what is there, and most to be overlooked.
THERE, OVERLOOKED = 0.2, 0.03
#: What the documented prompts about clothes speak of: what stands out, what does not, and what is never drawn, of which
#: the pair has to know that no picture shows it.
_CLOTHES = ("hooded", "black", "orange vest", "yellow vest")
_ORDINARY = ("casual", "business", "athletic", "outdoor")
_UNDRAWN = ("masked", "sunglasses", "gloves", "courier", "work clothes")
#: Of each topic, the values that exclude each other.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "what": ("person", *VEHICLES, *ANIMALS, NOTHING),
    "posture": (*POSTURES, "arms_raised"),
    "colour": tuple(CLOTH),
    "garment": UPPERS,
    "lower colour": (*CLOTH, "dark blue"),
    "lower": LOWERS,
    "head": (*HATS, "hood", NOTHING),
    "bag": (*BAGS, NOTHING),
    "held": ("box", *WEAPONS, *HARMLESS, NOTHING),
    "attire": (*_CLOTHES, *_ORDINARY, *_UNDRAWN),
    "paint": tuple(COLOURS),
    "place": PLACES,
    "light": LIGHTS,
}
#: What only people have, and what only vehicles have.
_WORN = ("posture", "colour", "garment", "lower colour", "lower", "head", "bag", "held", "attire", "upper")
_PAINTED = ("paint",)
_PATTERNS = ("side-striped", "striped", "checked", "dotted")
#: How often a caption of a whole scene is the scene's own.
_OWN_CAPTION = 0.4


@dataclass(frozen=True, slots=True)
class Statement:
    """A text, and what it claims by topic."""

    text: str
    claims: Claims

    def is_true(self, known: Known) -> bool | None:
        """Of a picture of which this is known; None: nobody can say."""
        certain = True
        for topic, value in self.claims.items():
            if topic not in known:
                certain = False
            elif value not in known[topic]:
                return False
            elif len(known[topic]) > 1:
                certain = False
        return True if certain else None


def known(facts: Mapping[str, Any]) -> Known:
    """From what is kept of a picture (`subjects.Facts`) to the values that may be true of it, by topic."""
    kind, light = facts["kind"], facts["light"]
    found: dict[str, frozenset[str]] = {"light": _only(light), "caption": frozenset()}
    if kind == SCENE:
        return found | _of_scene(facts)
    found["what"] = _only(kind)
    if kind != "person":
        found |= dict.fromkeys(_WORN, frozenset[str]())
    if kind not in VEHICLES:
        found |= dict.fromkeys(_PAINTED, frozenset[str]())
    elif kind != "bicycle" and light != "infrared":
        found["paint"] = _only(facts["colour"])
    return found | _of_person(facts) if kind == "person" else found


def question(topic: str, rng: Rng) -> list[Statement]:
    """A statement for each value of a topic, in its order; all of them in the same form."""
    frame, around, turn = pick(rng, FRAMES[topic]), template(rng), int(rng.integers(12))
    return [Statement(framed(around, frame, word_of(topic, v, turn)), {topic: v}) for v in TOPICS[topic]]


def caption(facts: Mapping[str, Any], about: Known, rng: Rng) -> Statement:
    """A sentence that is true of a picture: now and then short, now and then with nearly all there is to say."""
    if facts["kind"] == SCENE:
        text, claims = _scene_words(facts, about, rng)
    elif facts["kind"] == "person":
        text, claims = _person_words(facts, about, rng)
    else:
        text, claims = _thing_words(facts, about, rng)
    return Statement(framed(template(rng), "{}", text), claims)


def piece_of(words: str) -> tuple[tuple[str, ...], str]:
    """Colours and kind of a piece of clothing; camouflage has no colours.

    Raises:
        ValueError: neither worn above nor below the waist.
    """
    kind = max((k for k in (*UPPERS, *LOWERS, *HATS, *BAGS) if words.endswith(f" {k}")), key=len, default="")
    if not kind:
        raise ValueError(f"{words!r} is no piece of clothing that is known")
    rest = words.removesuffix(kind).strip()
    for pattern in _PATTERNS:
        rest = rest.removesuffix(pattern).strip()
    return (() if rest == "camouflage" else tuple(rest.split(" and "))), kind


def _of_scene(facts: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    found = {"place": _only(facts["place"]), "caption": _only(facts["caption"])}
    seen = [thing for thing in facts["things"] if thing["share"] > OVERLOOKED]
    kinds = {thing["kind"] for thing in seen}
    if not kinds:
        found["what"] = _only(NOTHING)
    elif len(kinds) == 1 and max(thing["share"] for thing in seen) >= THERE:
        found["what"] = frozenset(kinds)
    if "person" not in kinds:
        found |= dict.fromkeys(_WORN, frozenset[str]())
    if not kinds & set(VEHICLES):
        found |= dict.fromkeys(_PAINTED, frozenset[str]())
    return found


def _of_person(facts: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    pieces = [piece_of(words) for words in facts["clothing"][:-1] if words != "hood up"]
    worn = {kind for _, kind in pieces}
    (colours, upper), (lower_colours, lower) = pieces[:2]
    found = {"garment": _only(upper), "lower": _only(lower), "upper": _only(facts["clothing"][0])}
    hats = ["hood"] if "hood up" in facts["clothing"] else sorted(worn & set(HATS))
    found["head"] = _only(hats[0] if hats else NOTHING)
    found["bag"] = _only(next(iter(sorted(worn & set(BAGS))), NOTHING))
    if facts["told"]:
        found["posture"] = _only(facts["posture"])
    if (held := _held(facts)) is not None:
        found["held"] = _only(held)
    if facts["light"] == "infrared":
        del found["upper"]
        return found | {"attire": frozenset((*_CLOTHES, *_ORDINARY))}
    if colours:
        found["colour"] = frozenset(colours)
    if lower_colours:
        found["lower colour"] = frozenset(lower_colours)
    attire = _attire(colours, upper, lower_colours, lower, found["head"] | found["bag"])
    found["attire"] = _only(attire) if attire else _maybe({*colours, *lower_colours}, found["head"])
    return found


def _held(facts: Mapping[str, Any]) -> str | None:
    """What is in the hands; None where it cannot be seen."""
    thing = facts["holds"] or facts["carries"]
    if thing is None:
        return NOTHING
    pixels: float = max(facts["held_px"], facts["carried_px"]) * (SEEN_AT / facts["px"]) ** 2
    return str(thing) if pixels >= HELD_PX else None


def _attire(
    colours: Sequence[str], upper: str, lower_colours: Sequence[str], lower: str, others: frozenset[str]
) -> str | None:
    """The documented prompt that clothes fit best; None where they fit none."""
    if upper == "hi-vis vest":
        return f"{colours[0]} vest"
    if "hood" in others:
        return "hooded" if upper == "hoodie" and set(colours) <= {"black", "navy"} and colours else None
    if set(colours) == set(lower_colours) == {"black"}:
        return "black"
    if upper == "t-shirt" and lower in ("shorts", "leggings"):
        return "athletic"
    if upper == "shirt" and lower == "trousers":
        return "business"
    if upper in ("jacket", "coat") and "backpack" in others:
        return "outdoor"
    return "casual" if upper in ("t-shirt", "sweater", "hoodie") and lower == "jeans" else None


def _maybe(colours: set[str], head: frozenset[str]) -> frozenset[str]:
    """Clothes that fit no documented prompt well are something ordinary, unless there is more than that in them."""
    found = {*_ORDINARY}
    if "hood" in head:
        found.add("hooded")
    if "black" in colours:
        found.add("black")
    return frozenset(found)


def _person_words(facts: Mapping[str, Any], about: Known, rng: Rng) -> tuple[str, Claims]:
    share = rng.uniform(0.25, 0.95)
    words, claims = [word_of("what", "person", int(rng.integers(2)))], {"what": "person"}
    if rng.random() < share:
        worn = _worn(facts, about)
        words.append(f"{pick(rng, ('in', 'wearing'))} {with_article(worn[0])}")
        claims |= worn[1]
        if "colour" in worn[1] and rng.random() < 0.1 * share:  # the piece alone
            return with_article(worn[0]), claims
    if rng.random() < share and len(about.get("lower colour", ())) == 1 and len(words) > 1:
        (colour,), (lower,) = about["lower colour"], about["lower"]
        words.append(f"and {with_article(f'{colour} {lower}')}")
        claims |= {"lower colour": colour, "lower": lower}
    for topic, joint in (("posture", ("",)), ("held", ("holding", "with", "carrying")), ("head", ("with",)),
                         ("bag", ("with",)), ("light", ("",))):  # fmt: skip
        if topic in about and rng.random() < share * (0.9 if topic in ("posture", "held") else 0.3):
            (value,) = about[topic]
            words.append(f"{pick(rng, joint)} {word_of(topic, value, int(rng.integers(12)))}".strip())
            claims[topic] = value
    return " ".join(words), claims


def _worn(facts: Mapping[str, Any], about: Known) -> tuple[str, Claims]:
    """Words for what is worn above the waist, and what they claim."""
    (garment,) = about["garment"]
    if "upper" not in about:
        return garment, {"garment": garment}
    if len(colours := about.get("colour", frozenset())) == 1:
        return facts["clothing"][0], {"colour": next(iter(colours)), "garment": garment}
    return facts["clothing"][0], {"upper": facts["clothing"][0]}


def _thing_words(facts: Mapping[str, Any], about: Known, rng: Rng) -> tuple[str, Claims]:
    kind, claims = facts["kind"], {"what": facts["kind"]}
    words = kind
    if len(about.get("paint", ())) == 1 and rng.random() < 0.75:
        words, claims["paint"] = f"{facts['colour']} {kind}", facts["colour"]
    words = with_article(words)
    if rng.random() < 0.25:
        words, claims["light"] = f"{words} {word_of('light', facts['light'], int(rng.integers(12)))}", facts["light"]
    return words, claims


def _scene_words(facts: Mapping[str, Any], about: Known, rng: Rng) -> tuple[str, Claims]:
    if rng.random() < _OWN_CAPTION:
        return facts["caption"].removesuffix("."), {"caption": facts["caption"]}
    words, claims = [], {}
    for topic, share in (("what", 0.9), ("place", 0.7), ("light", 0.7)):
        if topic in about and rng.random() < share:
            (value,) = about[topic]
            words.append(word_of(topic, value, int(rng.integers(12))))
            claims[topic] = value
    return (" ".join(words), claims) if words else (word_of("light", facts["light"], 0), {"light": facts["light"]})


def _only(value: str) -> frozenset[str]:
    return frozenset({value})
