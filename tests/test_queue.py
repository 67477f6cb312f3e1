"""The queue in front of the workers: who is taken next, who is refused, and who is never taken."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.errors import Draining, QueueFull
from hearthwatch.hosting.queue import MAX_URGENT_IN_A_ROW, Work, WorkQueue
from hearthwatch.hosting.workers import Workers
from toy import Clock


def put(
    queue: WorkQueue[str], model: str, task: str = "", *, slots: int = 8, max_batch: int = 1, **enter: object
) -> Work[str]:
    work = queue.enter(model, **enter)  # type: ignore[arg-type]
    queue.ready(work, task or model, slots=slots, max_batch=max_batch)
    return work


def take(queue: WorkQueue[str]) -> list[str]:
    """The tasks of the next batch; it stays running."""
    return [work.task for work in queue.take(timeout=0)]


def take_all(queue: WorkQueue[str]) -> list[str]:
    """Every task in the order in which one worker would answer them."""
    order: list[str] = []
    while batch := queue.take(timeout=0):
        order += [work.task for work in batch]
        queue.done(batch)
    return order


# -------------------------------------------------------------------------------------------------------------- order


def test_calls_of_one_model_are_taken_in_the_order_in_which_they_came() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for task in ("1", "2", "3"):
        put(queue, "a", task)
    assert take_all(queue) == ["1", "2", "3"]


def test_models_take_turns_however_many_calls_one_of_them_has() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for model in ("a", "a", "a", "a", "b", "b", "c"):
        put(queue, model)
    assert take_all(queue) == ["a", "b", "c", "a", "b", "a", "a"]


def test_a_model_that_came_back_stands_behind_those_that_waited() -> None:
    queue: WorkQueue[str] = WorkQueue()
    put(queue, "a")
    put(queue, "b")
    assert take(queue) == ["a"]
    put(queue, "a")
    assert take_all(queue) == ["b", "a"]


def test_an_urgent_model_is_taken_before_all_others() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for model in ("a", "b", "weapons"):
        put(queue, model, urgent=model == "weapons")
    assert take_all(queue) == ["weapons", "a", "b"]


def test_nobody_starves_behind_an_urgent_model() -> None:
    queue: WorkQueue[str] = WorkQueue()
    put(queue, "a")
    for _ in range(3 * MAX_URGENT_IN_A_ROW):
        put(queue, "weapons", urgent=True)
    assert take_all(queue).index("a") == MAX_URGENT_IN_A_ROW


def test_a_model_runs_in_no_more_workers_than_its_slots() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for task in ("1", "2", "3"):
        put(queue, "large", task, slots=1)
    put(queue, "small", slots=2)
    put(queue, "small", slots=2)
    running = queue.take(timeout=0)
    assert [work.task for work in running] == ["1"]
    assert [take(queue), take(queue), take(queue)] == [["small"], ["small"], []]
    queue.done(running)
    assert take(queue) == ["2"]


# ------------------------------------------------------------------------------------------------------------- limits


def test_a_full_queue_refuses_with_its_limit_and_other_models_do_not_notice() -> None:
    queue: WorkQueue[str] = WorkQueue(limit=2)
    for _ in range(2):
        queue.enter("a")
    with pytest.raises(QueueFull, match=r"2 calls wait for a; allowed 2"):
        queue.enter("a")
    put(queue, "b")
    assert take(queue) == ["b"]


def test_calls_that_wait_for_a_load_count_and_those_that_run_do_not() -> None:
    queue: WorkQueue[str] = WorkQueue(limit=1)
    loading = queue.enter("a")
    with pytest.raises(QueueFull):
        queue.enter("a")
    queue.ready(loading, "1")
    assert take(queue) == ["1"]
    put(queue, "a", "2")
    assert queue.waiting("a") == 1


def test_who_comes_back_after_a_failure_has_a_place_in_a_full_queue() -> None:
    queue: WorkQueue[str] = WorkQueue(limit=1)
    put(queue, "a", "1")
    put(queue, "a", "2", again=True)
    assert take_all(queue) == ["1", "2"]


def test_a_refusal_says_when_the_queue_should_have_moved() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(limit=4, clock=clock)
    put(queue, "a", slots=2)
    running = queue.take(timeout=0)
    clock.now += 3.0
    queue.done(running)
    for _ in range(4):
        put(queue, "a", slots=2)
    with pytest.raises(QueueFull) as refused:
        queue.enter("a")
    # Four calls of three seconds in two workers.
    assert refused.value.retry_after_s == pytest.approx(6.0)


def test_a_refusal_says_a_second_where_nothing_was_measured() -> None:
    queue: WorkQueue[str] = WorkQueue(limit=1)
    queue.enter("a")
    with pytest.raises(QueueFull) as refused:
        queue.enter("a")
    assert refused.value.retry_after_s == 1.0


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit of 0"):
        WorkQueue(limit=0)


# --------------------------------------------------------------------------------------------------------- who leaves


def test_who_left_is_never_taken_and_makes_room() -> None:
    queue: WorkQueue[str] = WorkQueue(limit=2)
    first, _second = put(queue, "a", "1"), put(queue, "a", "2")
    assert queue.leave(first)
    put(queue, "a", "3")
    assert take_all(queue) == ["2", "3"]


def test_who_left_while_the_model_loaded_is_never_taken() -> None:
    queue: WorkQueue[str] = WorkQueue()
    work = queue.enter("a")
    assert queue.leave(work)
    queue.ready(work, "1")
    assert take(queue) == []


def test_who_leaves_while_a_worker_has_his_call_is_told_so_and_the_worker_can_see_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    work = put(queue, "a")
    batch = queue.take(timeout=0)
    assert not work.cancelled
    assert not queue.leave(work)
    assert batch[0].cancelled


def test_a_call_whose_deadline_has_passed_is_not_taken_and_counts_no_more() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(limit=2, clock=clock)
    late = put(queue, "a", "late", deadline=clock.now + 1)
    put(queue, "a", "in time", deadline=clock.now + 9)
    clock.now += 1
    assert take_all(queue) == ["in time"]
    assert late.cancelled
    assert queue.leave(late)
    assert queue.waiting("a") == 0


# ------------------------------------------------------------------------------------------------------------ batches


def test_a_free_worker_takes_all_that_wait_of_one_model_up_to_its_batch() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for task in ("1", "2", "3", "4", "5"):
        put(queue, "a", task, batch="alike", max_batch=3)
    assert [take(queue), take(queue), take(queue)] == [["1", "2", "3"], ["4", "5"], []]


def test_calls_that_are_not_alike_are_not_taken_together() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for task, batch in (("1", None), ("2", "x"), ("3", "y"), ("4", "x"), ("5", None)):
        put(queue, "a", task, batch=batch, max_batch=8)
    assert [take(queue) for _ in range(5)] == [["1"], ["2", "4"], ["3"], ["5"], []]


def test_a_batch_of_one_is_the_default() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for task in ("1", "2"):
        put(queue, "a", task, batch="alike")
    assert [take(queue), take(queue)] == [["1"], ["2"]]


# ------------------------------------------------------------------------------------------------------------ the end


def test_a_draining_queue_refuses_new_calls_and_answers_those_that_wait() -> None:
    queue: WorkQueue[str] = WorkQueue()
    put(queue, "a", "1")
    queue.drain()
    with pytest.raises(Draining, match="no new work for a"):
        queue.enter("a")
    assert take_all(queue) == ["1"]


def test_a_closed_queue_lets_its_workers_go_once_it_is_empty() -> None:
    queue: WorkQueue[str] = WorkQueue()
    answered: list[str] = []
    workers = Workers(queue, lambda batch: answered.extend(work.task for work in batch), 2)
    for task in ("1", "2", "3"):
        put(queue, "a", task)
    queue.close()
    workers.start()
    workers.join()
    assert sorted(answered) == ["1", "2", "3"]


def test_workers_run_at_the_same_time_and_outlive_a_call_that_breaks(caplog: pytest.LogCaptureFixture) -> None:
    queue: WorkQueue[str] = WorkQueue()
    together = threading.Barrier(2)

    def answer(batch: list[Work[str]]) -> None:
        if batch[0].task == "breaks":
            raise OSError("broken")
        together.wait(timeout=60)

    workers = Workers(queue, answer, 2)
    workers.start()
    for task in ("breaks", "1", "2"):
        put(queue, "a", task)
    queue.close()
    workers.join()
    assert not together.broken
    assert "worker failed model=a calls=1" in caplog.text


def test_no_worker_is_no_way_to_answer() -> None:
    with pytest.raises(ValueError, match="got 0"):
        Workers(WorkQueue[str](), lambda _batch: None, 0)


# --------------------------------------------------------------------------------------------------------- everything


class Play:
    """Callers and workers who do what they are told, and remember it."""

    def __init__(self) -> None:
        self.queue: WorkQueue[str] = WorkQueue(limit=4)
        self.came: list[Work[str]] = []
        self.left: list[Work[str]] = []
        self.taken: list[Work[str]] = []
        self.running: list[list[Work[str]]] = []

    def put(self, model: str) -> None:
        try:
            self.came.append(put(self.queue, model, slots=2, batch="alike", max_batch=2, urgent=model == "c"))
        except QueueFull:
            assert self.queue.waiting(model) == 4

    def leave(self, model: str) -> None:
        waiting = [work for work in self.came if work.model == model and not work.taken and not work.cancelled]
        for work in waiting[-1:]:
            assert self.queue.leave(work)
            self.left.append(work)

    def take(self, _model: str) -> None:
        if batch := self.queue.take(timeout=0):
            self.taken += batch
            self.running.append(batch)
            assert sum(other[0].model == batch[0].model for other in self.running) <= 2

    def done(self, _model: str) -> None:
        if self.running:
            self.queue.done(self.running.pop(0))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "leave", "take", "done"])), max_size=60))
def test_every_call_is_taken_once_or_left_and_no_slot_is_exceeded(steps: list[tuple[str, str]]) -> None:
    play = Play()
    for model, action in steps:
        getattr(play, action)(model)
    while play.running or any(play.queue.waiting(model) for model in "abc"):
        play.take("")
        play.done("")
    ended = [*play.taken, *play.left]
    assert len(ended) == len(play.came)
    assert {id(work) for work in ended} == {id(work) for work in play.came}
