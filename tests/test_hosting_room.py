"""Room for a model: who leaves, who goes first, and when memory counts as free."""

from __future__ import annotations

import time

from hearthwatch.errors import LoadFailed, OutOfMemory
from hearthwatch.hosting.room import PASSES, PATIENCE_S, POLL_S, SETTLE_S
from hearthwatch.hosting.spec import MIB
from simulated import NewWorld

CRITICAL, HIGH, MEDIUM, LOW = 1, 2, 3, 4

# ---------------------------------------------------------------------------------------------------------- eviction


def test_nothing_leaves_where_there_is_room(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name in "ab":
        world.add(name)
    world.use("a", "b")
    assert world.loaded() == {"a", "b"}
    assert world.log.unloads == []


def test_the_lowest_leaves_first_and_the_critical_one_last(new_world: NewWorld) -> None:
    world = new_world(budget_mb=400)
    for name, priority in (("critical", CRITICAL), ("low", LOW), ("high", HIGH), ("medium", MEDIUM)):
        world.add(name, priority=priority)
    world.use("critical", "low", "high", "medium")
    for number in range(4):
        world.add(f"new {number}", priority=CRITICAL)
        world.ask(f"new {number}")
    assert world.log.evictions == [("low", LOW), ("medium", MEDIUM), ("high", HIGH), ("critical", CRITICAL)]


def test_among_equals_the_least_recently_used_leaves_first(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    for name in "abcd":
        world.add(name)
    world.use("a", "b", "c", "a")
    world.use("d")
    assert world.loaded() == {"a", "c", "d"}


def test_a_model_in_use_does_not_leave_and_the_newcomer_waits_for_its_end(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100)
    for name in "ab":
        world.add(name)
    user = world.ask("a")
    newcomer = world.ask("b")
    world.loop.advance(PATIENCE_S / 2)
    assert newcomer.waits
    assert user.holds
    assert world.log.unloads == []
    user.leave()
    assert newcomer.holds
    assert world.log.unloads == [("a", "evicted")]


def test_nothing_leaves_where_it_would_not_make_enough_room(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    world.add("idle")
    world.add("used", 200)
    world.add("new", 250)
    world.use("idle")
    user = world.ask("used")
    newcomer = world.ask("new")
    assert world.loaded() == {"idle", "used"}
    user.leave()
    assert newcomer.holds
    assert world.loaded() == {"new"}


def test_a_small_model_is_spared_where_a_large_one_has_to_leave_anyway(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    world.add("small", 50)
    world.add("large", 200)
    world.add("new", 250)
    world.use("small", "large")
    world.use("new")
    assert world.loaded() == {"small", "new"}


def test_the_critical_one_stays_while_a_lower_one_only_has_to_finish(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    world.add("critical", priority=CRITICAL)
    world.add("low", priority=LOW)
    world.add("new")
    world.use("critical")
    user = world.ask("low")
    newcomer = world.ask("new")
    assert newcomer.waits
    assert world.log.unloads == []
    user.leave()
    assert newcomer.holds
    assert world.loaded() == {"critical", "new"}


def test_a_model_that_always_stays_never_leaves_for_another_one(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    world.add("always", priority=LOW, always=True)
    world.add("critical", priority=CRITICAL)
    world.add("new", priority=LOW)
    world.use("always", "critical", "new")
    assert world.loaded() == {"always", "new"}


def test_a_model_leaves_for_another_and_comes_back_when_it_is_asked_for(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name in "abcde":
        world.add(name, priority=CRITICAL if name == "a" else MEDIUM)
    for _ in range(3):
        world.use("a", "b", "c", "d", "e")
    assert world.models["a"].loads == 1
    assert world.models["e"].loads == 3
    assert world.manager.status("b").evictions == 3
    assert world.manager.get_current_vram_usage() == 200


def test_who_leaves_only_after_a_long_use_is_not_waited_for_where_an_idle_one_can_leave(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name in ("idle", "used", "new"):
        world.add(name)
    world.use("idle")
    user = world.ask("used")
    asked = world.start(world.manager.unload_model("used"))
    assert world.ask("new").holds
    assert user.holds
    assert not asked.done()


def test_what_has_come_free_by_itself_makes_nobody_leave(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name in "abc":
        world.add(name)
    world.use("a", "b")
    world.hold("b", "unload")
    asked = world.start(world.manager.unload_model("b"))
    newcomer = world.ask("c")
    assert newcomer.waits
    world.finish("b", "unload")
    assert newcomer.holds
    assert asked.done()
    assert world.loaded() == {"a", "c"}


# -------------------------------------------------------------------------------------------------------------- order


def test_who_waits_for_room_goes_by_priority_then_by_arrival(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100)
    world.add("busy")
    for name, priority in (("low", LOW), ("medium 1", MEDIUM), ("medium 2", MEDIUM), ("critical", CRITICAL)):
        world.add(name, priority=priority)
    user = world.ask("busy")
    waiting = {name: world.ask(name) for name in ("low", "medium 1", "medium 2", "critical")}
    user.leave()
    for name in ("critical", "medium 1", "medium 2", "low"):
        assert [other for other, caller in waiting.items() if caller.holds] == [name]
        waiting.pop(name).leave()


def test_a_small_newcomer_does_not_take_the_room_that_a_large_one_waits_for(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    world.add("busy", 200)
    world.add("large", 300)
    world.add("small", 50)
    user = world.ask("busy")
    large, small = world.ask("large"), world.ask("small")
    assert small.waits
    user.leave()
    assert large.holds
    large.leave()
    assert small.holds


def test_nobody_starves_behind_higher_ones_that_keep_coming(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100)
    world.add("low", priority=LOW)
    for name in ("high 0", "high 1"):
        world.add(name, priority=HIGH)
    user = world.ask("high 0")
    low = world.ask("low")
    for turn in range(1, 4 * PASSES):
        following = world.ask(f"high {turn % 2}")
        user.leave()
        if low.holds:
            break
        user = following
    assert low.holds


def test_who_waits_for_a_model_that_is_never_idle_gets_its_room_in_the_end(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100)
    for name in ("busy", "new"):
        world.add(name)
    user = world.ask("busy")
    newcomer = world.ask("new")
    for _ in range(int(PATIENCE_S)):
        overlapping = world.ask("busy")
        user.leave()
        user = overlapping
        assert user.holds
        world.loop.advance(1)
    assert world.states()["busy"] == "draining"
    late = world.ask("busy")
    assert late.waits
    user.leave()
    assert newcomer.holds
    newcomer.leave()
    assert late.holds


def test_no_more_models_are_kept_from_others_than_make_the_room(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    for name in ("a", "b", "c", "new"):
        world.add(name)
    users = [world.ask(name) for name in "abc"]
    world.ask("new")
    world.loop.advance(PATIENCE_S + 5)
    world.ask("b").leave()
    world.loop.advance(5)
    assert world.states() == {"a": "draining", "b": "ready", "c": "ready", "new": "loading"}
    assert all(user.holds for user in users)


# ---------------------------------------------------------------------------------------------------- measured memory


def test_two_loads_do_not_count_the_same_free_memory(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000, capacity_mb=300)
    for name in "ab":
        world.add(name, 200, resident_mb=50, peak_mb=200, measured=True)
        world.hold(name)
    first, second = world.ask("a"), world.ask("b")
    assert world.at_work() == ["a"]
    world.finish("a")
    assert first.holds
    assert world.at_work() == ["b"]
    world.finish("b")
    assert second.holds


def test_what_a_load_will_still_take_is_not_free(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000, capacity_mb=300)
    for name in "ab":
        world.add(name, 200).slow_to_take = True
        world.hold(name)
    first = world.ask("a")
    second = world.ask("b")
    assert world.at_work() == ["a"]
    world.finish("a")
    first.leave()
    world.loop.advance(2)  # the first, now idle, leaves for the second
    assert world.at_work() == ["b"]
    world.finish("b")
    assert second.holds


def test_nobody_leaves_for_memory_that_only_a_load_under_way_may_still_take(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000, capacity_mb=350)
    world.add("idle")
    world.add("a", 200, resident_mb=50, peak_mb=200, measured=True)
    world.add("new", 150)
    world.use("idle")
    world.hold("a")
    world.ask("a")
    newcomer = world.ask("new")
    world.loop.advance(5)
    assert newcomer.waits
    world.finish("a")
    assert newcomer.holds
    assert world.loaded() == {"idle", "a", "new"}


def test_a_load_waits_until_memory_that_was_given_back_is_measured_free(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100)
    for name in "ab":
        world.add(name)
    world.models["a"].late_mb = 100
    world.use("a")
    newcomer = world.ask("b")
    world.loop.advance(SETTLE_S / 2)
    assert newcomer.waits
    world.memory.late = 0
    world.loop.advance(SETTLE_S / 2)
    assert newcomer.holds


def test_where_memory_does_not_come_back_more_idle_models_leave(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000, capacity_mb=300)
    for name in "abc":
        world.add(name)
    world.add("new", 150)
    world.use("a", "b", "c")
    world.models["a"].leak_mb = 100
    newcomer = world.ask("new")
    world.loop.advance(2)
    assert newcomer.holds
    assert [name for name, _ in world.log.evictions] == ["a", "b", "c"]


def test_on_a_full_device_they_leave_one_after_the_other_and_only_as_many_as_it_takes(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000, capacity_mb=300)
    for name in "abc":
        world.add(name)
        world.hold(name, "unload")
    world.add("new", 50)
    world.use("a", "b", "c")
    newcomer = world.ask("new")
    world.loop.advance(5)
    world.ask("c").leave()
    world.loop.advance(5)
    assert world.at_work("unload") == ["a"]
    assert world.states() == {"a": "draining", "b": "ready", "c": "ready", "new": "loading"}
    world.finish("a", "unload")
    assert newcomer.holds
    assert world.loaded() == {"b", "c", "new"}


def test_where_the_device_stays_full_the_load_fails_with_its_figures(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    model = world.add("a", 300)
    world.memory.elsewhere = 800 * MIB
    caller = world.ask("a")
    assert caller.waits
    world.loop.advance(SETTLE_S + 0.1)
    assert isinstance(caller.error, OutOfMemory)
    assert str(caller.error) == "a needs 300 MiB and the device has less free"
    assert caller.error.retry_after_s is not None
    assert model.loads == 0
    assert world.manager.get_current_vram_usage() == 0


def test_a_timer_that_rings_a_little_early_is_set_again(new_world: NewWorld) -> None:
    """Loops call timers up to their clock's resolution before their time; found by the machine of all events."""
    world = new_world(budget_mb=1000)
    world.add("a", 300)
    world.memory.elsewhere = 800 * MIB
    caller = world.ask("a")
    early = time.get_clock_info("monotonic").resolution / 2
    for _look in range(2 * round(SETTLE_S / POLL_S)):
        world.loop.advance(POLL_S - early)
    assert isinstance(caller.error, OutOfMemory)


def test_where_the_device_stays_full_the_smaller_loader_is_tried(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("a", 300, smaller=True)
    world.memory.elsewhere = 800 * MIB
    caller = world.ask("a")
    world.loop.advance(SETTLE_S + 0.1)
    assert caller.model is not None
    assert caller.model.how == "smaller"


def test_nobody_leaves_a_device_that_others_have_filled_in_vain(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("idle", 100)
    world.add("a", 300)
    world.use("idle")
    world.memory.elsewhere = 800 * MIB
    caller = world.ask("a")
    world.loop.advance(PATIENCE_S + 1)
    assert isinstance(caller.error, OutOfMemory)
    assert world.loaded() == {"idle"}


def test_a_device_that_cannot_be_read_is_a_load_that_failed(new_world: NewWorld) -> None:
    world = new_world()
    world.add("loaded")
    world.add("a")
    world.use("loaded")
    world.memory.error = OSError("GPU is lost")
    error = world.ask("a").error
    assert isinstance(error, LoadFailed)
    assert str(error) == "no room for a: memory of simulated cannot be read: GPU is lost"
    assert world.ask("loaded").holds
    world.memory.error = None
    world.loop.advance(10)
    assert world.ask("a").holds


def test_a_device_that_cannot_be_read_lets_models_leave(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.use("a")
    world.memory.error = OSError("GPU is lost")
    assert world.run(world.manager.unload_model("a")) == 0
    assert world.log.returned == [("a", 0, 0)]


def test_where_the_device_is_full_a_model_in_use_may_end_before_the_load_fails(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("used", 300)
    world.add("a", 300)
    user = world.ask("used")
    world.memory.elsewhere = 600 * MIB
    caller = world.ask("a")
    world.loop.advance(5)
    assert caller.waits
    user.leave()
    world.loop.advance(1)
    assert caller.holds
