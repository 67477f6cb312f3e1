"""Unloading models: what came back, who is waited for, who is idle for too long, and what the status says."""

from __future__ import annotations

import pytest

from hearthwatch.hosting.room import SETTLE_S
from hearthwatch.hosting.spec import MIB
from simulated import NewWorld

# ------------------------------------------------------------------------------------------------------------- unload


def test_an_unload_tells_the_bytes_that_came_back(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", 100, resident_mb=80, measured=True)
    world.use("a")
    assert world.run(world.manager.unload_model("a")) == 80 * MIB
    assert world.run(world.manager.unload_model("a")) == 0
    assert world.log.returned == [("a", 80, 0)]
    assert (world.states()["a"], world.memory.used_bytes()) == ("cold", 0)


def test_what_does_not_come_back_is_told_counted_and_visible(
    new_world: NewWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = new_world()
    world.add("a", 100, measured=True).leak_mb = 30
    for cycle in (1, 2):
        world.use("a")
        unload = world.start(world.manager.unload_model("a"))
        world.loop.advance(SETTLE_S + 0.1)
        assert unload.result() == 70 * MIB
        status = world.manager.status("a")
        assert (status.returned_bytes, status.shortfall_bytes) == (70 * MIB, cycle * 30 * MIB)
    assert world.log.returned == [("a", 70, 30)] * 2
    assert "memory kept model=a" in caplog.text


def test_main_memory_is_not_waited_for(new_world: NewWorld) -> None:
    world = new_world(budget_mb=100, capacity_mb=1000, is_gpu=False)
    world.add("a", measured=True).leak_mb = 30
    world.add("b")
    world.use("a")
    assert world.ask("b").holds  # in the same moment
    assert world.log.returned == [("a", 70, 30)]


def test_an_unload_during_a_load_is_no_shortfall(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", measured=True)
    world.add("b", 150)
    world.use("a")
    world.hold("b")
    world.hold("a", "unload")
    unload = world.start(world.manager.unload_model("a"))
    world.ask("b")
    world.finish("a", "unload")
    assert unload.result() == 0  # as measured: the other one took more than came back
    assert world.log.returned == [("a", 0, 0)]


def test_an_unload_waits_for_those_who_use_the_model_and_who_comes_then_gets_it_loaded_again(
    new_world: NewWorld,
) -> None:
    world = new_world()
    model = world.add("a")
    user = world.ask("a")
    unload = world.start(world.manager.unload_model("a"))
    second = world.start(world.manager.unload_model("a"))
    late = world.ask("a")
    assert world.states()["a"] == "draining"
    assert user.holds
    assert late.waits
    user.leave()
    assert unload.result() == second.result() == 100 * MIB
    assert late.holds
    assert model.loads == 2


def test_an_unload_of_a_model_that_loads_lets_those_who_wait_use_it_first(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    caller = world.ask("a")
    unload = world.start(world.manager.unload_model("a"))
    world.finish("a")
    assert caller.holds
    assert not unload.done()
    caller.leave()
    assert unload.result() == 100 * MIB


def test_an_unload_of_a_model_whose_load_fails_gives_nothing_back(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a").failures = [ValueError("x")]
    world.hold("a")
    world.ask("a")
    unload = world.start(world.manager.unload_model("a"))
    world.finish("a")
    assert unload.result() == 0
    assert world.states()["a"] == "failed"


def test_who_gives_up_on_an_unload_does_not_stop_it(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    user = world.ask("a")
    world.start(world.manager.unload_model("a")).cancel()
    user.leave()
    assert world.states()["a"] == "cold"


def test_an_unloader_that_fails_is_counted_and_the_model_is_gone_all_the_same(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a").unload_error = RuntimeError("stuck")
    world.use("a")
    world.run(world.manager.unload_model("a"))
    assert world.log.unloads == [("a", "failed")]
    assert (world.states()["a"], world.manager.get_current_vram_usage()) == ("cold", 0)


def test_unload_all_unloads_everything(new_world: NewWorld) -> None:
    world = new_world()
    for name in "abc":
        world.add(name)
    world.use("a", "b")
    assert world.run(world.manager.unload_all()) == 200 * MIB
    assert world.loaded() == set()


# --------------------------------------------------------------------------------------------------------------- idle


def test_what_was_not_used_for_long_enough_is_unloaded(new_world: NewWorld) -> None:
    world = new_world(idle_seconds=60)
    for name in "ab":
        world.add(name)
    world.use("a")
    world.loop.advance(40)
    world.use("b")
    world.loop.advance(20)
    assert world.run(world.manager.cleanup_idle_models()) == ["a"]
    assert world.log.unloads == [("a", "idle")]
    assert world.loaded() == {"b"}


def test_a_model_in_use_is_not_idle_and_its_time_begins_when_it_is_given_back(new_world: NewWorld) -> None:
    world = new_world(idle_seconds=60)
    world.add("a")
    user = world.ask("a")
    world.loop.advance(100)
    assert world.run(world.manager.cleanup_idle_models()) == []
    user.leave()
    world.loop.advance(59)
    assert world.run(world.manager.cleanup_idle_models()) == []
    world.loop.advance(1)
    assert world.run(world.manager.cleanup_idle_models()) == ["a"]


def test_a_model_may_have_its_own_idle_time_or_stay_for_ever(new_world: NewWorld) -> None:
    world = new_world(idle_seconds=60)
    world.add("quick", idle_seconds=5)
    world.add("never", idle_seconds=0)
    world.add("always", always=True)
    world.add("default")
    world.use("quick", "never", "always", "default")
    world.loop.advance(5)
    assert world.run(world.manager.cleanup_idle_models()) == ["quick"]
    world.loop.advance(1000)
    assert world.run(world.manager.cleanup_idle_models()) == ["default"]


def test_the_documented_argument_wins_over_the_managers_time(new_world: NewWorld) -> None:
    world = new_world(idle_seconds=0)
    world.add("a")
    world.use("a")
    world.loop.advance(1000)
    assert world.run(world.manager.cleanup_idle_models()) == []
    assert world.run(world.manager.cleanup_idle_models(idle_seconds=300)) == ["a"]


def test_periodic_cleanup_goes_on_until_it_is_cancelled(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    task = world.start(world.manager.periodic_cleanup(idle_seconds=300))
    for _ in range(2):
        world.use("a")
        world.loop.advance(331)
        assert world.states()["a"] == "cold"
    assert [reason for _, reason in world.log.unloads] == ["idle", "idle"]
    task.cancel()
    world.loop.settle()
    assert task.cancelled()


def test_periodic_cleanup_never_unloads_where_the_time_is_zero(new_world: NewWorld) -> None:
    world = new_world(idle_seconds=0)
    world.add("a")
    world.add("quick", idle_seconds=5)
    world.start(world.manager.periodic_cleanup())
    world.use("a", "quick")
    world.loop.advance(2000)
    assert world.loaded() == {"a"}


# ------------------------------------------------------------------------------------------------------------- status


def test_the_status_has_budget_use_and_every_model(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    for name in "ab":
        world.add(name)
    world.use("a")
    status = world.manager.get_status()
    assert (status["vram_budget_mb"], status["vram_used_mb"], status["device_used_mb"]) == (1000, 100, 100)
    assert (status["device"], status["is_gpu"], status["loaded_models"]) == ("simulated", True, ["a"])
    assert {name: str(row.state) for name, row in status["models"].items()} == {"a": "ready", "b": "cold"}
    assert status["models"]["a"].idle_s == 1


def test_loaded_models_are_listed_least_recently_used_first(new_world: NewWorld) -> None:
    world = new_world()
    for name in "abc":
        world.add(name)
    world.use("a", "b", "c", "a")
    assert list(world.manager.loaded_models) == ["b", "c", "a"]
