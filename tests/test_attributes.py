"""How much one answer tells about one person: `hearthwatch analyze` with real weights on real photographs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

pytestmark = pytest.mark.weights
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/pipeline.md"
#: One person from the waist up, in the package; and a man who stands before others, whose answer the page prints.
PHOTOS = ("src/hearthwatch/adapter/pictures/astronaut.jpg", "data/photos/000000181542.jpg")
#: What the goal asks for.
AT_LEAST = 12
#: A joint below it is not seen.
SEEN = 0.5

Told = Mapping[str, Any]


def joints(told: Told) -> int:
    return sum((joint["confidence"] or 0) >= SEEN for joint in told["pose"]["keypoints"])


#: Each statement about a person, once: no confidences, no other names for the same word, nothing about how it was made.
ATTRIBUTES: Mapping[str, Callable[[Told, Told], Any]] = {
    "what it is": lambda one, _: one["class"],
    "where": lambda one, _: one["bbox"],
    "posture": lambda _, told: None if told["pose"]["posture"] == "unknown" else told["pose"]["posture"],
    "joints that are seen": lambda _, told: joints(told),
    "alerts of the posture": lambda _, told: told["pose"]["alerts"],
    "weapon": lambda _, told: told["threat"],
    "where the face is": lambda _, told: told["face"]["bbox"],
    "points of the face": lambda _, told: told["face"]["landmarks"],
    "apparent age": lambda _, told: told["demographics"]["age_range"],
    "age group": lambda _, told: told["demographics"]["age_group"],
    "apparent gender": lambda _, told: told["demographics"]["gender"],
    "appearance": lambda _, told: told["reid"]["embedding"],
    "clothes": lambda _, told: told["clothing"]["description"],
    "what is carried": lambda _, told: told["clothing"]["carrying"],
    "action": lambda _, told: told["action"]["action"],
    "distance": lambda _, told: told["depth"]["estimated_distance_m"],
    "depth in the picture": lambda _, told: told["depth"]["relative_depth"],
    "nearness in words": lambda _, told: told["depth"]["proximity_label"],
}


def known(person: Told) -> dict[str, Any]:
    """The attributes with a value; not those that are null, skipped, failed or empty."""
    found = {}
    for name, read in ATTRIBUTES.items():
        try:
            value = read(person, person["enrichment"])
        except (KeyError, TypeError):  # the model was not asked, or found nothing
            continue
        if value:
            found[name] = value
    return found


@pytest.fixture(scope="module")
def answers(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The largest person of each photograph."""
    paths = [ROOT / PHOTOS[0], assets / PHOTOS[1]]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_MODEL_PATH")} | {
        "HEARTHWATCH_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "HEARTHWATCH_MODELS_DIR": str(assets / "weights"),
        "HEARTHWATCH_WEIGHTS": "real",
    }
    command = [sys.executable, "-m", "hearthwatch", "analyze", *map(str, paths), "--json"]
    run = subprocess.run(command, capture_output=True, env=environment, timeout=240, check=False)
    assert run.returncode == 0, run.stderr.decode()
    people = []
    for event in orjson.loads(run.stdout)["events"]:
        assert event["errors"] == []
        assert set(event["weights"].values()) == {"real"}
        seen = [one for one in event["detections"] if one["class"] == "person"]
        people.append(max(seen, key=lambda one: one["bbox"]["width"] * one["bbox"]["height"]))
    return people


def test_one_answer_tells_at_least_twelve_things_about_a_person(answers: list[dict[str, Any]]) -> None:
    """Measured: 12 of the astronaut, whose legs are not in the picture, and 13 of the man who stands."""
    for path, person in zip(PHOTOS, answers, strict=True):
        told = known(person)
        assert len(told) >= AT_LEAST, f"{path}: {sorted(told)}"


def test_the_page_prints_what_is_told(answers: list[dict[str, Any]]) -> None:
    table = PAGE.read_text(encoding="utf-8").partition("<!-- one real answer -->")[2].partition("<!-- end -->")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)[1:]
    assert [name for name, _ in rows] == list(known(answers[1]))
    words = dict(rows)
    # Numbers differ a little from engine to engine; words do not.
    for name in ("what it is", "posture", "age group", "apparent gender", "nearness in words"):
        assert words[name] == str(known(answers[1])[name])


def test_what_is_not_told_has_a_reason_or_is_an_answer(answers: list[dict[str, Any]]) -> None:
    for person in answers:
        told = person["enrichment"]
        assert told["threat"] is None  # it was looked for
        assert told["skipped"]["fashion_clip"] == "no weights installed"
        assert "clothing" not in told
