"""When a call is repeated, and after how long.

tenacity runs the loop; what it asks is here. A failure that may pass is repeated after 1, 2, 4 … seconds, each with
some jitter so that many callers do not come back at the same moment. A `Retry-After` of the other side counts instead:
it is neither shortened nor stretched. Where waiting so long makes no sense (longer than `max_wait_s`, beyond the
caller's deadline) the failure is told at once.

The budget keeps a failing service from being asked three times as often as a healthy one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from hearthwatch.errors import HearthwatchError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long between.

    Attributes:
        attempts: in all, the first one included.
        first_wait_s: seconds before the second attempt; each further wait is twice the one before.
        max_wait_s: no wait is longer.
        jitter: share of a computed wait that it is made longer or shorter by, at most.
    """

    attempts: int = 3
    first_wait_s: float = 1.0
    max_wait_s: float = 30.0
    jitter: float = 0.1

    def wait_s(self, repeat: int, chance: float) -> float:
        """Seconds before a repeat.

        Args:
            repeat: counted from 1.
            chance: 0..1; 0.5 is the wait without jitter.
        """
        # Beyond 2^64 the exponent alone says that it is too long, and a float could not hold it for ever.
        plain = self.first_wait_s * 2.0 ** min(repeat - 1, 64)
        return min(plain * (1 + self.jitter * (2 * chance - 1)), self.max_wait_s)


class RetryBudget:
    """How many repeats one service may still be asked for.

    Each repeat takes one; each answer gives a share of one back. Where all goes well it is never felt; where nothing
    does, repeats end after `most` of them.

    Args:
        most: repeats that can be saved up, and that there are at first.
        gain: what an answer gives back.
    """

    def __init__(self, most: float = 10.0, gain: float = 0.2) -> None:
        self._most = most
        self._gain = gain
        self._left = most

    @property
    def allows(self) -> bool:
        """Whether there is a repeat left."""
        return self._left >= 1.0

    def take(self) -> None:
        """A repeat is made."""
        self._left -= 1.0

    def earn(self) -> None:
        """An answer came."""
        self._left = min(self._left + self._gain, self._most)


class Retries:
    """Makes calls, again where that may help.

    Args:
        policy: how often, and how long between.
        may_help: whether a failure may pass by itself.
        budget: shared by all that is asked of one service.
        sleep: waits for some seconds.
        chance: 0..1, evenly.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        may_help: Callable[[BaseException], bool],
        *,
        budget: RetryBudget | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._may_help = may_help
        self._budget = budget or RetryBudget()
        self._sleep = sleep
        self._chance = chance
        self._clock = clock

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        deadline: float | None = None,
        on_repeat: Callable[[], None] = lambda: None,
    ) -> T:
        """What an attempt gives, the first or a later one.

        Args:
            attempt: makes one.
            deadline: seconds of the clock; no wait goes beyond it.
            on_repeat: called before each wait for another attempt.

        Raises:
            Exception: that of the last attempt.
        """

        def repeat(_state: RetryCallState) -> None:
            self._budget.take()
            on_repeat()

        attempts = AsyncRetrying(
            retry=retry_if_exception(self._may_help),
            wait=self._wait_s,
            stop=lambda state: self._is_enough(state, deadline),
            before_sleep=repeat,
            sleep=self._sleep,
            reraise=True,
        )
        answer: T = await attempts(attempt)
        self._budget.earn()
        return answer

    def _wait_s(self, state: RetryCallState) -> float:
        asked = _retry_after_s(state)
        return self._policy.wait_s(state.attempt_number, self._chance()) if asked is None else asked

    def _is_enough(self, state: RetryCallState, deadline: float | None) -> bool:
        wait_s = state.upcoming_sleep
        return (
            state.attempt_number >= self._policy.attempts
            or wait_s > self._policy.max_wait_s
            or (deadline is not None and self._clock() + wait_s >= deadline)
            or not self._budget.allows
        )


def _retry_after_s(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.retry_after_s if isinstance(error, HearthwatchError) else None
