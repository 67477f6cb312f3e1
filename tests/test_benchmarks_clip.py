"""The benchmark of CLIP: the service does what the bare engine does, and what the text tower reads is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import clip
from benchmarks.pictures import camera_picture

from made_up import write_networks


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    path.write_bytes(camera_picture((320, 240)))
    return path


def test_the_service_and_the_bare_engine_do_the_same_work_and_texts_are_read_once(
    tmp_path: Path, picture: Path
) -> None:
    models = write_networks(tmp_path / "models", clip.TOWERS)
    work = clip.work(str(models), str(tmp_path / "cache"), str(picture))
    try:
        for call in work.alternatives.values():
            call()
        facts = work.facts()
    finally:
        work.close()
    assert set(work.alternatives) == {"embed", "texts", "bare"}
    assert (facts["texts_read_once"], facts["texts_read_again"]) == (100, 0)
    told = "\n".join(clip.sections({clip.GROUP: facts}))
    assert "read 100 texts" in told
    assert "and 0 for all" in told


def test_loads_are_measured_cold_and_warm(tmp_path: Path, picture: Path) -> None:
    models = write_networks(tmp_path / "models", clip.TOWERS)
    facts = clip.load_work(str(models), str(tmp_path / "cache"), str(picture)).facts()
    assert set(facts["load_ms"]) == set(clip.TOWERS)
    assert all(row["cold"] > 0 and row["warm"] > 0 for row in facts["load_ms"].values())
    assert sum("clip" in line for line in clip.sections({f"{clip.GROUP} load": facts})) == 2


def test_weights_that_are_there_are_measured(tmp_path: Path) -> None:
    models = write_networks(tmp_path / "models", clip.TOWERS)
    plan = clip.prepare(models, [], tmp_path, pytest.fail, quick=True)
    assert [job.key for job in plan.jobs] == ["clip", "clip load"]
    assert plan.rows[0].goal == clip.GOAL
    assert not plan.skipped
