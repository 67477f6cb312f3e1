"""Repeats: which failures, how often, how long between, and who says so; nothing here really waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.client.retries import Retries, RetryBudget, RetryPolicy
from hearthwatch.errors import BadBox, HearthwatchError, ServiceFailed, ServiceOverloaded

POLICY = RetryPolicy()


def failure(retry_after_s: float | None = None) -> ServiceFailed:
    error = ServiceFailed("no")
    error.retry_after_s = retry_after_s
    return error


class Scene:
    """Attempts that end as written, with a clock that sleeping moves."""

    def __init__(
        self,
        ends: Sequence[HearthwatchError | None],
        *,
        policy: RetryPolicy = POLICY,
        chance: float = 0.5,
        budget: RetryBudget | None = None,
    ) -> None:
        self.ends = list(ends)
        self.waits: list[float] = []
        self.attempts = self.repeats = 0
        self.retries = Retries(
            policy,
            lambda error: isinstance(error, ServiceFailed),
            budget=budget,
            sleep=self.sleep,
            chance=lambda: chance,
            clock=lambda: 100.0 + sum(self.waits),
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def attempt(self) -> str:
        self.attempts += 1
        end = self.ends.pop(0)
        if end is not None:
            raise end
        return "answer"

    def note(self) -> None:
        self.repeats += 1

    def run(self, deadline: float | None = None) -> str | HearthwatchError:
        try:
            return asyncio.run(self.retries.call(self.attempt, deadline=deadline, on_repeat=self.note))
        except HearthwatchError as error:
            return error


def test_an_answer_is_asked_for_once() -> None:
    scene = Scene([None])
    assert (scene.run(), scene.attempts, scene.waits, scene.repeats) == ("answer", 1, [], 0)


def test_three_attempts_in_all_one_and_two_seconds_apart() -> None:
    last = failure()
    scene = Scene([failure(), failure(), last, None])
    assert scene.run() is last
    assert (scene.attempts, scene.waits, scene.repeats) == (3, [1.0, 2.0], 2)


def test_what_does_not_pass_is_not_repeated() -> None:
    error = BadBox("inverted")
    scene = Scene([error, None])
    assert scene.run() is error
    assert scene.waits == []


def test_who_is_cancelled_is_not_asked_again() -> None:
    async def attempt() -> str:
        raise asyncio.CancelledError

    scene = Scene([])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scene.retries.call(attempt))
    assert scene.waits == []


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_twice_the_one_before_within_a_tenth_and_never_above_thirty(repeat: int, chance: float) -> None:
    plain, wait = min(2.0 ** min(repeat - 1, 10), 1e3), POLICY.wait_s(repeat, chance)
    assert wait <= POLICY.max_wait_s
    assert wait == POLICY.max_wait_s or abs(wait / plain - 1) <= POLICY.jitter + 1e-9


@given(st.lists(st.none() | st.floats(0, 30), min_size=1, max_size=6), st.integers(1, 6))
@settings(deadline=None, max_examples=50)
def test_what_the_other_side_asks_for_counts_instead(asked: list[float | None], attempts: int) -> None:
    policy = RetryPolicy(attempts=attempts)
    scene = Scene([*map(failure, asked), None], policy=policy)
    answer = scene.run()
    repeats = min(len(asked), attempts - 1)
    assert scene.repeats == len(scene.waits) == repeats
    assert (answer == "answer") is (len(asked) < attempts)
    for number, (wait, wish) in enumerate(zip(scene.waits, asked, strict=False), start=1):
        assert wait == (policy.wait_s(number, 0.5) if wish is None else wish)


def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    error = failure(31.0)
    scene = Scene([error, None])
    assert scene.run() is error
    assert (scene.waits, error.retry_after_s) == ([], 31.0)


@given(st.floats(0, 10), st.integers(2, 6))
@settings(deadline=None, max_examples=50)
def test_no_wait_goes_beyond_the_deadline(seconds: float, attempts: int) -> None:
    scene = Scene([failure() for _ in range(attempts)], policy=RetryPolicy(attempts=attempts))
    assert isinstance(scene.run(deadline=100.0 + seconds), ServiceFailed)
    assert sum(scene.waits) < seconds or not scene.waits


def test_a_service_that_only_fails_is_soon_asked_no_more_than_once() -> None:
    budget = RetryBudget(most=10, gain=0.2)
    attempts = []
    for _ in range(20):
        scene = Scene([failure(), failure(), failure()], budget=budget)
        scene.run()
        attempts.append(scene.attempts)
    assert attempts == [3] * 5 + [1] * 15
    for _ in range(5):  # answers earn repeats
        Scene([None], budget=budget).run()
    scene = Scene([failure(), None], budget=budget)
    assert scene.run() == "answer"


@given(st.lists(st.booleans(), max_size=200))
@settings(deadline=None, max_examples=25)
def test_repeats_are_never_more_than_the_budget_and_what_was_earned(story: list[bool]) -> None:
    budget, repeats, answers = RetryBudget(most=4, gain=0.25), 0, 0
    for fails in story:
        if fails and budget.allows:
            budget.take()
            repeats += 1
        elif not fails:
            budget.earn()
            answers += 1
        assert repeats <= 4 + answers * 0.25


def test_an_error_that_says_when_is_an_error_all_the_same() -> None:
    error = ServiceOverloaded("full")
    error.retry_after_s = 2.0
    scene = Scene([error, None])
    assert scene.run() is error, "whether a failure may pass is for the caller to say, and not for its header"
