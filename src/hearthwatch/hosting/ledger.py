"""`Ledger`: who holds how much of the memory budget, and who has to leave for a newcomer. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hearthwatch.hosting.spec import ModelPriority


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that holds memory.

    Attributes:
        name: the canonical name.
        charge: bytes that the ledger holds for it.
        priority: who leaves last.
        last_used: the least recently used of equals leaves first.
        idle: it is loaded and nobody uses it, so that it can leave now.
    """

    name: str
    charge: int
    priority: ModelPriority
    last_used: float
    idle: bool


class Ledger:
    """Charges against one budget; their sum never exceeds it.

    Args:
        budget_bytes: of all models together.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._charges: dict[str, int] = {}
        self.budget = budget_bytes

    @property
    def charges(self) -> Mapping[str, int]:
        """Bytes by model."""
        return MappingProxyType(self._charges)

    @property
    def charged(self) -> int:
        """Bytes held in all."""
        return sum(self._charges.values())

    @property
    def room(self) -> int:
        """Bytes that nobody holds."""
        return self.budget - self.charged

    def reserve(self, name: str, size: int) -> None:
        """Hold `size` bytes for a model that is about to load.

        Raises:
            ValueError: it holds some already, or there is no room.
        """
        if name in self._charges or size > self.room:
            raise ValueError(f"no room for {size} bytes of {name} beside {self._charges} in {self.budget}")
        self._charges[name] = size

    def settle(self, name: str, size: int) -> None:
        """The load ended: keep `size` of what was reserved, never more."""
        self._charges[name] = min(size, self._charges[name])

    def release(self, name: str) -> int:
        """Hold nothing more for the model; the bytes that it held."""
        return self._charges.pop(name, 0)

    def plan_eviction(self, needed: int, candidates: Iterable[Candidate]) -> tuple[str, ...] | None:
        """Who has to leave so that `needed` bytes are free: LOW first, then the least recently used.

        A CRITICAL model leaves only together with, or after, everything that is lower.

        Args:
            needed: bytes.
            candidates: the models that may be made to leave now or, where they are not idle, later.

        Returns:
            Names in the order of leaving; empty where there is room; None where the idle ones are not enough, or where
            a CRITICAL one would have to go before a lower one that only has to finish.
        """
        missing = needed - self.room
        if missing <= 0:
            return ()
        rows = list(candidates)
        victims = _enough(missing, in_order(rows))
        if victims is None:
            return None
        if not any(victim.priority is ModelPriority.CRITICAL for victim in victims):
            return tuple(victim.name for victim in _needed(missing, victims))
        return None if _lower_in_use(rows) else tuple(victim.name for victim in victims)


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The idle ones in the order of leaving."""
    return sorted((row for row in candidates if row.idle), key=lambda row: (-row.priority, row.last_used))


def may_leave(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The idle ones in the order of leaving, but for CRITICAL ones while a lower one is there in use."""
    rows = list(candidates)
    order = in_order(rows)
    return [row for row in order if row.priority is not ModelPriority.CRITICAL or not _lower_in_use(rows)]


def _lower_in_use(candidates: Iterable[Candidate]) -> bool:
    return any(not row.idle and row.priority is not ModelPriority.CRITICAL for row in candidates)


def _enough(missing: int, order: Sequence[Candidate]) -> list[Candidate] | None:
    victims = []
    for row in order:
        victims.append(row)
        missing -= row.charge
        if missing <= 0:
            return victims
    return None


def _needed(missing: int, victims: Sequence[Candidate]) -> list[Candidate]:
    """Spare who would leave in vain, because one that has to leave anyway is large enough; the most valuable first."""
    spare = sum(victim.charge for victim in victims) - missing
    kept = []
    for victim in reversed(victims):
        if victim.charge <= spare:
            spare -= victim.charge
        else:
            kept.append(victim)
    return kept[::-1]
