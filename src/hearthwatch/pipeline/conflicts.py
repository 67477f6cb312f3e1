"""Findings that contradict each other: `resolve` lists what each said and which of them holds.

Evidence is left as it was. A ruling stands beside it, so that whoever reads a result can follow it or not. The rules
are in `conflict_rules`, the table with its reasons in docs/decisions/0016-conflicts.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from hearthwatch.pipeline.conflict import Conflict
from hearthwatch.pipeline.conflict_rules import RULES, Seen
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.results import EnrichmentResult


def resolve(
    detections: Sequence[DetectionInput],
    result: EnrichmentResult,
    pictures: Mapping[str, Hashable] | None = None,
) -> list[Conflict]:
    """The conflicts of a batch, in order of detection, rule and other detection; the order of what is given is nothing.

    Args:
        detections: boxes in picture pixels.
        result: what is known about them; it is not changed.
        pictures: a name of each detection's picture by id, for batches of several; None tells them apart by camera,
            time and `source_size`.
    """
    names = {d.id: (d.camera, d.time, d.source_size) if pictures is None else pictures.get(d.id) for d in detections}
    seen = Seen(tuple(sorted(detections, key=lambda detection: detection.id)), result, names)
    found = [conflict for rule in RULES.values() for conflict in rule(seen)]
    return sorted(found, key=lambda conflict: (conflict.detection_id, conflict.rule, conflict.other_id or ""))
