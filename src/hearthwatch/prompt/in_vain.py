"""What was looked for in vain, what of a picture nobody could tell, and what nobody looked for: facts too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from hearthwatch.pipeline.extraction import CAPTION, OBJECTS, TEXTS
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance, absent

_WORDS: Mapping[str, str] = {
    "threat_detector": "the weapon detector saw no weapon at this person",
    "pose_estimator": "no skeleton found",
    "face_detector": "no face seen",
    "license_plate_detector": "no plate seen",
}
_UNTOLD: Mapping[str, str] = {
    CAPTION: "a description of the picture",
    OBJECTS: "a search for things by their names",
    TEXTS: "a reading of what is written in the picture",
}


def facts_in_vain(known: EnrichmentResult | None) -> Iterator[Fact]:
    """What the models answered where they found nothing.

    Args:
        known: everything that was found out; None where nothing was attempted, which is said.
    """
    if known is None:
        yield absent("enrichment", "nothing but the detector looked at this picture", None)
        return
    for key, threats in known.threat_results.items():
        if not threats.has_threat:
            yield _nothing("threat_detector", key)
    for key, models in known.nothing.items():
        yield from (_nothing(model, key) for model in models)
    for key, matches in {**known.person_reid_matches, **known.vehicle_reid_matches}.items():
        if not matches or not matches[0].sighting_count:
            yield Fact("nothing", "gallery", "not seen before, by what is remembered", key, None, Importance.CONTEXT)
    for key, damage in known.vehicle_damage.items():
        if not damage.has_damage:
            yield Fact("nothing", "vehicle_damage", "no damage seen", key, None, Importance.CONTEXT)

    yield from _untold(known)


def joined(facts: Iterable[Fact]) -> list[Fact]:
    """The same, those in one line that were not run on one detection for one reason: a reader needs it once."""
    told: list[Fact] = []
    places: dict[tuple[str | None, tuple[str, ...]], int] = {}
    for fact in facts:
        why = (fact.subject, fact.quotes)
        if not (fact.kind == "absent" and fact.text.startswith(f"{fact.value} was not run: ")):
            told.append(fact)
        elif why in places:
            before = told[places[why]]
            told[places[why]] = replace(
                before, text=f"{fact.value}, {before.text.replace(' was not ', ' were not ', 1)}"
            )
        else:
            places[why] = len(told)
            told.append(fact)
    return told


def _untold(known: EnrichmentResult) -> Iterator[Fact]:
    """What is not known of the pictures themselves."""
    if (view := known.scene_change) is not None and view.changed is None:
        yield absent("scene_change", f"whether the view has changed is not known: {view.reason}", None, view.reason)
    pictures = known.vision_extraction.pictures if known.vision_extraction else ()
    reasons = dict.fromkeys(one for picture in pictures for one in picture.absent.items())
    for what, reason in reasons:
        yield absent(what, f"{_UNTOLD.get(what, what)}, which nobody gave: {reason}", None, reason)
    if lost := sum(picture.dropped_texts for picture in pictures):
        yield absent(TEXTS, f"{lost} further lines of writing, for which there was no room", None)


def _nothing(model: str, key: str) -> Fact:
    return Fact("nothing", model, _WORDS.get(model, f"{model} found nothing"), key, None, Importance.CONTEXT)
