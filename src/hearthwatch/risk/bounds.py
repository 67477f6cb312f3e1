"""The floors and ceilings that no score crosses, whoever gives it: the rules and the language model share this table.

    name               score         where
    confirmed_weapon   at least 30   a weapon is confirmed, whoever holds it
    unconfirmed        at most 59    no weapon is confirmed: not a candidate, nor a posture, clothes or anything else
    only_animals       at most 15    animals alone are in view, and no weapon
    appearance_alone   at least the  somebody looks like one of the household, or like somebody seen before: the rules'
                       rules' score  score is that of the same scene without these likenesses
                       less 10

The numbers are those of docs/decisions/0004-risk-rules.md; 0018 says what they mean for a language model. A change of
a row raises `risk.points.VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hearthwatch.prompt.fact import Scene
from hearthwatch.risk.assessment import AppliedBound

#: No posture, clothing or unconfirmed weapon is more than medium by itself.
CAP_UNCONFIRMED = 59
#: A confirmed weapon is never low.
FLOOR_CONFIRMED = 30
#: Animals alone are never more than low.
CAP_ANIMALS = 15
#: Points for looking like somebody of the household, by what it was told. Appearance is clothes, which many wear; a
#: plate is screwed off; a face is nearest to being known, and no application has vouched for it.
HOUSEHOLD: Mapping[str, int] = {"appearance": -10, "plate": -15, "face": -20}
SCALE = 100


@dataclass(frozen=True, slots=True)
class Bound:
    """One row of the table.

    Attributes:
        name: as reports name it.
        is_floor: whether it raises; else it holds down.
        points: 0..100.
        why: for a reader.
        holds: whether it is in force for a scene.
    """

    name: str
    is_floor: bool
    points: int
    why: str
    holds: Callable[[Scene], bool]

    def on(self, score: int) -> int:
        """What it leaves of a score."""
        return max(score, self.points) if self.is_floor else min(score, self.points)


def has_confirmed_weapon(scene: Scene) -> bool:
    """Whether a weapon is confirmed, by `prompt.weapons`."""
    return any(fact.kind == "weapon" and fact.value.startswith("confirmed") for fact in scene.facts)


def has_only_animals(scene: Scene) -> bool:
    """Whether animals are all there is, and nothing looks like a weapon."""
    armed = any(fact.kind == "weapon" for fact in scene.facts)
    return bool(scene.subjects("animal")) and not scene.subjects("person", "vehicle") and not armed


TABLE: tuple[Bound, ...] = (
    Bound("confirmed_weapon", True, FLOOR_CONFIRMED, "a confirmed weapon is never low", has_confirmed_weapon),
    Bound("unconfirmed", False, CAP_UNCONFIRMED, "nothing confirmed makes it more than medium",
          lambda scene: not has_confirmed_weapon(scene)),
    Bound("only_animals", False, CAP_ANIMALS, "only animals are in view", has_only_animals),
)  # fmt: skip


def bounded(total: int, scene: Scene, more: tuple[Bound, ...] = ()) -> tuple[int, tuple[AppliedBound, ...]]:
    """The score inside the bounds, and those that changed it.

    Args:
        total: any number; the scale of 0..100 is a bound too.
        scene: what the rows look at.
        more: rows beside the table, after it.
    """
    score = max(0, min(total, SCALE))
    applied: list[AppliedBound] = []
    for bound in (*TABLE, *more):
        after = bound.on(score) if bound.holds(scene) else score
        if after != score:
            applied.append(AppliedBound(bound.name, score, after, bound.why))
        score = after
    if score == SCALE < total:
        applied.append(AppliedBound("scale", total, SCALE, "the scale ends there"))
    return score, tuple(applied)


def without_likeness(scene: Scene) -> Scene:
    """The scene as it would be had nobody looked like anybody: faces, plates and what an application says stay.

    Having been seen before is no proof of belonging, however it was told, and counts as a likeness.
    """
    return replace(scene, facts=tuple(fact for fact in scene.facts if not _is_likeness(fact.kind, fact.value)))


def appearance_floor(rules_score: int) -> Bound:
    """The row that keeps a likeness from lowering a score by more than its points.

    Args:
        rules_score: that of `without_likeness(scene)`.
    """
    points = max(rules_score + HOUSEHOLD["appearance"], 0)
    why = f"appearance alone lowers by at most {-HOUSEHOLD['appearance']} (the rules give {rules_score} without it)"
    return Bound("appearance_alone", True, points, why, lambda scene: without_likeness(scene) != scene)


def _is_likeness(kind: str, value: str) -> bool:
    return kind == "seen_before" or (kind == "household" and value == "appearance")
