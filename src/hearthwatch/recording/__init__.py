"""Assessed events on disk, to be judged again: by another prompt, another language model, other rules."""

from hearthwatch.recording.comparison import Change, Comparison, compare
from hearthwatch.recording.event import RecordedEvent, record
from hearthwatch.recording.lines import EVENTS, Unreadable, from_line, read_events, spelled, to_line

__all__ = [
    "EVENTS",
    "Change",
    "Comparison",
    "RecordedEvent",
    "Unreadable",
    "compare",
    "from_line",
    "read_events",
    "record",
    "spelled",
    "to_line",
]
