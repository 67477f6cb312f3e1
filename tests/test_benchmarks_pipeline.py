"""The benchmark of the pipeline: every way does the same work, and the goals are those that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks import pipeline
from benchmarks.pictures import camera_picture

from hearthwatch.services import HEAVY, LIGHT
from made_up import write_networks
from served import TEXT_TOWERS


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pipeline")
    models = dict.fromkeys([*HEAVY.models, *LIGHT.models, *TEXT_TOWERS.values()])
    write_networks(folder / "models", list(models))
    (folder / "picture.jpg").write_bytes(camera_picture((640, 360)))
    pictures = [str(folder / "picture.jpg")] * pipeline.PICTURES
    return {"models_dir": str(folder / "models"), "cache_dir": str(folder / "cache"), "pictures": pictures}


@pytest.mark.slow
def test_the_same_models_answer_over_http_and_here(places: dict[str, Any]) -> None:
    work = pipeline.work(**places, batches=3)
    try:
        for call in work.alternatives.values():
            call()
        facts = work.facts()
    finally:
        work.close()
    assert set(work.alternatives) == {"http", "here"}
    assert {"threat_detector", "pose_estimator", "fashion_clip", "vehicle_classifier"} <= set(facts["models"])
    assert len(facts["overhead_ms"]) == 3
    assert min(facts["overhead_ms"]) > 0
    assert "the goal is 1 ms" in "\n".join(pipeline.sections({pipeline.GROUP: facts}))


@pytest.mark.slow
def test_call_after_call_asks_for_every_documented_model_of_every_detection(places: dict[str, Any]) -> None:
    work = pipeline.one_by_one_work(**places)
    try:
        facts = work.facts()
    finally:
        work.close()
    assert set(work.alternatives) == {"http", "sequential"}
    assert facts["requests"] == pipeline.PICTURES * (5 + 5 + 2 + 2)


def test_what_is_asked_for_is_judged(tmp_path: Path) -> None:
    said: list[str] = []
    models = write_networks(tmp_path / "weights", ("threat_detector", "fashion_clip", "fashion_clip_text"))
    plan = pipeline.prepare(models, [], tmp_path, said.append, quick=True)
    assert [row.goal for row in plan.rows] == [pipeline.GOAL_HTTP, pipeline.GOAL_ONE_BY_ONE]
    assert (pipeline.GOAL_HTTP.at_most, round(1 / pipeline.GOAL_ONE_BY_ONE.at_most)) == (1.25, 3)
    for job in plan.jobs:
        assert len(job.arguments["pictures"]) == pipeline.PICTURES
    assert said == []
