"""Actions that a camera at a house may see, which of them are suspicious, and how much each may weigh in a risk.

The names are data of the documents, word for word: twelve, and loitering. The flags and weights are record "actions-1"
(docs/decisions/0013-actions.md); a change of one raises the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ACTIONS_VERSION = "actions-1"


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        name: the sentence that clips are compared with.
        is_suspicious: whether an ordinary visitor rarely does it.
        risk_weight: 0..1: how much it says of a risk where it is certain; 1 is an attempt to get in.
    """

    name: str
    is_suspicious: bool
    risk_weight: float


ACTIONS: tuple[Action, ...] = (
    Action("person walking normally", False, 0.0),
    Action("person running", False, 0.3),
    Action("person sneaking or creeping", True, 0.7),
    Action("person climbing over fence", True, 0.8),
    Action("person breaking window", True, 1.0),
    Action("person picking lock", True, 1.0),
    Action("person looking through window", True, 0.6),
    Action("person hiding", True, 0.7),
    Action("person fighting", True, 0.9),
    Action("person falling down", False, 0.4),
    Action("person carrying heavy object", False, 0.2),
    Action("person using tool on door", True, 0.9),
    Action("person loitering", True, 0.5),
)
_BY_NAME: Mapping[str, Action] = MappingProxyType({action.name: action for action in ACTIONS})


def action_of(label: str) -> Action | None:
    """The action of that name, without regard to case and to space around it; None for a label of somebody's own."""
    return _BY_NAME.get(label.strip().lower())
