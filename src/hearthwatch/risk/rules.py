"""Risk by documented rules: the same facts always give the same score, and every point has its reason.

Each person and vehicle is scored alone, so that a resident never lowers the risk of the stranger beside him; the
scene's score is its highest subject's, plus a little for company. The numbers are in `risk.points`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from hearthwatch.prompt.fact import Fact, Scene
from hearthwatch.risk.assessment import Reason, RiskAssessment, level_of
from hearthwatch.risk.bounds import HOUSEHOLD, bounded
from hearthwatch.risk.points import DOCUMENTED, Points

#: What an assessment by rules says of itself; no language model goes by that name.
SOURCE = "rules"


def assess(scene: Scene, points: Points = DOCUMENTED) -> RiskAssessment:
    """Score one event by the rules.

    Args:
        scene: its facts.
        points: other ones, to try them.
    """
    known = {fact.subject for fact in scene.facts if fact.kind == "known"}
    subjects = scene.subjects("person", "vehicle", "animal")
    scored = (_score_subject(subject, scene, points, known=subject in known) for subject in subjects)
    best = max(scored, key=_total, default=[])
    # In nobody's hand, or in the hand of somebody known: it is in the scene, whoever else is there.
    weapons = [f for f in scene.facts if f.kind == "weapon" and (f.subject is None or f.subject in known)]
    loose = [_weapon_reason(fact, points) for fact in weapons]
    reasons = [*best, *loose, *_company(scene, points, known), *_of_the_scene(scene, points)]
    total = _total(reasons)
    score, bounds = bounded(total, scene)
    reasons += [Reason(0, str(bound)) for bound in bounds]
    return RiskAssessment(
        risk_score=score,
        summary=_summary(scene),
        reasoning=_reasoning(score, reasons, scene, points),
        reasons=tuple(reasons),
        source=SOURCE,
        version=points.version,
        bounds=bounds,
    )


def is_night(when: datetime, points: Points = DOCUMENTED) -> bool:
    """Between 22:00 and 06:00 of the event's own local time, or the hours that the points say."""
    begins, ends, now = points.night_begins, points.night_ends, when.time()
    return begins <= now < ends if begins < ends else now >= begins or now < ends


def _score_subject(subject: str, scene: Scene, points: Points, *, known: bool) -> list[Reason]:
    """The reasons of one person, vehicle or animal; being known takes away at most what the rest added.

    A weapon in the hand of somebody known is left to the scene: were it his alone, his coming could take it away from
    the stranger beside him.
    """
    facts = [fact for fact in scene.of(subject) if not (known and fact.kind == "weapon")]
    reasons = [reason for fact in facts for rule in _RULES if (reason := rule(fact, points)) and reason.points]
    kind = next(fact.value for fact in facts if fact.kind == "presence")
    if scene.when is not None and is_night(scene.when, points) and kind == "person":
        reasons.append(Reason(points.night, f"at night ({scene.when:%H:%M})", subject))
    if known and kind == "person":
        text = "known to the application"
        reasons.append(Reason(max(points.known, -_total(reasons)), text, subject))
    elif household := min((f for f in facts if f.kind == "household"), key=_household_points, default=None):
        reasons.append(Reason(max(_household_points(household), -_total(reasons)), household.text, subject))
    # The strongest first, what lowers last: the order in which a reader asks.
    return sorted(reasons, key=lambda reason: -reason.points)


def _presence(fact: Fact, points: Points) -> Reason | None:
    added = _in(points.presence, fact) if fact.kind == "presence" else 0
    return Reason(added, f"{_article(fact.text)} ({_sure(fact)})", fact.subject) if added else None


def _posture(fact: Fact, points: Points) -> Reason | None:
    added = _in(points.posture, fact) if fact.kind in {"posture", "alert"} else 0
    return Reason(added, f"{fact.text} ({_sure(fact)})", fact.subject) if added else None


def _in(table: Mapping[Any, int], fact: Fact) -> int:
    return table.get(fact.value, 0)


