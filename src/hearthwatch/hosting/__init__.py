"""Models in memory."""

from hearthwatch.hosting.local import LocalRunner
from hearthwatch.hosting.manager import OnDemandModelManager
from hearthwatch.hosting.memory import Memory, memory_for
from hearthwatch.hosting.observer import Observer, Unobserved
from hearthwatch.hosting.probe import Probe
from hearthwatch.hosting.rows import ModelRow
from hearthwatch.hosting.spec import Cost, ModelPriority, ModelSpec
from hearthwatch.hosting.status import ModelState, ModelStatus

__all__ = [
    "Cost",
    "LocalRunner",
    "Memory",
    "ModelPriority",
    "ModelRow",
    "ModelSpec",
    "ModelState",
    "ModelStatus",
    "Observer",
    "OnDemandModelManager",
    "Probe",
    "Unobserved",
    "memory_for",
]
