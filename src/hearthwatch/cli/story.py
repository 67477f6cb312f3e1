"""The demo's story: what was drawn, what was found of it, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from hearthwatch.analysis import Event
from hearthwatch.cli.evening import Drawn, Evening
from hearthwatch.cli.terminal import say
from hearthwatch.models import LicensePlateResult, PetClassificationResult
from hearthwatch.pipeline import DetectionInput
from hearthwatch.prompt.facts import kind_of
from hearthwatch.prompt.weapons import Weapon, weapons_of
from hearthwatch.report.answers import Answers, answers_of
from hearthwatch.report.terminal import print_event
from hearthwatch.report.text import percent, words
from hearthwatch.vision.boxes import Box, iou

NOTHING = "not found"
#: Boxes of one thing overlap at least so much. Small networks draw them loosely; a wrong place is further off.
SAME_PLACE_IOU = 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that was drawn, and what was found of it.

    Attributes:
        drawn: in words.
        found: in words.
        right: whether the two are the same.
    """

    drawn: str
    found: str
    right: bool


@dataclass(frozen=True, slots=True)
class Story:
    """The whole picture.

    Attributes:
        parts: in the order in which they were drawn.
        beside: what was found and was not drawn.
        failed: models that did not answer, as sentences.
    """

    parts: tuple[Part, ...]
    beside: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Everything that was drawn was found as it was drawn, and every model that was asked answered."""
        return bool(self.parts) and all(part.right for part in self.parts) and not self.failed


def compare(evening: Evening, event: Event) -> Story:
    """Hold what was found against what was drawn."""
    left = list(event.detections)
    weapons = _weapons(event)
    parts: list[Part] = []
    for thing in evening.things:
        met = _at_its_place(thing, left)
        if met is not None:
            left.remove(met)
        parts += _parts(thing, met, event, weapons)
    if evening.plate is not None:
        parts.append(_plate(evening.plate, event))
    return Story(tuple(parts), tuple(f"{one.class_name} {percent(one.confidence)}" for one in left),
                 tuple(dict.fromkeys(event.errors)))  # fmt: skip


def tell(console: Console, evening: Evening, event: Event, story: Story) -> None:
    """Print the story, then the event as `hearthwatch analyze` prints it."""
    say(console, f"The picture shows (drawn): {evening.caption}")
    say(console, "")
    say(console, f"What was found in it, in {event.timings_ms['total'] / 1000:.2f} s:")
    widest = max((len(part.drawn) for part in story.parts), default=0)
    for part in story.parts:
        say(console, f"  {'as drawn' if part.right else 'WRONG':<9} {part.drawn:<{widest}}  {part.found}")
    for text in story.beside:
        say(console, f"  {'not drawn':<9} {'':<{widest}}  {text}")
    for sentence in story.failed:
        say(console, f"  {'FAILED':<9} {sentence}")
    say(console, _verdict(story))
    say(console, "")
    say(console, "As `hearthwatch analyze` tells it, with the risk and its reasons:")
    print_event(console, event)


def _at_its_place(thing: Drawn, detections: Sequence[DetectionInput]) -> DetectionInput | None:
    """The detection of its class that lies where it was drawn."""
    alike = [detection for detection in detections if detection.class_name.lower() == thing.class_name]
    nearest = max(alike, key=lambda detection: _overlap(thing.box, detection.bbox), default=None)
    return nearest if nearest is not None and _overlap(thing.box, nearest.bbox) >= SAME_PLACE_IOU else None


def _overlap(box: Box, other: Box) -> float:
    return float(iou(np.array([box], np.float32), np.array([other], np.float32))[0, 0])


def _verdict(story: Story) -> str:
    if story.is_right:
        return "That is the story as it was drawn."
    wrong = sum(not part.right for part in story.parts)
    if story.parts and all(part.found == NOTHING for part in story.parts):
        return "Nothing of what was drawn was found: something is wrong with this installation."
    failed = f"{len(story.failed)} failure(s)" if story.failed else ""
    missed = f"{wrong} of {len(story.parts)} are not as drawn" if wrong else ""
    return f"That is not the whole story: {' and '.join(part for part in (missed, failed) if part)}."


def _parts(thing: Drawn, met: DetectionInput | None, event: Event, weapons: Sequence[Weapon]) -> Iterator[Part]:
    if met is None:
        yield Part(f"a {thing.kind}", NOTHING, right=False)
    else:
        doubt = "" if met.class_name.lower() == thing.kind else f" (the detector has no word for a {thing.kind})"
        found = f"{met.class_name} {percent(met.confidence)}{doubt}{_distance(answers_of(event, met))}"
        yield Part(f"a {thing.kind}", found, right=True)
    if thing.posture is not None:
        yield _posture(thing.posture, None if met is None else answers_of(event, met))
    if thing.holds is not None:
        yield _weapon(thing.holds, met, weapons)
    if met is not None and kind_of(thing.class_name) == "animal":
        yield _pet(thing.kind, answers_of(event, met).pet)


def _distance(answers: Answers) -> str:
    if answers.depth is None:
        return ""
    metres = f"about {answers.depth.estimated_distance_m:.0f} m"
    doubt = "" if answers.depth.calibrated else ", not calibrated"
    return f", {answers.depth.proximity_label} ({metres}{doubt})"


def _posture(drawn: str, answers: Answers | None) -> Part:
    if answers is None or answers.pose is None:
        return Part(words(drawn), NOTHING, right=False)
    pose = answers.pose
    return Part(words(drawn), f"{words(pose.posture)} {percent(pose.confidence)}", right=pose.posture == drawn)


def _weapon(drawn: str, met: DetectionInput | None, weapons: Sequence[Weapon]) -> Part:
    held = [weapon for weapon in weapons if met is not None and weapon.holder == met.id]
    weapon = next((weapon for weapon in held if weapon.class_name.lower() == drawn), next(iter(held), None))
    name = f"with a {drawn}"
    if weapon is None:
        return Part(name, NOTHING, right=False)
    state = "confirmed" if weapon.confirmed else "a candidate"
    reason = weapon.reason.partition(": ")[2]
    told = f"{weapon.class_name} {percent(weapon.confidence)}, severity {weapon.severity}, {state}: {reason}"
    return Part(name, told, right=weapon.class_name.lower() == drawn)


def _pet(drawn: str, pet: PetClassificationResult | None) -> Part:
    name = f"a {drawn}, looked at closely"
    if pet is None:
        return Part(name, NOTHING, right=False)
    return Part(name, f"{pet.pet_type} {percent(pet.confidence)}", right=pet.pet_type == drawn)


def _plate(drawn: str, event: Event) -> Part:
    plates: list[LicensePlateResult] = event.enrichment.data.license_plates if event.enrichment.data else []
    read = [plate for plate in plates if plate.text]
    plate = next((plate for plate in read if _letters(plate.text) == _letters(drawn)), next(iter(read), None))
    name = f"the plate {drawn}"
    if plate is None:
        return Part(name, f"{NOTHING}{', though a plate is visible' if plates else ''}", right=False)
    return Part(name, f"{plate.text} {percent(plate.confidence)}", right=_letters(plate.text) == _letters(drawn))


def _letters(text: str) -> str:
    """A plate's text without what separates its groups."""
    return "".join(char for char in text.upper() if char.isalnum())


def _weapons(event: Event) -> list[Weapon]:
    data = event.enrichment.data
    if data is None:
        return []
    return weapons_of(event.detections, data.pose_results, data.threat_results, data.repeated_threats)
