"""Builds take turns, and one that hangs does not keep the others waiting for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

from builds import PATIENCE_S
from hearthwatch.runtimes.build_turn import Turn


def start(turn: Turn, work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=turn.take, args=(work,), daemon=True)
    thread.start()
    return thread


def holding(began: threading.Event, go_on: threading.Event) -> Callable[[], None]:
    def work() -> None:
        began.set()
        go_on.wait(PATIENCE_S)

    return work


def test_one_works_at_a_time_and_each_comes_to_its_turn() -> None:
    turn, busy, most = Turn(), [0], [0]

    def work() -> None:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        threading.Event().wait(0.002)
        busy[0] -= 1

    threads = [start(turn, work) for _ in range(8)]
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert most == [1]


def test_a_failure_ends_the_turn() -> None:
    turn, done = Turn(), threading.Event()
    failed = threading.Event()

    def fail() -> None:
        try:
            turn.take(lambda: 1 / 0)
        except ZeroDivisionError:
            failed.set()

    threading.Thread(target=fail).start()
    assert failed.wait(PATIENCE_S)
    start(turn, done.set)
    assert done.wait(PATIENCE_S)


def test_who_hangs_loses_the_turn_and_cannot_end_another_s() -> None:
    now = [0.0]
    turn = Turn(limit_s=100.0, clock=lambda: now[0])
    began, go_on = threading.Event(), threading.Event()
    hung = start(turn, holding(began, go_on))
    assert began.wait(PATIENCE_S)
    second_began, second_goes_on = threading.Event(), threading.Event()
    start(turn, holding(second_began, second_goes_on))
    now[0] = 99.0
    assert not second_began.wait(0.3)
    now[0] = 100.0
    assert second_began.wait(PATIENCE_S)
    go_on.set()
    hung.join(PATIENCE_S)
    third = threading.Event()
    start(turn, third.set)
    assert not third.wait(0.3), "the one that hung gave back a turn that was not its own"
    second_goes_on.set()
    assert third.wait(PATIENCE_S)
