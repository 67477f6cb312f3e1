"""Loading models: what a failure costs, what happens without memory, what is measured, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from hearthwatch.errors import Draining, LoadFailed, OutOfMemory, UnknownModel, WeightsInvalid, WeightsMissing
from hearthwatch.hosting import ModelSpec, OnDemandModelManager
from hearthwatch.hosting.spec import MIB
from simulated import NewWorld

# ---------------------------------------------------------------------------------------------------------- failures


def test_a_failed_load_is_told_to_all_who_wait_and_tried_once(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    model.failures = [ValueError("no such layer")]
    world.hold("a")
    callers = [world.ask("a") for _ in range(3)]
    world.finish("a")
    errors = [caller.error for caller in callers]
    assert all(isinstance(error, LoadFailed) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert str(errors[0]) == "a could not be loaded: ValueError: no such layer"
    assert (model.loads, world.states()["a"]) == (1, "failed")
    assert world.manager.get_current_vram_usage() == 0
    assert world.log.loads == [("a", "load_failed")]


def test_a_failed_load_cools_down_for_ten_seconds_doubling_to_five_minutes(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    for number, seconds in enumerate([10, 20, 40, 80, 160, 300, 300], 1):
        model.failures = [WeightsInvalid("bad card")]
        first = world.ask("a").error
        assert isinstance(first, WeightsInvalid)
        assert first.retry_after_s == seconds
        assert world.manager.status("a").retry_after_s == seconds
        world.loop.advance(seconds - 1)
        again = world.ask("a").error
        assert isinstance(again, WeightsInvalid)
        assert (str(again), again.retry_after_s) == ("bad card", 1)
        assert model.loads == number
        world.loop.advance(1)
    assert world.ask("a").holds
    assert world.manager.status("a").reason is None


def test_a_load_that_succeeds_begins_the_cool_down_anew(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    for _ in range(2):
        model.failures = [LoadFailed("no engine")]
        error = world.ask("a").error
        assert isinstance(error, LoadFailed)
        assert error.retry_after_s == 10
        world.loop.advance(10)
        world.use("a")
        world.run(world.manager.unload_model("a"))


def test_a_model_that_cools_down_lets_others_load(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a").failures = [LoadFailed("no engine")]
    world.add("b")
    world.ask("a")
    assert world.ask("b").holds


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), KeyboardInterrupt(), RuntimeError("x")], ids=repr)
def test_whatever_a_loader_raises_reaches_those_who_wait(new_world: NewWorld, error: BaseException) -> None:
    world = new_world()
    world.add("a").failures = [error]
    assert isinstance(world.ask("a").error, LoadFailed)


def test_missing_weights_are_looked_for_again_by_a_request_but_not_by_each(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    missing = WeightsMissing("a", ["/models/a"], "Run `hearthwatch models pull a`.")
    model.failures = [missing, missing]
    assert isinstance(world.ask("a").error, WeightsMissing)
    again = world.ask("a").error
    assert isinstance(again, WeightsMissing)
    assert (again.looked_at, again.retry_after_s) == (("/models/a",), None)
    assert model.loads == 1
    status = world.manager.status("a")
    assert (status.state, status.looked_at) == ("missing_weights", ("/models/a",))
    assert status.remedy == "Run `hearthwatch models pull a`."
    world.loop.advance(3)
    world.ask("a")
    assert model.loads == 2
    world.loop.advance(3)
    assert world.ask("a").holds


def test_weights_that_are_missing_when_it_is_measured_make_nobody_leave(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("loaded", 800)
    world.use("loaded")
    world.add("a", 500, measured=True).measure_error = WeightsMissing("a", [], "Pull it.")
    assert isinstance(world.ask("a").error, WeightsMissing)
    assert world.loaded() == {"loaded"}
    assert (world.states()["a"], world.log.loads[-1]) == ("missing_weights", ("a", "weights_missing"))


def test_a_measurement_that_fails_is_a_load_that_failed_and_is_made_again_after_the_cool_down(
    new_world: NewWorld,
) -> None:
    world = new_world()
    model = world.add("a", measured=True)
    model.measure_error = OSError("no child")
    error = world.ask("a").error
    assert isinstance(error, LoadFailed)
    assert error.retry_after_s == 10
    model.measure_error = None
    world.loop.advance(10)
    assert world.ask("a").holds
    assert model.measures == 2


def test_a_cold_model_can_be_registered_anew_and_a_loaded_one_cannot(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", 100)
    world.add("a", 200)
    assert world.manager.model_specs["a"].vram_mb == 200
    world.use("a")
    with pytest.raises(ValueError, match="a is ready; unload it"):
        world.add("a", 300)


# ------------------------------------------------------------------------------------------------------ out of memory


def test_out_of_memory_makes_idle_models_leave_and_the_load_is_tried_once_more(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    for name in ("idle", "used", "a"):
        world.add(name)
    world.use("idle")
    world.ask("used")
    world.models["a"].failures = [OutOfMemory("no room")]
    assert world.ask("a").holds
    assert world.models["a"].loads == 2
    assert world.loaded() == {"used", "a"}
    assert world.log.evictions == [("idle", 3)]


def test_a_memory_error_is_out_of_memory(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a").failures = [MemoryError(), MemoryError()]
    error = world.ask("a").error
    assert isinstance(error, OutOfMemory)
    assert str(error) == "no memory to load a: MemoryError"


def test_after_the_second_time_out_of_memory_the_smaller_loader_is_tried(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", smaller=True).failures = [OutOfMemory("no room"), OutOfMemory("no room")]
    caller = world.ask("a")
    assert caller.model is not None
    assert caller.model.how == "smaller"
    assert world.models["a"].loads == 3


def test_without_a_smaller_loader_two_times_out_of_memory_is_a_typed_failure_that_cools_down(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.add("a").failures = [OutOfMemory("no room"), OutOfMemory("still no room")]
    error = world.ask("a").error
    assert isinstance(error, OutOfMemory)
    assert (str(error), error.retry_after_s) == ("still no room", 10)
    assert world.log.loads == [("a", "out_of_memory")]


def test_another_failure_is_not_tried_twice(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a", smaller=True)
    model.failures = [LoadFailed("no engine")]
    assert isinstance(world.ask("a").error, LoadFailed)
    assert model.loads == 1


def test_nobody_else_loads_into_the_room_that_was_made_for_one_out_of_memory(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    for name in ("idle", "a", "b"):
        world.add(name, 300)
    world.use("idle")
    world.models["a"].failures = [OutOfMemory("no room")]
    world.hold("idle", "unload")
    first = world.ask("a")
    second = world.ask("b")
    assert (first.waits, second.waits, world.models["b"].loads) == (True, True, 0)
    world.finish("idle", "unload")
    assert first.holds
    assert second.holds


def test_who_came_while_room_was_made_for_another_gets_what_is_left(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    for name in ("idle", "a", "new"):
        world.add(name)
    world.use("idle")
    world.hold("idle", "unload")
    world.ask("a")
    relief = world.start(world.manager.relieve("a"))
    newcomer = world.ask("new")
    assert newcomer.waits
    world.finish("idle", "unload")
    assert relief.done()
    assert newcomer.holds


def test_a_model_that_runs_out_of_memory_at_work_makes_idle_others_leave(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("critical", priority=1)
    for name in ("idle", "used", "a"):
        world.add(name)
    world.use("critical", "idle")
    world.ask("used")
    world.ask("a")
    assert world.run(world.manager.relieve("a")) == 100 * MIB
    assert world.loaded() == {"critical", "used", "a"}
    assert world.run(world.manager.relieve("a")) == 0  # a lower one is in use, so the CRITICAL one stays
    assert world.loaded() == {"critical", "used", "a"}


# --------------------------------------------------------------------------------------------------------- measuring


def test_the_peak_is_reserved_before_the_load_and_the_resident_size_is_kept_after_it(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", 100, resident_mb=200, peak_mb=500, measured=True)
    world.hold("a")
    world.ask("a")
    assert world.manager.get_current_vram_usage() == 500
    world.finish("a")
    assert world.manager.get_current_vram_usage() == 200
    status = world.manager.status("a")
    assert (status.declared_mb, status.measured_mb, status.charged_mb) == (100, 200, 200)
    assert (status.engine, status.precision, status.device) == ("openvino", "bf16", "cpu")


def test_a_model_is_measured_once(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a", measured=True)
    world.use("a")
    world.run(world.manager.unload_model("a"))
    world.use("a")
    assert (model.measures, model.loads) == (1, 2)


def test_a_measurement_that_nobody_waits_for_is_kept_and_loads_nothing(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a", measured=True)
    world.hold("a", "measure")
    world.ask("a").cancel()
    world.finish("a", "measure")
    assert (world.states()["a"], model.measures, model.loads) == ("cold", 1, 0)
    assert world.ask("a").holds
    assert model.measures == 1


def test_models_are_measured_by_priority_and_who_gives_up_is_not(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name, priority in (("first", 4), ("low", 4), ("gone", 2), ("critical", 1)):
        world.add(name, priority=priority, measured=True)
        world.hold(name, "measure")
    callers = {name: world.ask(name) for name in world.models}
    callers["gone"].cancel()
    assert world.states()["gone"] == "cold"
    for name in ("first", "critical", "low"):
        assert world.at_work("measure") == [name]
        world.finish(name, "measure")
        assert callers[name].holds
    assert world.models["gone"].measures == 0


def test_what_nobody_measured_is_charged_as_it_is_declared(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a", 300, resident_mb=120)
    world.use("a")
    assert world.manager.get_current_vram_usage() == 300
    assert world.manager.status("a").measured_mb is None


# ----------------------------------------------------------------------------------------------- preload, drain, close


def test_preload_loads_the_critical_one_first_and_tells_what_failed(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    world.add("low", priority=4)
    world.add("broken", priority=3).failures = [LoadFailed("no engine")]
    world.add("critical", priority=1)
    errors = world.run(world.manager.preload(["low", "broken", "critical"]))
    assert [name for name, _ in world.log.loads] == ["critical", "broken", "low"]
    assert {name for name, error in errors.items() if error is None} == {"low", "critical"}
    assert isinstance(errors["broken"], LoadFailed)
    assert world.manager.status("critical").leases == 0


def test_preload_of_an_unknown_name_loads_nothing(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    with pytest.raises(UnknownModel):
        world.run(world.manager.preload(["a", "b"]))
    assert world.states()["a"] == "cold"


def test_draining_serves_who_is_here_and_refuses_who_comes(new_world: NewWorld) -> None:
    world = new_world()
    for name in "ab":
        world.add(name)
    world.hold("b")
    here, waiting = world.ask("a"), world.ask("b")
    drain = world.start(world.manager.drain())
    assert isinstance(world.ask("a").error, Draining)
    assert isinstance(world.ask("b").error, Draining)
    here.leave()
    assert not drain.done()
    world.finish("b")
    assert waiting.holds
    waiting.leave()
    assert drain.done()


def test_draining_does_not_wait_for_who_has_gone(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    waiting = world.ask("a")
    drain = world.start(world.manager.drain())
    waiting.cancel()
    assert drain.done()


def test_closing_ends_loads_that_have_not_begun_and_unloads_all_when_nobody_uses_it(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name in "abc":
        world.add(name)
    world.hold("b")
    user = world.ask("a")
    loading, queued = world.ask("b"), world.ask("c")
    closing = world.start(world.manager.close())
    assert isinstance(queued.error, Draining)
    world.finish("b")
    assert loading.holds
    loading.leave()
    assert not closing.done()
    user.leave()
    assert closing.done()
    assert set(world.states().values()) == {"cold"}
    assert world.memory.used_bytes() == 0
    world.run(world.manager.close())


def test_closing_does_not_load_what_is_being_measured(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a", measured=True)
    world.hold("a", "measure")
    caller = world.ask("a")
    closing = world.start(world.manager.close())
    world.finish("a", "measure")
    assert isinstance(caller.error, Draining)
    assert closing.done()
    assert model.loads == 0


def test_it_works_with_threads_and_a_real_clock() -> None:
    async def scenario() -> None:
        manager = OnDemandModelManager(100)
        manager.register_model(ModelSpec("a", 10, 1, list, list.clear))  # type: ignore[arg-type]  # a plain number
        async with asyncio.timeout(60), manager.lease("a") as model:
            assert model == []
        assert await manager.preload(["a"]) == {"a": None}
        await manager.close()
        assert manager.loaded_models == {}

    asyncio.run(scenario())
