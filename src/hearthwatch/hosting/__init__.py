"""Models in memory."""

from hearthwatch.hosting.local import LocalRunner
from hearthwatch.hosting.manager import OnDemandModelManager
from hearthwatch.hosting.memory import Memory, memory_for
from hearthwatch.hosting.observer import Observer, Unobserved
from hearthwatch.hosting.spec import Cost, ModelPriority, ModelSpec
from hearthwatch.hosting.status import ModelState, ModelStatus

__all__ = [
    "Cost",
    "LocalRunner",
    "Memory",
    "ModelPriority",
    "ModelSpec",
    "ModelState",
    "ModelStatus",
    "Observer",
    "OnDemandModelManager",
    "Unobserved",
    "memory_for",
]
