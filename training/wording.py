"""The words for what can be said about a picture: several for each value, in several frames, around them a template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES

Rng = np.random.Generator
NOTHING = "nothing"
#: Frames of single facts; `{}` is the value's words.
FRAMES: Mapping[str, tuple[str, ...]] = {
    "what": ("{}", "there is {}", "{} can be seen"),
    "posture": ("a person {}", "somebody {}", "a person who is {}", "person {}", "{}"),
    "colour": (
        "a person in {}", "a person wearing {}", "a person in {} clothes", "a person in {} clothing", "{} clothing",
        "somebody dressed in {}", "person in a {} top", "a {} top",
    ),
    "garment": ("a person in a {}", "a person wearing a {}", "person in {}", "somebody in a {}", "a {}"),
    "lower colour": ("a person in {} trousers or a skirt", "a person with {} legs", "{} legs"),
    "lower": ("a person in {}", "a person wearing {}", "person with {}", "{}"),
    "head": ("a person with {}", "person wearing {}", "somebody with {}", "{}"),
    "bag": ("a person with {}", "person with {}", "somebody with {}", "{}"),
    "held": ("a person holding {}", "a person with {}", "person carrying {}", "somebody who holds {}", "{}"),
    "attire": ("{}", "a {}"),
    "paint": ("a {} vehicle", "a vehicle in {}", "a vehicle painted {}", "{} paint"),
    "place": ("{}", "a picture taken {}", "somewhere {}"),
    "light": ("{}", "a picture taken {}", "everything {}"),
}  # fmt: skip
#: Words of values that do not stand for themselves. Those of `attire` are prompts that the seeds document.
_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "what": {
        "person": ("a person", "somebody", "a human"),
        NOTHING: ("nobody", "nothing but the place", "an empty place", "nobody at all"),
    },
    # Among them words of the actions that `hearthwatch.models.actions` documents, as far as one picture shows them.
    "posture": {
        "standing": ("standing", "standing", "standing about", "loitering"),
        "walking": ("walking", "walking normally"),
        "crouching": ("crouching", "squatting"),
        "bending_over": ("bending over",),
        "crawling": ("crawling", "crawling on the ground", "on all fours", "sneaking or creeping"),
        "lying_down": ("lying on the ground", "lying down"),
        "reaching_up": ("reaching up", "reaching up with one arm"),
        "arms_raised": ("raising both arms", "with both arms raised"),
    },
    "garment": {"hi-vis vest": ("hi-vis vest", "high-visibility vest", "safety vest")},
    "head": {"hood": ("the hood up", "hood up"), NOTHING: ("a bare head", "no hat")},
    "bag": {NOTHING: ("no bag", "no bag on the back")},
    "held": {
        "box": ("a box", "a large box or package", "a package", "a cardboard box", "a heavy object"),
        "gun": ("a gun", "a pistol"),
        "bat": ("a bat", "a baseball bat"),
        "crowbar": ("a crowbar", "a crowbar", "tools"),
        "torch": ("a torch", "a flashlight"),
        "bag": ("a bag", "a duffel bag"),
        "keys": ("keys",),
        NOTHING: (NOTHING, "empty hands", "nothing at all"),
    },
    "attire": {
        "hooded": ("person wearing black hoodie with hood up", "person wearing dark hoodie covering face"),
        "black": ("person in all black clothing",),
        "orange vest": ("utility worker in orange high-visibility vest",),
        "yellow vest": ("construction worker in yellow safety vest",),
        "casual": ("person in casual everyday clothes",),
        "business": ("person in business casual attire",),
        "athletic": ("person in athletic or exercise clothing",),
        "outdoor": ("person dressed for outdoor activities",),
        "masked": ("person in ski mask or balaclava", "person wearing face covering at night"),
        "sunglasses": ("person with face obscured by hat and sunglasses",),
        "gloves": ("person wearing gloves in warm weather",),
        "courier": (
            "Amazon delivery driver in blue vest",
            "FedEx courier in purple uniform",
            "UPS driver in brown uniform",
            "USPS mail carrier in blue uniform",
            "DoorDash delivery person with red bag",
            "food delivery courier with insulated bag",
        ),
        "work clothes": (
            "electrician in work clothes with tool belt",
            "cable technician in company uniform",
            "landscaper in work clothes",
        ),
    },
    "place": {
        "porch": ("in front of a house", "before a porch", "in a front garden"),
        "drive": ("on a drive", "on a driveway", "in the drive of a house"),
        "street": ("in a street", "on a street", "in a road of houses"),
    },
    "light": {
        "day": ("by day", "in daylight", "during the day"),
        "dusk": ("at dusk", "in the evening", "at nightfall"),
        "night": ("at night", "in the dark"),
        "rain": ("in the rain", "on a rainy day"),
        "infrared": ("in infrared light", "seen by an infrared camera", "on a night vision camera"),
    },
}
TEMPLATES = ("a photo of {}", "a picture of {}", "a camera image of {}", *SURVEILLANCE_TEMPLATES)
#: How often a text stands alone.
_BARE = 0.45
_PLURALS = ("trousers", "jeans", "shorts", "leggings")
_TWICE, _BEFORE_VOWEL = re.compile(r"\ba (an?) "), re.compile(r"\ba (?=[aeio])")


def word_of(topic: str, value: str, turn: int) -> str:
    """Words for a value, with an article where they need one; `turn` chooses among those that mean the same."""
    synonyms = _WORDS.get(topic, {}).get(value)
    if synonyms is not None:
        return synonyms[turn % len(synonyms)]
    return with_article(value) if topic in ("what", "head", "bag", "held") else value.replace("_", " ")


def framed(around: str, frame: str, words: str) -> str:
    """Words in a frame in a template; an article of the frame gives way to the words' own."""
    text = around.replace("{}", frame.replace("{}", words))
    return _BEFORE_VOWEL.sub("an ", _TWICE.sub(r"\1 ", text))


def template(rng: Rng) -> str:
    """One around a text, often none."""
    return "{}" if rng.random() < _BARE else pick(rng, TEMPLATES)


def with_article(words: str) -> str:
    """With "a" or "an" where the words name one thing."""
    if words.endswith(_PLURALS):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def pick(rng: Rng, choices: Sequence[str]) -> str:
    """One of them."""
    return choices[int(rng.integers(len(choices)))]
