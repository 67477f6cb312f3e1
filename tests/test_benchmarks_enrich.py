"""The benchmark of `/enrich`: all alternatives do the same work, and models really leave where memory is short."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from benchmarks import enrich
from benchmarks.pictures import camera_picture

from hearthwatch.services import get_service
from made_up import write_networks
from served import TEXT_TOWERS


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("enrich")
    write_networks(folder / "models", [*get_service(enrich.SERVICE).models, *TEXT_TOWERS.values()])
    (folder / "picture.jpg").write_bytes(camera_picture((640, 360)))
    return {"models_dir": str(folder / "models"), "cache_dir": str(folder / "cache"),
            "picture": str(folder / "picture.jpg")}  # fmt: skip


def test_one_call_the_routes_and_the_bare_networks_do_the_same_work(places: dict[str, str]) -> None:
    work = enrich.work(**places)
    try:
        for call in work.alternatives.values():
            call()
        facts = work.facts()
    finally:
        work.close()
    assert set(work.alternatives) == {"enrich", "routes", "batch", "bare"}
    assert facts["models"] == enrich.models_of_a_person()
    assert {"threat_detector", "pose_estimator", "person_reid", "depth_estimator"} <= set(facts["models"])
    assert "8 people" in "\n".join(enrich.sections({enrich.GROUP: facts}))


def test_too_little_memory_makes_models_leave_and_costs_no_answer(places: dict[str, str]) -> None:
    facts = enrich.tight_work(**places, requests=4).facts()
    assert facts["evictions"] > 0
    assert facts["failed"] == 0
    assert facts["p95_ms"] >= facts["median_ms"] > 0
    assert f"{facts['evictions']} evictions" in "\n".join(enrich.sections({enrich.TIGHT: facts}))


@pytest.mark.slow
def test_every_model_that_is_there_is_loaded_cold_and_warm(places: dict[str, str], tmp_path: Path) -> None:
    facts = enrich.loads_work(places["models_dir"], str(tmp_path), cold=2, warm=3).facts()
    assert set(facts["load_ms"]) == set(get_service(enrich.SERVICE).models)
    for times in facts["load_ms"].values():
        assert (len(times["cold"]), len(times["warm"])) == (2, 3)
        assert min(*times["cold"], *times["warm"]) > 0
    assert "| pose_estimator |" in "\n".join(enrich.sections({enrich.LOADS: facts}))


def test_weights_that_are_there_are_measured_and_the_others_are_named(tmp_path: Path) -> None:
    said: list[str] = []
    models = write_networks(
        tmp_path / "weights", ("threat_detector", "person_reid", "fashion_clip", "fashion_clip_text")
    )
    plan = enrich.prepare(models, [], tmp_path, said.append, quick=True)
    assert [job.key for job in plan.jobs] == [enrich.GROUP, enrich.TIGHT]
    assert [row.goal for row in plan.rows] == [enrich.GOAL_BARE, enrich.GOAL_ROUTES, None]
    assert {"enrich: pose_estimator", "enrich: depth_estimator"} <= set(plan.skipped)
    (tmp_path / "none").mkdir()
    assert enrich.GROUP in enrich.prepare(tmp_path / "none", [], tmp_path, said.append, quick=True).skipped
    assert len(said) == 1  # no network was made


def test_eight_people_stand_beside_each_other_inside_the_picture() -> None:
    boxes = enrich.people_in(1920, 1080)
    assert len(boxes) == enrich.PEOPLE
    for left, right in itertools.pairwise(boxes):
        assert 0 <= left.x1 < left.x2 <= right.x1 < right.x2 <= 1920
        assert 0 <= left.y1 < left.y2 <= 1080
