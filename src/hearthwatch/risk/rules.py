"""Risk by documented rules: the same facts always give the same score, and every point has its reason.

Each person and vehicle is scored alone, so that a resident never lowers the risk of the stranger beside him; the
scene's score is its highest subject's, plus a little for company. `docs/decisions/` has the table with its reasons; a
change of any number raises `VERSION`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, time

from hearthwatch.prompt.fact import Fact, Scene
from hearthwatch.risk.assessment import Reason, RiskAssessment, level_of
from hearthwatch.risk.bounds import HOUSEHOLD, bounded

VERSION = "rules-3"
#: What an assessment by rules says of itself; no language model goes by that name.
SOURCE = "rules"

#: Points for being there at all.
PRESENCE: Mapping[str, int] = {"person": 20, "vehicle": 5, "animal": 2, "object": 0}
#: Points for a posture or an alert; the words are those of `vision.posture`.
POSTURE: Mapping[str, int] = {
    "hiding": 25,
    "crawling": 25,
    "lying_down": 20,  # somebody may need help
    "crouching": 15,
    "reaching_up": 10,
    "arms_raised": 10,
    "running": 10,
}
#: Points for clothes that hide somebody. A hood is also the weather, and a network that asks for it will see some.
SUSPICIOUS_CLOTHING = 10
#: Points for a weapon by its severity. A bat or a crowbar is also a toy and a tool.
WEAPON_CONFIRMED: Mapping[str, int] = {"critical": 65, "high": 50, "medium": 25}
WEAPON_CANDIDATE: Mapping[str, int] = {"critical": 30, "high": 20, "medium": 10}
NIGHT = 15
NIGHT_BEGINS, NIGHT_ENDS = time(22), time(6)
#: A visitor rings and leaves; a minute in view is longer than most.
DWELL, DWELL_FROM_S = 10, 60.0
COMPANY, COMPANY_AT_MOST = 5, 10
#: An application that says who it is knows by face, plate or key; appearance alone is never `known`.
KNOWN = -20
#: Points for what one network takes for a fight, for a picture that a camera has suddenly lost, and for another view.
VIOLENCE, TAMPERING, SCENE_CHANGED = 25, 15, 10
#: From here on: where the authors of the documented network begin to take a picture for violent.
VIOLENCE_FROM = 0.70


def assess(scene: Scene) -> RiskAssessment:
    """Score one event by the rules."""
    known = {fact.subject for fact in scene.facts if fact.kind == "known"}
    subjects = scene.subjects("person", "vehicle", "animal")
    best = max((_score_subject(subject, scene, known=subject in known) for subject in subjects), key=_total, default=[])
    # In nobody's hand, or in the hand of somebody known: it is in the scene, whoever else is there.
    loose = [_weapon_reason(f) for f in scene.facts if f.kind == "weapon" and (f.subject is None or f.subject in known)]
    reasons = [*best, *loose, *_company(scene, known), *_of_the_scene(scene)]
    total = _total(reasons)
    score, bounds = bounded(total, scene)
    reasons += [Reason(0, str(bound)) for bound in bounds]
    return RiskAssessment(
        risk_score=score,
        summary=_summary(scene),
        reasoning=_reasoning(score, reasons, scene),
        reasons=tuple(reasons),
        source=SOURCE,
        version=VERSION,
        bounds=bounds,
    )


def is_night(when: datetime) -> bool:
    """Between 22:00 and 06:00 of the event's own local time."""
    return when.time() >= NIGHT_BEGINS or when.time() < NIGHT_ENDS


def _score_subject(subject: str, scene: Scene, *, known: bool) -> list[Reason]:
    """The reasons of one person, vehicle or animal; being known takes away at most what the rest added.

    A weapon in the hand of somebody known is left to the scene: were it his alone, his coming could take it away from
    the stranger beside him.
    """
    facts = [fact for fact in scene.of(subject) if not (known and fact.kind == "weapon")]
    reasons = [reason for fact in facts for rule in _RULES if (reason := rule(fact))]
    kind = next(fact.value for fact in facts if fact.kind == "presence")
    if scene.when is not None and is_night(scene.when) and kind == "person":
        reasons.append(Reason(NIGHT, f"at night ({scene.when:%H:%M})", subject))
    if known and kind == "person":
        text = "known to the application"
        reasons.append(Reason(max(KNOWN, -_total(reasons)), text, subject))
    elif household := min((f for f in facts if f.kind == "household"), key=_household_points, default=None):
        reasons.append(Reason(max(_household_points(household), -_total(reasons)), household.text, subject))
    # The strongest first, what lowers last: the order in which a reader asks.
    return sorted(reasons, key=lambda reason: -reason.points)


