"""Facts about a picture as a whole: they belong to nobody in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance, absent


def picture_facts(known: EnrichmentResult) -> Iterator[Fact]:
    """What is known about the picture itself, and what could not be told."""
    yield from _violence(known)
    yield from _camera(known)
    if weather := known.weather_classification:
        text = f"the weather looks like {weather.weather}"
        said = (weather.weather,)
        yield Fact("weather", weather.weather, text, None, weather.confidence, Importance.CONTEXT, said)
    yield from _writing(known)
    for model, reason in known.skipped_of_pictures.items():
        yield absent(model, f"{model} was not run: {reason}", None, reason)
    for error in known.structured_errors:
        if error.detection_id is None:
            yield absent(error.model, f"{error.model} failed: {error.message}", None, error.message)


def _violence(known: EnrichmentResult) -> Iterator[Fact]:
    if (violence := known.violence_detection) is None:
        return
    if violence.is_violent:
        kind = f" ({violence.category})" if violence.category else ""
        text = f"people may be fighting{kind}"
        said = (violence.category,) if violence.category else ()
        yield Fact("violence", "suspected", text, None, violence.confidence, Importance.THREAT, said)
    else:
        yield Fact("violence", "none", "nobody seems to fight", None, violence.confidence, Importance.CONTEXT)


def _camera(known: EnrichmentResult) -> Iterator[Fact]:
    """Whether the camera sees what it usually sees, and how well."""
    if quality := known.image_quality:
        if quality.possible_tampering:
            text = f"the camera may have been tampered with: {quality.tampering_reason}"
            yield Fact("tampering", "suspected", text, None, None, Importance.POSTURE)
        if quality.faults:
            faults = ", ".join(quality.faults)
            text = f"the picture is {faults}, so that less can be seen"
            yield Fact("image_quality", faults, text, None, None, Importance.CONTEXT)
    if (scene := known.scene_change) and scene.changed:
        text = f"the camera's view has changed: {scene.reason}"
        yield Fact("scene_change", "changed", text, None, None, Importance.POSTURE)


def _writing(known: EnrichmentResult) -> Iterator[Fact]:
    """What somebody says of the picture, signs and the like; a plate's text is told with its vehicle."""
    for picture in known.vision_extraction.pictures if known.vision_extraction else ():
        if picture.caption:
            text = f"a description says {picture.caption!r}"
            yield Fact("caption", picture.caption, text, None, None, Importance.CONTEXT, (picture.caption,))
        for label, number in Counter(thing.label for thing in picture.objects or ()).items():
            text = f"also found, by a network that says not how sure it is: {number} x {label!r}"
            yield Fact("object", label, text, None, None, Importance.CONTEXT, (label,))
        for line in picture.texts or ():
            if line.plate_of is None:
                text = f"writing in the picture reads {line.text!r}"
                yield Fact("text", line.text, text, None, line.confidence, Importance.CONTEXT, (line.text,))
