"""What the models on demand found, as a section of a prompt; its headings and words are documented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hearthwatch.models import PoseResult, ThreatResult
from hearthwatch.models.action_recognizer import SHOWN
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.prompt.quoting import Inert, inert, named
from hearthwatch.prompt.rendering import render

#: Where our own types say nothing, which the documented dictionaries never do.
_NOT_TOLD = "not told"


def format_ondemand_enrichment_context(enrichment: Mapping[str, Any] | EnrichmentResult) -> str:
    """The sections about one detection, or about all of a batch; empty where there is nothing to say.

    Args:
        enrichment: the documented dictionary of one detection (`threat`, `pose`, `demographics`, `action`,
            `reid_match`, each optional or None), the answer of `/enrich` or of `enrich_detection`; or a result, whose
            detections each have a line with their id before their sections, and weapons at nobody one of their own.

    Raises:
        KeyError, TypeError, ValueError: a part that is not as documented.
    """
    if not isinstance(enrichment, EnrichmentResult):
        return _sections(enrichment)
    # Every person's answer has the weapons that are at nobody.
    loose = next((result.elsewhere for result in enrichment.threat_results.values() if result.elsewhere), ())
    told = {"At nobody": _sections({"threat": ThreatResult(loose).to_wire()})}
    told |= {f"Detection {named(key)}": _sections(_parts(enrichment, key)) for key in _keys(enrichment)}
    return "\n\n".join(f"**{whose}**\n\n{sections}" for whose, sections in told.items() if sections)


def _sections(told: Mapping[str, Any]) -> str:
    return render(
        "ondemand.j2",
        threat=_threat(told.get("threat") or {}),
        poses=[_pose(pose) for pose in (told.get("pose") or {}).get("poses") or ()],
        demographics=_demographics(told.get("demographics")),
        action=_action(told.get("action")),
        match=_match(told.get("reid_match")),
    ).strip()


def _threat(told: Mapping[str, Any]) -> dict[str, Any] | None:
    if not told.get("threats_detected"):
        return None
    highest = told["highest_threat"]
    return {
        "type": highest["type"].upper(),
        "confidence": _percent(highest["confidence"]),
        "location": _numbers(highest["bbox"]),
    }


def _pose(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"posture": told.get("posture", "unknown"), "confidence": _percent(told.get("confidence", 0))}


def _demographics(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    # A face that nobody looked at, for which `/demographics` answers with nulls and their reasons.
    if not told or (told["age_group"] is None and told["gender"] is None):
        return None
    return {
        "age_group": told["age_group"] or _NOT_TOLD,
        "gender": told["gender"] or _NOT_TOLD,
        "confidence": _percent(told["confidence"]),
    }


def _action(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not told:
        return None
    # The answer of `/action-classify` has all thirteen in order, the documented dictionary the likeliest three.
    others = Inert(", ".join(map(inert, list(told["all_scores"])[:SHOWN])))
    return {"action": told["top_action"], "confidence": _percent(told["confidence"]), "others": others}


def _match(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not told:
        return None
    return {
        "identity": told["identity"],
        "similarity": _percent(told["similarity"]),
        "sightings": int(told["sighting_count"]),
    }


def _percent(share: float | None) -> str:
    return _NOT_TOLD if share is None else f"{share:.0%}"


def _numbers(box: Any) -> Any:
    """A box as it is written in Python, if it is one: its brackets are ours then."""
    is_box = isinstance(box, list | tuple) and all(isinstance(value, int | float) for value in box)
    return Inert(list(box)) if is_box else str(box)


def _keys(known: EnrichmentResult) -> Iterable[str]:
    """Of the detections that anything here is about, in the order of the persons' poses and threats."""
    named_in: tuple[Mapping[str, Any], ...] = (
        known.threat_results,
        known.pose_results,
        known.demographics_results,
        known.action_results or {},
        known.person_reid_matches,
        known.vehicle_reid_matches,
    )
    return dict.fromkeys(key for part in named_in for key in part)


def _parts(known: EnrichmentResult, key: str) -> dict[str, Any]:
    """One detection's part of a result as the documented dictionary."""
    threat, pose = known.threat_results.get(key), known.pose_results.get(key)
    face, action = known.demographics_results.get(key), (known.action_results or {}).get(key)
    matches = known.person_reid_matches.get(key) or known.vehicle_reid_matches.get(key)
    return {
        "threat": threat and threat.to_wire(),
        "pose": pose and {"poses": [_posed(pose)]},
        "demographics": face and face.to_dict(),
        "action": action and action.to_dict(),
        "reid_match": matches and matches[0].to_wire(),
    }


def _posed(pose: PoseResult) -> dict[str, Any]:
    posture = "arms_raised" if "arms_raised" in pose.alerts else pose.posture
    return {"posture": posture, "confidence": pose.confidence}
