"""What Florence-2 or whoever reads a picture tells of it, as a section of a prompt; its words are documented."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hearthwatch.pipeline.extraction import BatchExtractionResult, PictureExtraction
from hearthwatch.prompt.quoting import Inert, inert
from hearthwatch.prompt.rendering import render

#: The documented words of what a burglar carries, each at the beginning of a word: a toolbox, and no stool.
_HIGH_RISK = re.compile(r"\b(weapon|knife|crowbar|tool)", re.IGNORECASE)
#: A description of some hundred words is kept whole.
_MAX_SCENE = 1200
#: As many lines as `models.scene_text` reads in a picture.
_MAX_LABELS = 50


def format_florence_scene_context(
    florence_result: Mapping[str, Any] | PictureExtraction | BatchExtractionResult,
) -> str:
    """The section about a picture, or about all of a batch.

    Args:
        florence_result: the documented dictionary (`scene`, `security_objects{labels}`, `text_regions{labels}`, each
            optional), which `/analyze-scene` answers; or what a picture or a batch says, whoever read it.

    Raises:
        AttributeError, TypeError: a part that is not as documented.
    """
    told = _as_documented(florence_result)
    scene = told.get("scene")
    objects = (told.get("security_objects") or {}).get("labels") or ()
    texts = (told.get("text_regions") or {}).get("labels") or ()
    return render(
        "florence.j2",
        scene=inert(str(scene), _MAX_SCENE) if scene else None,
        objects=_listed(objects),
        risks=_listed([label for label in objects if _HIGH_RISK.search(label)]),
        texts=_listed(texts),
    )


def _listed(labels: Sequence[str]) -> Inert:
    """Labels with commas between; how many there was no room for is said."""
    more = [f"and {len(labels) - _MAX_LABELS} more"] if len(labels) > _MAX_LABELS else []
    return Inert(", ".join([*map(inert, labels[:_MAX_LABELS]), *more]))


def _as_documented(
    told: Mapping[str, Any] | PictureExtraction | BatchExtractionResult,
) -> Mapping[str, Any]:
    if isinstance(told, Mapping):
        return told
    pictures = [told] if isinstance(told, PictureExtraction) else told.pictures
    labels = [thing.label for picture in pictures for thing in picture.objects or ()]
    texts = [line.text for picture in pictures for line in picture.texts or ()]
    return {
        "scene": " ".join(picture.caption for picture in pictures if picture.caption),
        "security_objects": {"labels": list(dict.fromkeys(labels))},
        "text_regions": {"labels": list(dict.fromkeys(texts))},
    }
