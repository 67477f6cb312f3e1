"""The prompt about an event: its exact words, its order, its budget, and what no text in it can do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import HOSTILE, armed_event, busy_event, hostile_event, person
from hearthwatch.errors import InputError
from hearthwatch.models import DemographicsResult
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.prompt import (
    PROMPT_VERSION,
    Fact,
    Importance,
    Prompt,
    Scene,
    build_prompt,
    bytes_at_most,
    collect_facts,
)
from hearthwatch.prompt.lines import line_of, names_of
from hearthwatch.vision.boxes import Box
from prompt_scenes import FOLDER, LEFT, RIGHT, SCENES
from prompt_signs import SIGNS

PLENTY = 1_000_000
NOTHING_KNOWN = EnrichmentResult()


def prompt_of(*detections: DetectionInput, **known: object) -> Prompt:
    data = EnrichmentResult(**known)  # type: ignore[arg-type]
    return build_prompt(collect_facts(detections, data, None), data, budget_tokens=PLENTY)


def lines_of(prompt: Prompt) -> list[str]:
    return [line for line in prompt.user.split("\n") if line.startswith("- ")]


def facts(count: int, importance: Importance = Importance.CONTEXT) -> tuple[Fact, ...]:
    return tuple(Fact("zone", "z", f"fact number {i}", None, None, importance) for i in range(count))


@pytest.mark.parametrize("name", SCENES)
def test_ten_events_and_their_exact_prompts(name: str) -> None:
    """Else: `python tests/prompt_scenes.py`, and a new PROMPT_VERSION."""
    prompt = SCENES[name]().prompt()
    assert prompt.user + "\n" == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert prompt.system + "\n" == (FOLDER / "system.txt").read_text(encoding="utf-8")
    assert (prompt.version, prompt.dropped) == (PROMPT_VERSION, 0)
    assert prompt.tokens == bytes_at_most(prompt.system) + bytes_at_most(prompt.user)


def test_there_are_ten() -> None:
    assert len(SCENES) == 10
    assert {path.stem for path in FOLDER.iterdir()} == {*SCENES, "system"}


def test_the_page_shows_one_of_them_as_it_is() -> None:
    page = (Path(__file__).parents[1] / "docs" / "prompt.md").read_text(encoding="utf-8")
    golden = (FOLDER / "resident_and_stranger.txt").read_text(encoding="utf-8")
    assert f"```text\n{golden}```\n" in page


def test_what_is_the_same_for_every_event_is_the_system_part_and_nothing_of_the_event_is_in_it() -> None:
    assert len({made().prompt().system.encode() for made in SCENES.values()}) == 1
    for event in (busy_event(), armed_event(), hostile_event("x")):
        prompt = build_prompt(event.scene, event.enrichment.data, budget_tokens=PLENTY)
        assert prompt.system == SCENES["nothing"]().prompt().system


def test_threats_come_first_and_the_unknown_last() -> None:
    event = armed_event()
    user = build_prompt(event.scene, event.enrichment.data, budget_tokens=PLENTY).user
    headings = [line[3:] for line in user.splitlines() if line.startswith("## ")]
    order = ["Threats", "What stands out", "Who it is", "In view", "Beside that", "Not known"]
    assert headings == [heading for heading in order if heading in headings]
    assert headings[0] == "Threats"


@pytest.mark.parametrize("name", SCENES)
def test_every_fact_is_there_with_its_detection_and_its_confidence(name: str) -> None:
    made = SCENES[name]()
    scene, told = collect_facts(made.detections, made.known, made.when), lines_of(made.prompt())
    names = names_of(scene)
    for fact in scene.facts:
        sure = "" if fact.confidence is None else f" ({fact.confidence:.0%})"
        whose = "the picture" if fact.subject is None else names[fact.subject]
        assert f"- {line_of(fact, names)}" in told or fact.kind == "absent"
        assert line_of(fact, names).startswith(f"{whose}: ")
        assert line_of(fact, names).endswith(sure)
    assert sum(line.endswith("%)") and "in view (" in line for line in told) == len(made.detections)


def test_a_resident_stays_apart_from_the_stranger_beside_him_also_where_there_is_no_room() -> None:
    people = (person("person-1", LEFT, known="Ada"), person("person-2", RIGHT))
    scene = collect_facts(people, NOTHING_KNOWN, None)
    whole = build_prompt(scene, NOTHING_KNOWN, budget_tokens=PLENTY)
    assert '- person-1: known as "Ada"' in whole.user
    for budget in range(whole.tokens - 250, whole.tokens):
        try:
            prompt = build_prompt(scene, NOTHING_KNOWN, budget_tokens=budget)
        except InputError:
            continue
        assert "In view: people 2," in prompt.user
        assert "somebody who is known never lowers the risk of a stranger beside them" in prompt.system


@pytest.mark.parametrize("confidence", [None, float("nan"), -0.1, 1.5])
def test_no_confidence_is_no_percentage(confidence: float | None) -> None:
    fact = Fact("posture", "crouching", "posture crouching", "p", confidence, Importance.POSTURE)
    prompt = build_prompt(Scene((fact,), None), NOTHING_KNOWN, budget_tokens=PLENTY)
    assert "- p: posture crouching\n" in prompt.user


# --- what is absent, and what was looked for in vain ---


def test_nothing_attempted_is_said() -> None:
    scene = collect_facts([person("p", LEFT)], None, None)
    assert "nothing but the detector looked" in build_prompt(scene, None, budget_tokens=PLENTY).user
    assert "nothing but" not in build_prompt(scene, NOTHING_KNOWN, budget_tokens=PLENTY).user


def test_models_that_were_not_run_for_one_reason_are_one_line_of_each_detection() -> None:
    skipped = {"a": {"fashion_clip": "no weights", "person_reid": "no weights", "depth_estimator": "too late"},
               "b": {"fashion_clip": "no weights"}}  # fmt: skip
    user = prompt_of(person("a", LEFT), person("b", RIGHT), skipped=skipped).user
    assert user.count("no weights") == 2
    assert '- a: person_reid, fashion_clip were not run: "no weights"' in user
    assert '- a: depth_estimator was not run: "too late"' in user
    assert '- b: fashion_clip was not run: "no weights"' in user


@pytest.mark.parametrize(
    ("model", "words"), [("face_detector", "no face seen"), ("made_up", "made_up found nothing")]
)  # fmt: skip
def test_what_was_looked_for_in_vain_is_not_the_same_as_absent(model: str, words: str) -> None:
    user = prompt_of(person("a", LEFT), nothing={"a": [model]}).user
    assert f"- a: {words}" in user
    assert "Not known" not in user


def test_demographics_must_not_raise_the_risk_and_leave_no_word_where_they_are_off() -> None:
    found = DemographicsResult("60-69", "senior", 0.9, None, None, {})
    on = prompt_of(person("a", LEFT), demographics_results={"a": found})
    off = prompt_of(person("a", LEFT))
    assert "- a: senior by appearance (an estimate, which must not raise the risk) (90%)" in on.user
    for word in ("demograph", "gender", "age group", "by appearance (", "estimate"):
        assert word not in (off.system + off.user).lower()


# --- the budget ---


def words(text: str) -> int:
    return len(text.split())


def jumpy(text: str) -> int:
    """A counter that is not quite monotone, as byte pairs are not."""
    return len(text) // 4 + len(text) % 3


FACTS = st.builds(
    lambda importance, text, subject, confidence, quoted: Fact(
        "text", text, f"reads {text!r}", subject, confidence, importance, (text,) if quoted else ()
    ),
    st.sampled_from(Importance),
    st.one_of(st.text(max_size=40), st.sampled_from([*SIGNS.values()])),
    st.none() | st.sampled_from(["person-1", "person-2", "a name of four words"]) | st.text(max_size=200),
    st.none() | st.floats(0, 1),
    st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(FACTS, max_size=30), st.integers(0, 8000), st.sampled_from([bytes_at_most, words, jumpy]))
def test_a_prompt_is_never_over_its_budget_and_threats_leave_last(
    made: list[Fact], budget: int, count: Callable[[str], int]
) -> None:
    scene = Scene(tuple(sorted(made, key=lambda fact: fact.importance)), None)
    try:
        prompt = build_prompt(scene, NOTHING_KNOWN, budget_tokens=budget, count_tokens=count)
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert int(re.findall(r"\d+", refused)[0]) > budget
        return
    assert prompt.tokens == count(prompt.system) + count(prompt.user) <= budget
    whole, kept = lines_of(build_prompt(scene, NOTHING_KNOWN, budget_tokens=PLENTY)), lines_of(prompt)
    assert whole == [f"- {line_of(fact, names_of(scene))}" for fact in scene.facts]
    assert kept == whole[: len(whole) - prompt.dropped]
    assert (f"Left out for want of room: {prompt.dropped} facts" in prompt.user) == bool(prompt.dropped)
    lost_threats = sum(fact.importance is Importance.THREAT for fact in scene.facts[len(kept) :])
    assert (f"of which {lost_threats} are threats" in prompt.user) == bool(lost_threats)


def test_one_fact_more_would_not_have_fitted() -> None:
    scene = Scene((*facts(3, Importance.THREAT), *facts(60)), None)
    whole = build_prompt(scene, NOTHING_KNOWN, budget_tokens=PLENTY)
    prompt = build_prompt(scene, NOTHING_KNOWN, budget_tokens=whole.tokens - 300)
    kept = len(scene.facts) - prompt.dropped
    assert 0 < prompt.dropped < 60
    more = build_prompt(replace(scene, facts=scene.facts[: kept + 1]), NOTHING_KNOWN, budget_tokens=PLENTY)
    assert more.tokens + len("\nLeft out for want of room: 20 facts, the least important ones.") >= whole.tokens - 300


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_counter_is_asked_few_times(count: int) -> None:
    asked: list[str] = []

    def counter(text: str) -> int:
        asked.append(text)
        return len(text)

    scene = Scene(facts(count), None)
    build_prompt(scene, NOTHING_KNOWN, budget_tokens=PLENTY, count_tokens=counter)
    assert len(asked) == 2
    asked.clear()
    if count == 1000:
        build_prompt(scene, NOTHING_KNOWN, budget_tokens=6000, count_tokens=counter)
        assert len(asked) <= 14


@pytest.mark.parametrize("budget", [-1, 0, 100])
def test_a_budget_that_not_even_the_task_fits_into_is_refused_with_both_numbers(budget: int) -> None:
    with pytest.raises(InputError, match=rf"without any fact has \d+ tokens; allowed are {budget}"):
        build_prompt(Scene(facts(3), None), NOTHING_KNOWN, budget_tokens=budget)


# --- words of others ---


@pytest.mark.parametrize("sign", [*SIGNS.values(), *HOSTILE], ids=[*SIGNS, *map(repr, HOSTILE)])
def test_no_word_of_others_adds_a_line_a_heading_or_a_turn(sign: str) -> None:
    told, harmless = (hostile_event(text) for text in (sign, "x" * len(sign)))
    hostile = build_prompt(replace(told.scene, camera=sign), told.enrichment.data, budget_tokens=PLENTY)
    plain = build_prompt(replace(harmless.scene, camera="x"), harmless.enrichment.data, budget_tokens=PLENTY)
    assert hostile.system == plain.system
    assert [line[:3] for line in hostile.user.split("\n") if not line.startswith("- ")] == [
        line[:3] for line in plain.user.split("\n") if not line.startswith("- ")
    ]
    assert len(hostile.user.split("\n")) == len(plain.user.split("\n"))
    assert not set("<>{}[]|`*") & set(hostile.user)
    assert all(line.isprintable() for line in hostile.user.split("\n"))
    assert hostile.user.count('"') % 2 == 0


@settings(deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=6, unique=True))
def test_two_detections_are_never_called_the_same(ids: list[str]) -> None:
    detections = [DetectionInput(key, "person", 0.9, Box(0, 0, 9, 9)) for key in ids]
    lines = [line for line in prompt_of(*detections).user.split("\n") if line.endswith("person in view (90%)")]
    assert len({*lines}) == len(ids)


def test_ids_that_begin_alike_are_told_apart_and_none_passes_for_the_picture() -> None:
    long = "x" * 300
    user = prompt_of(*(person(key, LEFT) for key in (long + "a", long + "b", "the picture"))).user
    assert "(detection 2): person in view" in user
    assert '- "the picture": person in view' in user
