"""From the cosines of a person and the prompts to what the person wears: every rule of it is here.

Scores      Each group has a softmax of its own, over its prompts and the casual ones, with the checkpoint's factor on
            the cosines. The group's confidence is the mass of its prompts, its `top_match` the likeliest of them. What
            would be left for the casual prompts alone is everything, whatever the person wears, so theirs are those of
            the softmax in which they have the least, of the groups about clothes.
Counting    A group counts by its margin over casual, and not by its mass: with seven prompts against four it would have
            0.64 of a picture that shows nothing at all. `over_casual` is the mass that it would have if both sides had
            equally many prompts: 0.5 says nothing, and it takes more than `SUSPICIOUS_ABOVE` or `COUNTS_ABOVE`.
Category    Of suspicious, delivery and utility the group that counts with the largest margin, else casual. Type, style
            and confidence are those of its best prompt. Suspicious and uniform are said of every group that counts, for
            a courier's jacket and a mask may be worn together.
Carrying    The best prompt of its group that names a thing, where that is likelier than both that name none together,
            and at least `CARRIED_FROM` of all: whoever wears casual clothes may carry something as well.
Colour      Not the prompts': they name a colour for some clothes only, and as a part of a company's uniform. It is told
            from the pixels of the chest (`vision.cloth`), or not at all, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from hearthwatch.adapter import wire
from hearthwatch.models.clothing_prompts import (
    ATTIRE,
    CARRIED,
    CARRYING,
    CASUAL,
    DELIVERY,
    ENHANCED_CLOTHING_PROMPTS,
    SUSPICIOUS,
    UTILITY,
)
from hearthwatch.vision.image import Float
from hearthwatch.vision.paint import Paint

#: From which confidence a document of the system calls a group found (its clothing context): more than these.
SUSPICIOUS_ABOVE, COUNTS_ABOVE = 0.6, 0.5
#: A thing's share of its softmax, where each of its ten prompts has a tenth of a picture that shows nothing.
CARRIED_FROM = 0.25
#: Rounding is no margin.
_SLACK = 1e-6
#: The groups about clothes that are compared with casual ones.
_WORN = (SUSPICIOUS, DELIVERY, UTILITY)


@dataclass(frozen=True, slots=True)
class GroupMatch:
    """One group of prompts.

    Attributes:
        top_match: its likeliest prompt.
        confidence: 0..1, the mass of its prompts beside the casual ones.
        all_scores: 0..1 by prompt, in the order of the document; their sum is the confidence.
        over_casual: 0..1, as the confidence, if both sides had equally many prompts; above 0.5 it is more than casual.
    """

    top_match: str
    confidence: float
    all_scores: Mapping[str, float]
    over_casual: float

    def to_dict(self) -> dict[str, Any]:
        """`{top_match, confidence, all_scores}`, as documented."""
        return {"top_match": self.top_match, "confidence": self.confidence, "all_scores": dict(self.all_scores)}

    def to_wire(self) -> dict[str, Any]:
        """One row of `categories`."""
        return {
            "top_match": self.top_match,
            "confidence": wire.share(self.confidence),
            "all_scores": {prompt: wire.share(score) for prompt, score in self.all_scores.items()},
            "over_casual": wire.share(self.over_casual),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `categories` read again."""
        return cls(
            top_match=told["top_match"],
            confidence=wire.number(told["confidence"]),
            all_scores={prompt: wire.number(score) for prompt, score in told["all_scores"].items()},
            over_casual=wire.number(told["over_casual"]),
        )


