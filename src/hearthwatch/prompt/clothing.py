"""What a person wears and carries, as a section of the language model's prompt; its strings are documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hearthwatch.models import ClothingClassificationResult
from hearthwatch.models.clothing import COUNTS_ABOVE, SUSPICIOUS_ABOVE
from hearthwatch.models.clothing_prompts import CARRYING, CASUAL, DELIVERY, SUSPICIOUS
from hearthwatch.prompt.quoting import inert

HEADING = "### Person Appearance Analysis"


def format_enhanced_clothing_context(clothing_result: Mapping[str, Any] | ClothingClassificationResult) -> str:
    """The section about one person.

    Args:
        clothing_result: a result; the answer of `/clothing-classify`; or the documented dictionary, groups of prompts
            to their `top_match` and `confidence`. An alert and a uniform are said from the documented confidences on,
            or where a group says how far it is over casual clothes, by that: then they are what the result says.
    """
    told = clothing_result.to_wire() if isinstance(clothing_result, ClothingClassificationResult) else clothing_result
    groups: Mapping[str, Any] = told.get("categories", told)
    lines = [HEADING]
    if (suspicious := groups.get(SUSPICIOUS)) and _sure(suspicious) > SUSPICIOUS_ABOVE:
        lines.append(f"- **ALERT**: {inert(suspicious['top_match'])} (confidence: {suspicious['confidence']:.0%})")
    if (delivery := groups.get(DELIVERY)) and _sure(delivery) > COUNTS_ABOVE:
        lines.append(f"- Service worker identified: {inert(delivery['top_match'])} ({delivery['confidence']:.0%})")
    if carrying := groups.get(CARRYING):
        lines.append(f"- Carrying: {inert(carrying['top_match'])} ({carrying['confidence']:.0%})")
    if casual := groups.get(CASUAL):
        lines.append(f"- General attire: {inert(casual['top_match'])}")
    return "\n".join(lines)


def _sure(group: Mapping[str, Any]) -> float:
    sure: float = group.get("over_casual", group["confidence"])
    return sure
