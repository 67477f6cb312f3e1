"""docs/pipeline.md: its example runs, and its tables have what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from hearthwatch.pipeline import EnrichmentResult, EnrichmentTrackingResult
from hearthwatch.pipeline.approach import FORGET_S, MAX_SIGHTINGS, MIN_SIGHTINGS, MIN_SPAN_S, WINDOW_S
from hearthwatch.pipeline.looks import standard_looks
from hearthwatch.pipeline.pipeline import PICTURES_AT_ONCE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/pipeline.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    """Without any weights: it says so, and what needs none is answered."""
    example = PAGE.split("```python\n")[1].split("```")[0]
    photo = ROOT / "src/hearthwatch/adapter/pictures/astronaut.jpg"
    (tmp_path / "porch.jpg").write_bytes(photo.read_bytes())
    variables = {"HEARTHWATCH_MODELS_DIR": str(tmp_path / "none"), "HEARTHWATCH_CACHE_DIR": str(tmp_path / "cache")}
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_MODEL_PATH")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path, env=environment | variables, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[:2] == ["Status: full", "Picture: good, day"]
    assert "Not run: pose_estimator: no weights installed" in lines


def test_every_field_of_a_result_is_in_the_table_and_in_one_row() -> None:
    table = PAGE.partition("| field | filled by |")[2].partition("\n\n")[0]
    first = [row.split(" | ")[0] for row in table.splitlines()[2:]]
    named = [name for cell in first for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(field.name for field in fields(EnrichmentResult))


def test_the_page_names_what_the_account_has_and_the_numbers_that_the_code_has() -> None:
    words = {"status", "weights"}
    assert words <= {field.name for field in fields(EnrichmentTrackingResult)}
    assert [look.name for look in standard_looks()] == ["image_quality", "scene_change"]
    assert PICTURES_AT_ONCE == 4
    assert "Four are worked on at once" in PAGE
    assert (MAX_SIGHTINGS, WINDOW_S, FORGET_S, MIN_SIGHTINGS, MIN_SPAN_S) == (16, 15.0, 120.0, 3, 1.0)
    assert "up to 16 sightings\nof 15 seconds, and forgets it two minutes after" in PAGE
    assert "Three sightings over a second are the least" in PAGE