@dataclass(frozen=True, slots=True)
class ClothingClassificationResult:
    """What one person wears and carries.

    Attributes:
        clothing_type: hoodie, vest, uniform …
        style: of the whole: casual, business, athletic, outdoor, delivery, work, concealing, dark, unseasonable.
        confidence: 0..1, of the top category.
        top_category: suspicious, delivery, utility or casual.
        is_suspicious: whether clothes are of the kind that hides somebody.
        is_service_uniform: whether they are those of a delivery or of a trade.
        categories: by group of prompts.
        color: of the upper clothes; None where it cannot be told.
        color_confidence: 0..1; None likewise.
        color_reason: why it cannot be told; empty where it can.
        carrying: what is carried; None where nothing is, or nothing is seen to be.
    """

    clothing_type: str
    style: str
    confidence: float
    top_category: str
    is_suspicious: bool
    is_service_uniform: bool
    categories: Mapping[str, GroupMatch] = field(default_factory=dict)
    color: str | None = None
    color_confidence: float | None = None
    color_reason: str = ""
    carrying: str | None = None

    @property
    def description(self) -> str:
        """The best prompt of the top category, with the colour and what is carried, where they are not in it."""
        words = self.categories[self.top_category].top_match if self.categories else self.clothing_type
        if self.color is not None and self.color not in words.split():
            words += f", mostly {self.color}"
        return words if self.carrying is None else f"{words}, carrying: {self.carrying}"

    @property
    def scores(self) -> dict[str, float]:
        """Every score by group and prompt, to compare two runs."""
        return {
            f"{name}: {prompt}": score
            for name, group in self.categories.items()
            for prompt, score in group.all_scores.items()
        }

    def to_context_string(self) -> str:
        """The clothes as a prompt's lines."""
        lines = [f"Clothing: {self.description}"]
        if self.is_suspicious:
            lines.append("  [ALERT: Potentially suspicious attire detected]")
        elif self.is_service_uniform:
            lines.append("  [Service/delivery worker uniform detected]")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """`{group: {top_match, confidence, all_scores}}`, as the documented `classify` answers."""
        return {name: group.to_dict() for name, group in self.categories.items()}

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/clothing-classify`."""
        return {
            "clothing_type": self.clothing_type,
            "color": self.color,
            "color_confidence": wire.share(self.color_confidence),
            "color_reason": self.color_reason or None,
            "style": self.style,
            "confidence": wire.share(self.confidence),
            "top_category": self.top_category,
            "description": self.description,
            "is_suspicious": self.is_suspicious,
            "is_service_uniform": self.is_service_uniform,
            "carrying": self.carrying,
            "categories": {name: group.to_wire() for name, group in self.categories.items()},
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/clothing-classify` read again."""
        return cls(
            clothing_type=told["clothing_type"],
            style=told["style"],
            confidence=wire.number(told["confidence"]),
            top_category=told["top_category"],
            is_suspicious=told["is_suspicious"],
            is_service_uniform=told["is_service_uniform"],
            categories={name: GroupMatch.from_wire(group) for name, group in told["categories"].items()},
            color=told["color"],
            color_confidence=told["color_confidence"],
            color_reason=told["color_reason"] or "",
            carrying=told["carrying"],
        )


def matches(logits: Mapping[str, Sequence[float]]) -> dict[str, GroupMatch]:
    """The groups of one picture.

    Args:
        logits: scaled cosines by group, in the order of its prompts.
    """
    casual = np.asarray(logits[CASUAL], np.float64)
    found: dict[str, GroupMatch] = {}
    rest: list[GroupMatch] = []
    for name, values in logits.items():
        if name == CASUAL:
            continue
        both = np.concatenate([np.asarray(values, np.float64), casual])
        shares = np.exp(both - both.max())
        shares /= shares.sum()
        own, others = shares[: len(values)], shares[len(values) :]
        found[name] = _match(name, own, others)
        if name in _WORN:
            rest.append(_match(CASUAL, others, own))
    found[CASUAL] = min(rest, key=lambda match: match.confidence)
    return {name: found[name] for name in logits}


def counts(name: str, match: GroupMatch) -> bool:
    """Whether a group has enough of a margin over casual to be said."""
    return match.over_casual > (SUSPICIOUS_ABOVE if name == SUSPICIOUS else COUNTS_ABOVE) + _SLACK


def judge(categories: Mapping[str, GroupMatch], paint: Paint) -> ClothingClassificationResult:
    """What the groups and the colour of the chest say together."""
    counting = [name for name in _WORN if counts(name, categories[name])]
    top = max(counting, key=lambda name: categories[name].over_casual, default=CASUAL)
    attire = ATTIRE[categories[top].top_match]
    return ClothingClassificationResult(
        clothing_type=attire.clothing_type,
        style=attire.style,
        confidence=categories[top].confidence,
        top_category=top,
        is_suspicious=SUSPICIOUS in counting,
        is_service_uniform=DELIVERY in counting or UTILITY in counting,
        categories=categories,
        color=paint.color,
        color_confidence=paint.confidence,
        color_reason=paint.reason,
        carrying=_carried(categories[CARRYING].all_scores),
    )


def _carried(scores: Mapping[str, float]) -> str | None:
    best = max(CARRIED, key=lambda prompt: scores[prompt])
    nothing = sum(score for prompt, score in scores.items() if prompt not in CARRIED)
    return CARRIED[best] if scores[best] >= CARRIED_FROM and scores[best] > nothing else None


def _match(name: str, own: Float, others: Float) -> GroupMatch:
    prompts, mass = ENHANCED_CLOTHING_PROMPTS[name], float(own.sum())
    fair, against = mass / len(own), float(others.sum()) / len(others)
    return GroupMatch(
        prompts[int(own.argmax())],
        min(1.0, mass),
        dict(zip(prompts, map(float, own), strict=True)),
        fair / (fair + against),
    )
