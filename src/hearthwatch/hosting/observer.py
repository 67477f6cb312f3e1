"""`Observer`: who counts what happens to models in memory."""

from __future__ import annotations

from typing import Literal, Protocol

from hearthwatch.hosting.spec import ModelPriority

UnloadReason = Literal["evicted", "idle", "asked", "failed"]


class Observer(Protocol):
    """Told of each load and unload, on the event loop; it must not block and must not raise."""

    def loaded(self, model: str, seconds: float, result: str) -> None:
        """A load ended. `result` is "ok" or the `code` of its error."""

    def unloaded(self, model: str, reason: UnloadReason, returned_bytes: int, shortfall_bytes: int) -> None:
        """A model left.

        Args:
            model: the canonical name.
            reason: "failed" where its unloader raised, whoever had asked.
            returned_bytes: that came back.
            shortfall_bytes: that it had taken and that did not come back.
        """

    def evicted(self, model: str, priority: ModelPriority) -> None:
        """A model left so that another one has room; `unloaded` tells it too."""


class Unobserved:
    """Counts nothing; a base for those who want to be told of one thing only."""

    def loaded(self, model: str, seconds: float, result: str) -> None:
        """As `Observer`."""

    def unloaded(self, model: str, reason: UnloadReason, returned_bytes: int, shortfall_bytes: int) -> None:
        """As `Observer`."""

    def evicted(self, model: str, priority: ModelPriority) -> None:
        """As `Observer`."""
