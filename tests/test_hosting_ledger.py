"""The arithmetic of the memory budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.hosting.ledger import Candidate, Ledger, may_leave
from hearthwatch.hosting.spec import ModelPriority

BUDGET = 100

candidate_lists = st.lists(
    st.builds(
        Candidate,
        name=st.uuids().map(str),
        charge=st.integers(0, 60),
        priority=st.sampled_from(ModelPriority),
        last_used=st.floats(0, 1000),
        idle=st.booleans(),
    ),
    max_size=8,
)


def filled(candidates: list[Candidate]) -> tuple[Ledger, list[Candidate]]:
    """A ledger with as many of them as fit."""
    ledger = Ledger(BUDGET)
    held = []
    for row in candidates:
        if row.charge <= ledger.room:
            ledger.reserve(row.name, row.charge)
            held.append(row)
    return ledger, held


def test_a_reservation_takes_room_and_a_release_gives_it_back() -> None:
    ledger = Ledger(BUDGET)
    ledger.reserve("a", 60)
    assert (ledger.room, ledger.charged, dict(ledger.charges)) == (40, 60, {"a": 60})
    assert ledger.release("a") == 60
    assert ledger.release("a") == 0
    assert ledger.room == BUDGET


def test_more_than_there_is_cannot_be_reserved_nor_can_anything_twice() -> None:
    ledger = Ledger(BUDGET)
    ledger.reserve("a", 60)
    for name, size in (("b", 41), ("a", 10)):
        with pytest.raises(ValueError, match=f"no room for {size} bytes of {name}"):
            ledger.reserve(name, size)
    assert dict(ledger.charges) == {"a": 60}


def test_after_a_load_a_model_keeps_its_resident_size_and_never_more_than_it_reserved() -> None:
    ledger = Ledger(BUDGET)
    ledger.reserve("a", 60)
    ledger.settle("a", 80)
    assert ledger.charged == 60
    ledger.settle("a", 20)
    assert ledger.charged == 20


@given(candidate_lists, st.integers(0, 2 * BUDGET))
def test_a_plan_is_of_idle_ones_and_makes_just_enough_room(candidates: list[Candidate], needed: int) -> None:
    ledger, held = filled(candidates)
    plan = ledger.plan_eviction(needed, held)
    if plan is None:
        return
    rows = {row.name: row for row in held}
    assert all(rows[name].idle for name in plan)
    freed = [rows[name].charge for name in plan]
    assert ledger.room + sum(freed) >= needed
    if not any(rows[name].priority is ModelPriority.CRITICAL for name in plan):
        assert all(ledger.room + sum(freed) - one < needed for one in freed)


@given(candidate_lists, st.integers(0, 2 * BUDGET))
def test_where_there_is_no_plan_the_idle_ones_are_not_enough_or_a_critical_one_would_go_too_early(
    candidates: list[Candidate], needed: int
) -> None:
    ledger, held = filled(candidates)
    if ledger.plan_eviction(needed, held) is not None:
        return
    idle = [row for row in held if row.idle]
    lower = [row for row in idle if row.priority is not ModelPriority.CRITICAL]
    enough = ledger.room + sum(row.charge for row in idle) >= needed
    without_critical = ledger.room + sum(row.charge for row in lower) >= needed
    in_use = any(not row.idle and row.priority is not ModelPriority.CRITICAL for row in held)
    assert not enough or (not without_critical and in_use)


@given(candidate_lists, st.integers(0, 2 * BUDGET))
def test_critical_ones_leave_only_with_everything_lower(candidates: list[Candidate], needed: int) -> None:
    ledger, held = filled(candidates)
    plan = ledger.plan_eviction(needed, held) or ()
    critical = {row.name for row in held if row.priority is ModelPriority.CRITICAL}
    if critical & set(plan):
        assert {row.name for row in held} - critical <= set(plan)


@given(candidate_lists, st.integers(0, 2 * BUDGET))
def test_a_plan_is_in_the_order_of_priority_then_of_last_use(candidates: list[Candidate], needed: int) -> None:
    ledger, held = filled(candidates)
    rows = {row.name: row for row in held}
    keys = [(-rows[name].priority, rows[name].last_used) for name in ledger.plan_eviction(needed, held) or ()]
    assert keys == sorted(keys)


@given(candidate_lists)
def test_a_critical_one_may_not_leave_while_a_lower_one_is_in_use(candidates: list[Candidate]) -> None:
    order = may_leave(candidates)
    assert all(row.idle for row in order)
    if any(not row.idle and row.priority is not ModelPriority.CRITICAL for row in candidates):
        assert all(row.priority is not ModelPriority.CRITICAL for row in order)
    else:
        assert len(order) == sum(row.idle for row in candidates)
