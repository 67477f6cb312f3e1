"""The prompt: what it takes to build one, how long it is, and what a language model's server need not read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.busy_event import CAMERA, BusyEvent, busy_event
from benchmarks.llama_server import LlamaServer, ServerMissing, program
from benchmarks.markdown import table
from benchmarks.plan import Plan
from benchmarks.processes import MeasurementFailed
from benchmarks.serving.cold import percentile
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.enrichment.status import EnrichmentStatus
from hearthwatch.prompt import Prompt, build_prompt, collect_facts
from hearthwatch.recording import RecordedEvent, to_line
from hearthwatch.risk import LanguageModelConfig, assess
from hearthwatch.risk.dialects import CHAT, Turn

GROUP = "prompt"
CACHE = f"{GROUP} cache"
DETECTIONS = 50
#: Milliseconds for facts and prompt of so many.
GOAL_MS = 5.0
#: What a prompt may have where nobody says otherwise.
BUDGET = LanguageModelConfig("http://127.0.0.1:8091").prompt_tokens
WITHOUT_LIMIT = 10**9
#: Events by their detections: a usual one, a busy one, and that of the goal.
SIZES = (1, 5, DETECTIONS)
TIMED, QUICK_TIMED = 200, 5
#: Tokens of an answer where only the reading of its prompt is looked at.
FEW = 16


def prepare(
    _models_dir: Path, _frames: Sequence[Path], _folder: Path, _tell: Callable[[str], None], *, quick: bool
) -> Plan:
    """What is measured here, and why the server is not where it is not. It needs no weights and no pictures.

    Args:
        quick: few readings.
    """
    jobs = [Job(GROUP, "prompt", {"times": QUICK_TIMED if quick else TIMED})]
    try:
        jobs.append(Job(CACHE, "prompt cache", {"binary": program()}))
    except ServerMissing as error:
        return Plan(jobs, rows(), {CACHE: str(error)})
    return Plan(jobs, rows())


def rows() -> list[Row]:
    """What is compared."""
    return [
        Row(GROUP, f"{DETECTIONS} detections", (GROUP, "prompt"), (GROUP, "record"),
            names=("facts and prompt", "the same event as a line of JSON")),
    ]  # fmt: skip


def work(times: int) -> Work:
    """From an enrichment to a prompt, and the same enrichment to JSON."""
    event = busy_event(DETECTIONS)
    recorded = _recorded(event)
    prompt_of(event)  # the templates are read once

    def facts() -> Mapping[str, Any]:
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            prompt_of(event)
            taken.append((time.perf_counter() - started) * 1000)
        return {"ms": taken, "budget": BUDGET, "lengths": {str(size): lengths(busy_event(size)) for size in SIZES}}

    return Work({"prompt": lambda: prompt_of(event), "record": lambda: to_line(recorded)}, facts)


def prompt_of(event: BusyEvent, budget: int = BUDGET) -> Prompt:
    """Facts, and the prompt of them, as `analyze` makes it where nobody counts tokens."""
    scene = collect_facts(event.detections, event.known, event.when, CAMERA)
    return build_prompt(scene, event.known, budget_tokens=budget)


def lengths(event: BusyEvent) -> dict[str, int]:
    """Tokens by the bound, before and inside the budget, and how many facts that cost."""
    before, after = prompt_of(event, WITHOUT_LIMIT), prompt_of(event)
    return {"before": before.tokens, "after": after.tokens, "dropped": after.dropped, "system": len(after.system)}


def cache_work(binary: str) -> Work:
    """A server reads one event's prompt, and then another's: how much of the second has it read before?"""
    told: dict[str, Any] = {}
    with LlamaServer(binary) as server:
        for name, seed in (("first", 0), ("second", 7), ("same", 7)):
            told[name] = read_by(server.url, prompt_of(busy_event(5, seed)))

    return Work({}, lambda: told)


def read_by(url: str, prompt: Prompt) -> dict[str, float]:
    """Tokens of the prompt that a server read now and knew, and the milliseconds for it.

    Raises:
        MeasurementFailed: it told none.
    """
    turns = (Turn("system", prompt.system), Turn("user", prompt.user))
    body = CHAT.body(turns, "tiny", FEW) | {"stream": False}
    answer = httpx.post(f"{url}{CHAT.path}", json=body, timeout=120.0).raise_for_status().json()
    timings = answer.get("timings")
    if not isinstance(timings, dict) or "prompt_n" not in timings:
        raise MeasurementFailed(f"the server told no timings: {sorted(answer)}")
    return {"read": timings["prompt_n"], "known": timings.get("cache_n", 0), "ms": timings["prompt_ms"]}


def sections(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the table of ratios does not say."""
    if built := facts.get(GROUP):
        times = built["ms"]
        low, high = percentile(times, 5), percentile(times, 95)
        yield ""
        yield f"Facts and prompt of {DETECTIONS} detections take {median(times):.2f} ms ({low:.2f} to {high:.2f} for"
        yield f"nine of ten of {len(times)}); the goal is {GOAL_MS:g} ms. Tokens by the bound for any tokeniser,"
        yield f"mostly four times as many as there are, with a budget of {built['budget']:,}:"
        yield ""
        yield from table(
            ("detections", "tokens before", "tokens in the budget", "of these the task", "lines left out"),
            [
                [size, f"{told['before']:,}", f"{told['after']:,}", f"{told['system']:,}", str(told["dropped"])]
                for size, told in built["lengths"].items()
            ],
        )
    if read := facts.get(CACHE):
        first, second, same = read["first"], read["second"], read["same"]
        yield ""
        share = second["read"] / first["read"]
        yield f"A llama.cpp server reads {first['read']:,.0f} tokens of the first event's prompt and"
        yield f"{second['read']:,.0f} of the second's ({share:.2f} of the first), for it knew {second['known']:,.0f} of"
        yield f"them; of the same event once more {same['read']:,.0f}. Its tokens are characters, as of a tiny random"
        yield "model; others have about a quarter."


def _recorded(event: BusyEvent) -> RecordedEvent:
    scene = collect_facts(event.detections, event.known, event.when, CAMERA)
    return RecordedEvent(
        "porch.jpg", CAMERA, event.when, 1920, 1080, list(event.detections), event.known, EnrichmentStatus.FULL,
        assess(scene), {},
    )  # fmt: skip