def _clothing(fact: Fact, points: Points) -> Reason | None:
    hides = fact.kind == "clothing" and fact.value == "suspicious"
    return Reason(points.suspicious_clothing, f"{fact.text} ({_sure(fact)})", fact.subject) if hides else None


def _weapon(fact: Fact, points: Points) -> Reason | None:
    return _weapon_reason(fact, points) if fact.kind == "weapon" else None


def _dwell(fact: Fact, points: Points) -> Reason | None:
    stays = fact.kind == "dwell" and float(fact.value) >= points.dwell_from_s
    return Reason(points.dwell, fact.text, fact.subject) if stays else None


_RULES: tuple[Callable[[Fact, Points], Reason | None], ...] = (_presence, _posture, _clothing, _weapon, _dwell)


def _weapon_reason(fact: Fact, points: Points) -> Reason:
    word, severity = fact.value.split()
    table: Mapping[Any, int] = points.weapon_confirmed if word == "confirmed" else points.weapon_candidate
    return Reason(table[severity], f"{fact.text} ({_sure(fact)})", fact.subject)


def _household_points(fact: Fact) -> int:
    return HOUSEHOLD.get(fact.value, 0)


def _of_the_scene(scene: Scene, points: Points) -> list[Reason]:
    """What is true of the picture, whoever is in it."""
    table = {"violence": points.violence, "tampering": points.tampering, "scene_change": points.scene_changed}
    told = [fact for fact in scene.facts if fact.subject is None and fact.kind in table and _counts(fact, points)]
    # What was measured has no confidence, and nobody stated it either.
    return [Reason(table[f.kind], f.text if f.confidence is None else f"{f.text} ({_sure(f)})") for f in told]


def _counts(fact: Fact, points: Points) -> bool:
    if fact.kind != "violence":
        return True
    return fact.value != "none" and (fact.confidence or 0.0) >= points.violence_from


def _company(scene: Scene, points: Points, known: Collection[str | None]) -> list[Reason]:
    strangers = [subject for subject in scene.subjects("person") if subject not in known]
    if len(strangers) < 2:
        return []
    added = min(points.company * (len(strangers) - 1), points.company_at_most)
    return [Reason(added, f"{len(strangers)} people together")] if added else []


def _summary(scene: Scene) -> str:
    counted = Counter(fact.text.removesuffix(" in view") for fact in scene.facts if fact.kind == "presence")
    if not counted:
        return "Nobody and nothing of interest is in view."
    things = [_count(name, number) for name, number in counted.most_common()]
    postures = Counter(fact.value.replace("_", " ") for fact in scene.facts if fact.kind == "posture")
    said = f"{_join(things)} in view"
    noted = [f"{number} {word}" for word, number in postures.items() if word.replace(" ", "_") in DOCUMENTED.posture]
    weapons = [fact.text for fact in scene.facts if fact.kind == "weapon"]
    details = [*([f"weapon: {weapons[0]}"] if weapons else []), *noted]
    return f"{said[0].upper()}{said[1:]}{'; ' + ', '.join(details) if details else ''}."


def _reasoning(score: int, reasons: list[Reason], scene: Scene, points: Points) -> str:
    why = "; ".join(str(reason) for reason in reasons) or "no rule applies"
    clock = "" if scene.when is not None else " The time is not known, so night adds nothing."
    return f"{level_of(score).capitalize()} ({score} of 100) by {points.version}: {why}.{clock}"


def _total(reasons: list[Reason]) -> int:
    return sum(reason.points for reason in reasons)


def _sure(fact: Fact) -> str:
    return "stated" if fact.confidence is None else f"{fact.confidence:.0%}"


def _article(text: str) -> str:
    return f"{'an' if text[:1] in 'aeiou' else 'a'} {text}"


def _count(name: str, number: int) -> str:
    if number == 1:
        return _article(name)
    plural = {"person": "people", "bus": "buses"}.get(name, f"{name}s")
    words = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"{words[number - 2] if number <= 9 else number} {plural}"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
