"""What a run of the services measures, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison import MIN_PAIRS
from benchmarks.serving import cold, health, process_tree, rates
from benchmarks.serving.others import BENTOML, LITSERVE, OTHERS, STRAIGHTFORWARD, unavailable
from benchmarks.serving.pictures import TRANSPORTS, write_bodies
from benchmarks.work import Answer, Job
from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.errors import HearthwatchError
from hearthwatch.models import get_model

GROUP = "serving"
HEALTH, TRIVIAL = "health", "load generator"
#: The light service's routes by model, the detector's behind them; as CONTRACT has them.
LIGHT_ROUTES = {
    "person_reid": "/person-reid",
    "pose_estimator": "/pose-analyze",
    "threat_detector": "/threat-detect",
    "pet_classifier": "/pet-classify",
    "depth_estimator": "/depth-estimate",
}
QUICK_MODELS = ("person_reid", "pose_estimator")
CONNECTIONS = (1, 8)
#: Windows in a process: as many as a goal is judged by.
ROUNDS = MIN_PAIRS
#: Of a fast route, and of one whose answers take a tenth of a second.
WINDOW_S, SLOW_WINDOW_S, QUICK_WINDOW_S = 1.0, 1.5, 0.5
#: In each process: with five processes ten, as many as a goal is judged by.
COLD_READINGS = 2
HEALTH_REQUESTS, QUICK_HEALTH_REQUESTS = 1000, 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures.

    Attributes:
        jobs: in the order of a turn.
        models: route by name, of the light models that are measured.
        beside: servers that ours is measured against.
        facts: about the picture.
        skipped: what is not measured, and why.
    """

    jobs: Sequence[Job]
    models: Mapping[str, str]
    beside: Sequence[str]
    facts: Mapping[str, Any]
    skipped: Mapping[str, str]


def without_weights(model: str, models_dir: Path) -> str | None:
    """Why a model cannot be asked here."""
    try:
        find(get_model(model), LoadOptions(models_dir=models_dir))
    except HearthwatchError as error:
        return str(error).splitlines()[0]
    return None


def plan(
    models_dir: Path,
    frames: Sequence[Path],
    folder: Path,
    *,
    quick: bool = False,
    why_not: Callable[[str, Path], str | None] = unavailable,
    weightless: Callable[[str, Path], str | None] = without_weights,
) -> Plan:
    """Write the picture, and find out what can be measured.

    Args:
        models_dir: where weights are.
        frames: the first of them is the picture; one is made where there is none.
        folder: for what a run needs while it lasts.
        quick: the first models and few readings: does it run?
        why_not: says why a server is left out.
        weightless: says why a model is.
    """
    if (reason := process_tree.unavailable()) is not None:
        return Plan([], {}, [], {}, {GROUP: reason})
    skipped: dict[str, str] = {}
    beside: list[str] = []
    for name in (STRAIGHTFORWARD, LITSERVE, BENTOML):
        if (why := why_not(name, models_dir)) is not None:
            skipped[name] = why
        else:
            beside.append(name)
    wanted = {model: route for model, route in LIGHT_ROUTES.items() if model in QUICK_MODELS or not quick}
    missing = {model: why for model in (*wanted, "yolo26") if (why := weightless(model, models_dir)) is not None}
    models = {model: route for model, route in wanted.items() if model not in missing}
    facts = write_bodies(frames, folder)
    places = {"models_dir": str(models_dir), "cache_dir": str(folder / "cache"), "folder": str(folder)}
    jobs = [*_rate_jobs(models, "yolo26" not in missing, beside, places, quick=quick)]
    jobs += [_cold_job(model, route, places, quick=quick) for model, route in models.items()]
    if models:
        requests = QUICK_HEALTH_REQUESTS if quick else HEALTH_REQUESTS
        jobs.append(Job(HEALTH, "serving health", {"models": models, "places": places, "requests": requests}))
    return Plan(jobs, models, beside, facts, skipped | missing)


def summary(plan: Plan, answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """The whole group's result: plain JSON, from which the page is made."""
    keys = [(cold_key(model), model) for model in plan.models]
    subjects = [(rate_key(route), route) for route in ("/person-reid", "/pose-analyze", "/detect")]
    return {
        "picture": plan.facts,
        "at_their_best": {name: OTHERS[name].at_its_best for name in plan.beside},
        "rates": [
            row for key, route in subjects if key in answers for row in rates.rows(key, route, answers, CONNECTIONS)
        ],
        "load_generator": rates.load_generator(answers.get(TRIVIAL, ())),
        "first_answers": cold.rows(answers, keys),
        "health": health.rows(answers[HEALTH]) if HEALTH in answers else [],
        "models": rates.model_rows(answers[HEALTH][0].facts["models"]) if HEALTH in answers else [],
        "memory_mib": rates.memory([answer.facts["memory_mib"] for answer in answers.get(HEALTH, ())]),
        "starts": rates.starts(answers, [key for key, _ in subjects]),
    }


def rate_key(route: str) -> str:
    """Of the job that measures a route."""
    return f"requests to {route}"


def cold_key(model: str) -> str:
    """Of the job that measures a model's first answers."""
    return f"first answer of {model}"


def _rate_jobs(
    models: Mapping[str, str], detector: bool, beside: Sequence[str], places: Mapping[str, str], *, quick: bool
) -> list[Job]:
    seconds = QUICK_WINDOW_S if quick else WINDOW_S
    given = {"places": places, "connections": list(CONNECTIONS)}
    jobs = [Job(TRIVIAL, "serving trivial", {**given, "seconds": QUICK_WINDOW_S}, ROUNDS)]
    if "person_reid" in models:
        asked = {"service": "light", "model": "person_reid", "route": "/person-reid", "beside": list(beside),
                 "transports": [transport.name for transport in TRANSPORTS]}  # fmt: skip
        jobs.append(Job(rate_key("/person-reid"), "serving rate", {**given, **asked, "seconds": seconds}, ROUNDS))
    slow = [("light", "pose_estimator", "/pose-analyze")] if "pose_estimator" in models else []
    slow += [("detector", "yolo26", "/detect")] if detector else []
    for service, model, route in slow:
        asked = {"service": service, "model": model, "route": route}
        slowly = QUICK_WINDOW_S if quick else SLOW_WINDOW_S
        jobs.append(Job(rate_key(route), "serving rate", {**given, **asked, "seconds": slowly}, ROUNDS))
    return jobs


def _cold_job(model: str, route: str, places: Mapping[str, str], *, quick: bool) -> Job:
    arguments = {"model": model, "route": route, "places": places, "readings": 1 if quick else COLD_READINGS}
    return Job(cold_key(model), "serving cold", arguments)