def _presence(fact: Fact) -> Reason | None:
    points = PRESENCE.get(fact.value, 0) if fact.kind == "presence" else 0
    return Reason(points, f"{_article(fact.text)} ({_sure(fact)})", fact.subject) if points else None


def _posture(fact: Fact) -> Reason | None:
    points = POSTURE.get(fact.value, 0) if fact.kind in {"posture", "alert"} else 0
    return Reason(points, f"{fact.text} ({_sure(fact)})", fact.subject) if points else None


def _clothing(fact: Fact) -> Reason | None:
    hides = fact.kind == "clothing" and fact.value == "suspicious"
    return Reason(SUSPICIOUS_CLOTHING, f"{fact.text} ({_sure(fact)})", fact.subject) if hides else None


def _weapon(fact: Fact) -> Reason | None:
    return _weapon_reason(fact) if fact.kind == "weapon" else None


def _dwell(fact: Fact) -> Reason | None:
    stays = fact.kind == "dwell" and float(fact.value) >= DWELL_FROM_S
    return Reason(DWELL, fact.text, fact.subject) if stays else None


_RULES: tuple[Callable[[Fact], Reason | None], ...] = (_presence, _posture, _clothing, _weapon, _dwell)


def _weapon_reason(fact: Fact) -> Reason:
    word, severity = fact.value.split()
    points = (WEAPON_CONFIRMED if word == "confirmed" else WEAPON_CANDIDATE)[severity]
    return Reason(points, f"{fact.text} ({_sure(fact)})", fact.subject)


def _household_points(fact: Fact) -> int:
    return HOUSEHOLD.get(fact.value, 0)


def _of_the_scene(scene: Scene) -> list[Reason]:
    """What is true of the picture, whoever is in it."""
    points = {"violence": VIOLENCE, "tampering": TAMPERING, "scene_change": SCENE_CHANGED}
    told = [fact for fact in scene.facts if fact.subject is None and fact.kind in points and _counts(fact)]
    # What was measured has no confidence, and nobody stated it either.
    return [Reason(points[f.kind], f.text if f.confidence is None else f"{f.text} ({_sure(f)})") for f in told]


def _counts(fact: Fact) -> bool:
    if fact.kind != "violence":
        return True
    return fact.value != "none" and (fact.confidence or 0.0) >= VIOLENCE_FROM


def _company(scene: Scene, known: Collection[str | None]) -> list[Reason]:
    strangers = [subject for subject in scene.subjects("person") if subject not in known]
    if len(strangers) < 2:
        return []
    return [Reason(min(COMPANY * (len(strangers) - 1), COMPANY_AT_MOST), f"{len(strangers)} people together")]


def _summary(scene: Scene) -> str:
    counted = Counter(fact.text.removesuffix(" in view") for fact in scene.facts if fact.kind == "presence")
    if not counted:
        return "Nobody and nothing of interest is in view."
    things = [_count(name, number) for name, number in counted.most_common()]
    postures = Counter(fact.value.replace("_", " ") for fact in scene.facts if fact.kind == "posture")
    said = f"{_join(things)} in view"
    noted = [f"{number} {word}" for word, number in postures.items() if word.replace(" ", "_") in POSTURE]
    weapons = [fact.text for fact in scene.facts if fact.kind == "weapon"]
    details = [*([f"weapon: {weapons[0]}"] if weapons else []), *noted]
    return f"{said[0].upper()}{said[1:]}{'; ' + ', '.join(details) if details else ''}."


def _reasoning(score: int, reasons: list[Reason], scene: Scene) -> str:
    why = "; ".join(str(reason) for reason in reasons) or "no rule applies"
    clock = "" if scene.when is not None else " The time is not known, so night adds nothing."
    return f"{level_of(score).capitalize()} ({score} of 100) by {VERSION}: {why}.{clock}"


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
