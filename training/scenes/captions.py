"""One English sentence that says what a drawn scene shows, in several wordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.scenes.labels import Animal, Person, RenderedScene, Thing, Vehicle

_LIGHTS = {
    "day": ("By day,", "In daylight,", "During the day,"),
    "dusk": ("At dusk,", "In the evening,", "At nightfall,"),
    "night": ("At night,", "In the dark,", "Late at night,"),
    "rain": ("In the rain,", "On a rainy day,", "While it rains,"),
    "infrared": ("In infrared light,", "Seen by an infrared camera,", "On a night vision camera,"),
}
_PLACES = {
    "porch": ("before a porch", "in front of a house", "in a front garden"),
    "drive": ("on a drive", "on a driveway", "in the drive of a house"),
    "street": ("in a street", "on a street", "in a road of houses"),
}
_POSTURES = {
    "standing": ("stands", "is standing"),
    "walking": ("walks", "is walking"),
    "running": ("runs", "is running"),
    "sitting": ("sits", "is sitting"),
    "crouching": ("crouches", "is crouching"),
    "bending_over": ("bends over", "is bending over"),
    "crawling": ("crawls", "is crawling"),
    "lying_down": ("lies on the ground", "is lying on the ground"),
    "reaching_up": ("reaches up", "is reaching up"),
    "arms_raised": ("stands with both arms raised", "raises both arms"),
}
_NUMBERS = {1: "one more person", 2: "two more people", 3: "three more people"}
#: Metres between two things that are still beside each other.
_BESIDE_M = 3.0


@dataclass(frozen=True, slots=True)
class _Words:
    """The wording of one sentence; infrared light has no colours to name."""

    rng: np.random.Generator
    coloured: bool

    def painted(self, vehicle: Vehicle) -> str:
        return _article(f"{vehicle.colour} {vehicle.kind}" if self.coloured else vehicle.kind)


def caption_of(
    *,
    place: str,
    light: str,
    people: Sequence[Person],
    vehicles: Sequence[Vehicle],
    animals: Sequence[Animal],
    width: float,
    seed: int,
) -> str:
    """The sentence; another seed gives another wording of the same.

    Args:
        place: of PLACES.
        light: of LIGHTS.
        people: that are seen; likewise vehicles and animals.
        width: of the picture in pixels.
        seed: of the wording.
    """
    rng = np.random.default_rng([23, seed])
    where = _pick(rng, _PLACES[place])
    ordered = sorted(people, key=lambda person: (person.holds is None, -person.box.area))
    beside = {ordered[0].owner: _beside(ordered[0], vehicles)} if ordered else {}
    seen = _Words(rng, coloured=light != "infrared")
    parts = [_person(person, beside.get(person.owner), seen) for person in ordered[:2]]
    if len(ordered) > 2:
        parts.append(f"{_NUMBERS.get(len(ordered) - 2, 'several more people')} can be seen")
    named = {vehicle.owner for vehicle in beside.values() if vehicle}
    parts += [_thing(seen.painted(v), v, width, rng) for v in vehicles if v.owner not in named]
    parts += [_thing(f"a {animal.kind}", animal, width, rng) for animal in animals]
    if not parts:
        return f"{_pick(rng, _LIGHTS[light])} nobody is {where}."
    parts[0] = f"{parts[0]} {where}"
    return f"{_pick(rng, _LIGHTS[light])} {'; '.join(parts)}."


def captions(scene: RenderedScene, count: int) -> tuple[str, ...]:
    """Up to `count` different wordings for one scene, the scene's own first."""
    worded = [scene.caption]
    for turn in range(1, 6 * count):
        sentence = caption_of(
            place=scene.place,
            light=scene.light,
            people=scene.people,
            vehicles=scene.vehicles,
            animals=scene.animals,
            width=scene.picture.shape[1],
            seed=scene.seed + 7919 * turn,
        )
        if sentence not in worded:
            worded.append(sentence)
    return tuple(worded[:count])


def _person(person: Person, vehicle: Vehicle | None, seen: _Words) -> str:
    rng = seen.rng
    words = ["a person"]
    if person.clothing and seen.coloured and rng.random() < 0.8:
        count = min(len(person.clothing), int(rng.integers(1, 3)))
        words.append(f"in {' and '.join(_article(piece) for piece in person.clothing[:count])}")
    words.append(_pick(rng, _POSTURES["arms_raised" if person.arms_raised else person.posture]))
    if person.holds:
        words.append(f"{_pick(rng, ('with', 'holding'))} {_article(person.holds)}")
    if person.carries:
        words.append(f"{'and carries' if 'is ' not in words[-1] else 'carrying'} {_article(person.carries)}")
    if vehicle:
        words.append(f"{_pick(rng, ('beside', 'next to', 'by'))} {seen.painted(vehicle)}")
    return " ".join(words)


def _thing(name: str, thing: Thing, width: float, rng: np.random.Generator) -> str:
    middle = (thing.box.x1 + thing.box.x2) / 2 / width
    side = "on the left" if middle < 0.38 else "on the right" if middle > 0.62 else "in the middle"
    if isinstance(thing, Animal):
        return f"{name} {_pick(rng, ('is', 'can be seen'))} {side}"
    verb = "stands" if thing.kind == "bicycle" else _pick(rng, ("is parked", "stands", "is"))
    return f"{name} {verb} {side}"


def _beside(person: Person, vehicles: Sequence[Vehicle]) -> Vehicle | None:
    """The nearest vehicle that a person is next to, in the picture and in depth."""
    near = [
        (gap, vehicle.owner, vehicle)
        for vehicle in vehicles
        if (gap := max(vehicle.box.x1 - person.box.x2, person.box.x1 - vehicle.box.x2)) < person.box.height * 0.5
        and abs(vehicle.distance_m - person.distance_m) < _BESIDE_M
    ]
    return min(near)[2] if near else None


_PLURALS = ("trousers", "jeans", "shorts", "leggings", "boots", "shoes", "trainers", "sneakers", "gloves", "overalls")


def _article(words: str) -> str:
    """With "a" or "an" where the words name one thing."""
    if words.rsplit(maxsplit=1)[-1] in _PLURALS or words == "hood up":
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
