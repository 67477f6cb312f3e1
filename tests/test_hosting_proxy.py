"""Models by name: proxies that lease for each call, and the models that a detection asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Any

import pytest

from hearthwatch.errors import BudgetTooSmall, LoadFailed, StillLoading
from hearthwatch.hosting import ModelPriority, ModelSpec, OnDemandModelManager
from hearthwatch.hosting.spec import close_or_unload
from hearthwatch.hosting.triggers import triggered
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES
from simulated import Loaded, NewWorld

# -------------------------------------------------------------------------------------------------------------- proxy


def test_a_proxy_answers_like_the_model_and_leases_it_only_for_the_call(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")

    async def scenario() -> tuple[Any, ...]:
        proxy = await world.manager.get_model("a")
        assert world.manager.status("a").leases == 0
        return proxy.predict(3), proxy(3), proxy.size, proxy.name

    assert world.run(scenario()) == ("a 3", 6, 640, "a")
    assert world.manager.status("a").leases == 0


def test_a_proxy_of_a_model_that_has_left_cannot_wait_on_the_event_loop_but_has_it_loaded(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    proxy = world.run(world.manager.get_model("a"))
    world.run(world.manager.unload_model("a"))

    async def ask() -> Any:
        return proxy.predict(1)

    with pytest.raises(StillLoading, match="a call on the event loop cannot wait"):
        world.run(ask())
    assert world.run(ask()) == "a 1"


def test_a_coroutine_method_waits_for_the_model_and_keeps_it_until_it_has_ended(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    proxy = world.run(world.manager.get_model("a"))
    world.run(world.manager.unload_model("a"))
    task = world.start(proxy.predict_later(2))
    assert world.manager.status("a").leases == 1
    world.loop.advance(1)
    assert task.result() == "a 2"
    assert world.manager.status("a").leases == 0


def test_a_proxy_looks_like_its_model_and_has_what_it_has(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    proxy = world.run(world.manager.get_model("a"))
    assert repr(proxy) == "<a, leased for each call>"
    assert "predict" in dir(proxy)

    async def ask() -> Any:
        return proxy.no_such_thing

    with pytest.raises(AttributeError):
        world.run(ask())
    assert world.manager.status("a").leases == 0


def test_a_model_that_cannot_be_had_gives_no_proxy(new_world: NewWorld) -> None:
    world = new_world(budget_mb=50)
    world.add("large", 100)
    world.add("broken", 10).failures = [LoadFailed("no engine")]
    with pytest.raises(BudgetTooSmall):
        world.run(world.manager.get_model("large"))
    with pytest.raises(LoadFailed):
        world.run(world.manager.get_model("broken"))


def test_a_proxy_works_from_any_thread_and_loads_there_what_has_left() -> None:
    async def scenario() -> list[str]:
        manager = OnDemandModelManager(100)
        for name in "ab":
            manager.register_model(ModelSpec(name, 80, ModelPriority.LOW, lambda name=name: Loaded(name)))  # type: ignore[misc]
        proxies = [await manager.get_model(name) for name in "ab"]
        calls = [asyncio.to_thread(proxy.predict, number) for number in range(3) for proxy in proxies]
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*calls)
        await manager.close()
        return answers

    assert asyncio.run(scenario()) == [f"{name} {number}" for number in range(3) for name in "ab"]


# --------------------------------------------------------------------------------------------------------- detections

#: The registrations of the documents.
DOCUMENTED = {
    "clothing": (ModelPriority.HIGH, ["person"]),
    "vehicle": (ModelPriority.MEDIUM, ["car", "truck", "vehicle", "motorcycle", "bus"]),
    "pet": (ModelPriority.MEDIUM, ["dog", "cat", "animal"]),
    "depth": (ModelPriority.LOW, ["person", "vehicle", "animal"]),
    "pose": (ModelPriority.HIGH, ["person"]),
    "threat": (ModelPriority.CRITICAL, ["person"]),
    "age_gender": (ModelPriority.HIGH, ["face"]),
    "age-gender": (ModelPriority.HIGH, ["person", "face"]),
    "reid": (ModelPriority.MEDIUM, ["person"]),
    "action": (ModelPriority.LOW, ["suspicious"]),
    "by name only": (ModelPriority.CRITICAL, []),
}
PERSON = ["threat", "clothing", "pose", "reid", "depth"]


def names(kind: str, face_visible: bool = False, suspicious: bool = False) -> list[str]:
    specs = [
        ModelSpec(name, 1, priority, object, triggers=triggers) for name, (priority, triggers) in DOCUMENTED.items()
    ]
    return [spec.name for spec in triggered(specs, kind, face_visible=face_visible, suspicious=suspicious)]


def test_a_person_gets_the_documented_models_the_critical_one_first() -> None:
    assert names("person") == names("Person") == PERSON


def test_a_face_adds_the_models_that_need_one() -> None:
    assert names("person", face_visible=True) == [
        "threat",
        "clothing",
        "pose",
        "age_gender",
        "age-gender",
        "reid",
        "depth",
    ]


def test_suspicion_adds_the_action_model_to_persons_only() -> None:
    assert names("person", suspicious=True) == [*PERSON, "action"]
    assert names("car", suspicious=True) == ["vehicle", "depth"]


@pytest.mark.parametrize(
    ("kinds", "models"),
    [(["vehicle", *VEHICLE_CLASSES], ["vehicle", "depth"]), (["animal", *ANIMAL_CLASSES], ["pet", "depth"])],
)
def test_a_general_word_means_its_classes_on_either_side(kinds: Sequence[str], models: list[str]) -> None:
    for kind in kinds:
        assert names(kind) == models


@pytest.mark.parametrize("kind", ["", "carpet", "per", "personal", "scar", "suspicious person", "potted plant"])
def test_types_are_compared_as_a_whole(kind: str) -> None:
    assert names(kind) == []


def test_a_condition_that_is_asked_for_as_a_type_holds() -> None:
    assert names("face") == ["age_gender", "age-gender"]
    assert names("suspicious") == ["action"]


def test_the_models_for_a_detection_come_loaded_and_by_name(new_world: NewWorld) -> None:
    world = new_world()
    world.add("low", priority=4, triggers=["person"])
    world.add("critical", priority=1, triggers=["person"])
    world.add("pet", triggers=["dog"])

    async def scenario() -> list[str]:
        models = await world.manager.get_models_for_detection("person")
        assert list(models) == ["critical", "low"]
        return [model.predict(1) for model in models.values()]

    assert world.run(scenario()) == ["critical 1", "low 1"]
    assert world.loaded() == {"critical", "low"}


def test_a_model_that_fails_is_absent_and_its_status_has_the_reason(new_world: NewWorld) -> None:
    world = new_world()
    world.add("broken", triggers=["person"]).failures = [LoadFailed("no engine")]
    world.add("large", 5000, triggers=["person"])
    world.add("a", triggers=["person"])
    assert list(world.run(world.manager.get_models_for_detection("person"))) == ["a"]
    assert world.manager.status("broken").reason == "no engine"
    assert world.manager.status("large").reason == "large needs 5000 MiB and the whole budget is 1000 MiB"


def test_what_does_not_fit_together_is_not_loaded_in_turn_only_to_leave_again(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name, priority in (("critical", 1), ("high", 2), ("medium", 3), ("low", 4)):
        world.add(name, priority=priority, triggers=["person"])
    models = world.run(world.manager.get_models_for_detection("person"))
    assert list(models) == ["critical", "high", "medium", "low"]
    assert world.loaded() == {"critical", "high"}
    assert world.log.unloads == []


def test_two_detections_at_once_do_not_wait_for_each_other_for_ever(new_world: NewWorld) -> None:
    world = new_world(budget_mb=200)
    for name, kind in (("a", "person"), ("b", "person"), ("c", "dog"), ("d", "dog")):
        world.add(name, triggers=[kind])
    tasks = [world.start(world.manager.get_models_for_detection(kind)) for kind in ("person", "dog")]
    world.loop.settle()
    assert [list(task.result()) for task in tasks] == [["a", "b"], ["c", "d"]]


# --------------------------------------------------------------------------------------------------------------- spec


class Urgency(Enum):
    """As the documents have it: an enumeration of their own."""

    CRITICAL = 1
    LOW = 4


@pytest.mark.parametrize(
    ("given", "priority"), [(Urgency.CRITICAL, 1), (Urgency.LOW, 4), (3, 3), (ModelPriority.HIGH, 2)]
)
def test_a_priority_may_be_a_number_or_of_another_enumeration(given: Any, priority: int) -> None:
    spec = ModelSpec("a", 1, given, object)
    assert spec.priority is ModelPriority(priority)


def test_the_documented_fields_may_be_given_by_position() -> None:
    spec = ModelSpec("pose", 300, ModelPriority.HIGH, list, list.clear, ["Person"])
    assert (spec.unloader, spec.triggers) == (list.clear, ("person",))


def test_a_size_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="a cannot take -1 MB"):
        ModelSpec("a", -1, ModelPriority.LOW, object)


class Ends:
    def __init__(self, *verbs: str) -> None:
        self.called: list[str] = []
        for verb in verbs:
            setattr(self, verb, lambda verb=verb: self.called.append(verb))


@pytest.mark.parametrize(("verbs", "called"), [(("close", "unload"), ["close"]), (("unload",), ["unload"]), ((), [])])
def test_without_an_unloader_a_model_is_closed_or_unloaded_or_dropped(
    verbs: tuple[str, ...], called: list[str]
) -> None:
    model = Ends(*verbs)
    close_or_unload(model)
    assert model.called == called
