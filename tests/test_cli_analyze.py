"""`hearthwatch analyze` as a person starts it: a process, its output, its exit code."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from made_up import write_network, write_samples

BUNDLED = Path(__file__).parents[1] / "src/hearthwatch/adapter/pictures/astronaut.jpg"
MISSING = {"HEARTHWATCH_MODELS_DIR": "/nonexistent"}
#: Sample weights, trained on drawn scenes, must not look like real ones anywhere.
CONFESSED = ("trained on drawn scenes", "not for real cameras", "hearthwatch models pull")


def start(*arguments: str | Path, cache: Path, **variables: str) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_MODEL_PATH")}
    environment |= {"HEARTHWATCH_CACHE_DIR": str(cache), "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "hearthwatch", "-v", "analyze", *map(str, arguments)]
    # A shell that started the tests in the background made them ignore Ctrl-C, and a child would inherit that.
    attend = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment, preexec_fn=attend)  # noqa: PLW1509


def run(*arguments: str | Path, cache: Path, **variables: str) -> tuple[int, str, str]:
    process = start(*arguments, cache=cache, **variables)
    out, err = process.communicate(timeout=240)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def weights(assets: Path) -> dict[str, str]:
    return {"HEARTHWATCH_MODELS_DIR": str(assets / "weights")}


def test_the_version_is_told_without_a_command() -> None:
    command = [sys.executable, "-m", "hearthwatch", "--version"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.startswith("hearthwatch ")


def test_without_weights_it_says_how_to_get_them_and_ends_with_3(cache: Path) -> None:
    code, out, err = run(BUNDLED, cache=cache, **MISSING)
    assert code == 3
    assert out == ""
    assert "hearthwatch models pull yolo26" in err
    assert "/nonexistent" in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A machine where nobody has any weights, with some samples in the package."""
    folder = tmp_path_factory.mktemp("fresh")
    samples = write_samples(folder / "samples", ["yolo26", "person_reid"])
    own = {"XDG_CACHE_HOME": str(folder / "home"), "HEARTHWATCH_SAMPLES_DIR": str(samples)}
    return own | {"HEARTHWATCH_MODELS_DIR": "", "HEARTHWATCH_CONTAINER": "", "HEARTHWATCH_PRECISION": "f32"}


def test_on_a_fresh_machine_sample_weights_answer_and_every_output_says_so(
    fresh: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    code, out, err = run(BUNDLED, "--out", tmp_path, cache=cache, **fresh)
    assert code == 0, err
    page = (tmp_path / "report.html").read_text()
    for text in (" ".join(out.split()), page):
        assert all(words in text for words in CONFESSED)
        assert "no sample weights exist" in text
    event = orjson.loads((tmp_path / "report.json").read_bytes())["events"][0]
    assert event["weights"]["yolo26"] == "sample"
    assert set(event["weights"]) <= {"yolo26", "person_reid", "plate_ocr", "scene_text"}
    code, out, err = run(BUNDLED, "--json", cache=cache, **fresh)
    assert code == 0
    assert orjson.loads(out)["events"][0]["weights"]["yolo26"] == "sample"
    assert all(words in err for words in CONFESSED)


def test_where_real_weights_are_asked_for_no_sample_answers(fresh: dict[str, str], cache: Path) -> None:
    code, out, err = run(BUNDLED, cache=cache, **fresh, HEARTHWATCH_WEIGHTS="real")
    assert (code, out) == (3, "")
    assert "hearthwatch models pull yolo26" in err
    assert "HEARTHWATCH_WEIGHTS=sample" in err


def test_given_detections_need_no_detector_and_absent_models_are_said_to_be_absent(cache: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('[{"id": "a", "label": "person", "bbox": [60, 0, 420, 512], "confidence": 0.9, "dwell_s": 90}]')
    code, out, _ = run(BUNDLED, "--detections", boxes, "--json", "--at", "2026-11-20T23:00", cache=cache, **MISSING)
    assert code == 0
    event = orjson.loads(out)["events"][0]
    assert event["status"] == "full"  # whoever looks at the whole picture needs no weights
    assert event["detections"][0]["enrichment"]["skipped"]["pose_estimator"] == "no weights installed"
    assert event["risk"]["risk_score"] == 20 + 15 + 10  # a person, at night, for a minute and a half
    assert event["risk"]["source"] == "rules"


def test_a_clip_that_is_named_for_clothes_tells_what_people_wear(cache: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('[{"id": "a", "label": "person", "bbox": [60, 0, 420, 512]}]')
    for model in ("clip", "clip_text"):
        write_network(model, tmp_path / "any" / f"{model}.onnx")
    named = {"CLOTHING_MODEL_PATH": str(tmp_path / "any"), "HEARTHWATCH_PRECISION": "f32"}
    asked = (BUNDLED, "--detections", boxes, "--json", "--out", tmp_path / "report")
    code, out, err = run(*asked, cache=cache, **named, **MISSING)
    assert code == 0, err
    event = orjson.loads(out)["events"][0]
    clothing = event["detections"][0]["enrichment"]["clothing"]
    assert set(clothing["categories"]) == {"suspicious", "delivery", "utility", "carrying", "casual"}
    assert clothing["color"] == "orange"
    assert (event["status"], event["weights"]["fashion_clip"]) == ("full", "custom")
    assert clothing["description"] in (tmp_path / "report" / "report.html").read_text()


def test_a_wrong_path_of_one_model_is_an_error_and_not_an_absence(cache: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('[{"label": "person", "bbox": [60, 0, 420, 512]}]')
    wrong = {"POSE_MODEL_PATH": "/nonexistent/pose.onnx"}
    code, out, _ = run(BUNDLED, "--detections", boxes, "--json", cache=cache, **wrong, **MISSING)
    assert code == 0
    event = orjson.loads(out)["events"][0]
    assert event["status"] == "partial"
    assert "POSE_MODEL_PATH = /nonexistent/pose.onnx" in " ".join(event["errors"])
    assert "pose_estimator" not in event["detections"][0]["enrichment"]["skipped"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "tomorrow"], "tomorrow"),
        (["--frames", "0"], "frames"),
        (["--detections", "/nonexistent.json"], "nonexistent"),
        (["--no-such-option"], "no-such-option"),
    ],
    ids=str,
)
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(arguments: list[str], said: str, cache: Path) -> None:
    code, _, err = run(BUNDLED, *arguments, cache=cache, **MISSING)
    assert code == 2
    assert said in err


def test_wrong_settings_are_a_sentence_that_names_the_variable(cache: Path) -> None:
    code, _, err = run(BUNDLED, cache=cache, HEARTHWATCH_PRECISION="double", **MISSING)
    assert code != 0
    assert "HEARTHWATCH_PRECISION" in err
    assert "Traceback" not in err


@pytest.mark.weights
def test_a_text_file_and_a_cut_picture_cost_only_themselves(
    assets: Path, weights: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    photo = assets / "data/plates/ru_2_a002ha98_000.jpg"
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes(photo.read_bytes()[:20_000])
    code, out, err = run(tmp_path / "notes.txt", tmp_path / "cut.jpg", photo, cache=cache, **weights)
    assert code == 1
    assert out.count("/100") == 1
    assert "A002HA98" in out
    failed = [line for line in err.splitlines() if line.startswith("failed:")]
    assert len(failed) == 2
    assert "notes.txt" in failed[0]
    assert "looks like text" in failed[0]
    assert "cut.jpg" in failed[1]
    assert "cut off" in failed[1]


@pytest.mark.weights
def test_frames_become_one_json_object_and_a_report(
    assets: Path, weights: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    frames = sorted((assets / "data/frames").glob("*.jpg"))[:3]
    code, out, _ = run(*frames, "--out", tmp_path / "o", "--json", "--camera", "campus", cache=cache, **weights)
    assert code == 0
    report = orjson.loads(out)
    assert report["version"] == 1
    assert report["failed"] == []
    assert [Path(event["source"]).name for event in report["events"]] == [frame.name for frame in frames]
    for event in report["events"]:
        check_shape(event)
        people = [d for d in event["detections"] if d["class"] == "person"]
        assert people
        for person in people:
            if pose := person["enrichment"]["pose"]:
                assert_on_the_body(pose["keypoints"], person["bbox"])
    assert (tmp_path / "o/report.html").read_text().count("<img") >= 3
    assert orjson.loads((tmp_path / "o/report.json").read_bytes())["version"] == 1
    assert len(list((tmp_path / "o").glob("*.annotated.jpg"))) == 3


def check_shape(event: dict[str, Any]) -> None:
    """The object that API.md documents."""
    keys = {"source", "camera", "time", "width", "height", "detections", "enrichment", "risk", "status", "errors"}
    assert keys | {"weights", "timings_ms"} == set(event)
    assert (event["width"], event["height"], event["camera"]) == (1920, 1080, "campus")
    assert set(event["weights"].values()) == {"real"}
    assert event["timings_ms"]["total"] > 0
    risk = {"risk_score", "risk_level", "summary", "reasoning", "reasons", "source"}
    assert risk <= set(event["risk"])
    for detection in event["detections"]:
        assert {"id", "class", "confidence", "bbox", "enrichment"} <= set(detection)
        assert set(detection["bbox"]) == {"x", "y", "width", "height"}


def assert_on_the_body(keypoints: list[dict[str, Any]], box: dict[str, float]) -> None:
    """Joints that are seen lie in the person's box, give or take a tenth of its size."""
    for joint in keypoints:
        if joint["confidence"] >= 0.5:
            assert -0.1 <= (joint["x"] - box["x"]) / box["width"] <= 1.1
            assert -0.1 <= (joint["y"] - box["y"]) / box["height"] <= 1.1


@pytest.mark.weights
def test_a_clip_is_sampled(assets: Path, weights: dict[str, str], cache: Path) -> None:
    asked = ("--frames", "2", "--json", "--at", "2026-11-20T23:00")
    code, out, _ = run(assets / "data/clips/walking.mp4", *asked, cache=cache, **weights)
    assert code == 0
    events = orjson.loads(out)["events"]
    assert len(events) == 2
    assert all("walking.mp4 @ " in event["source"] for event in events)
    first, second = (datetime.fromisoformat(event["time"]) for event in events)
    assert timedelta(0) < second - first < timedelta(minutes=1)
    assert all(any(d["class"] == "person" for d in event["detections"]) for event in events)


@pytest.mark.weights
def test_ctrl_c_keeps_what_is_done(assets: Path, weights: dict[str, str], cache: Path, tmp_path: Path) -> None:
    frames = sorted((assets / "data/frames").glob("*.jpg")) * 40
    process = start(*frames, "--out", tmp_path / "o", "--json", cache=cache, **weights)
    wait_for_load(process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err.decode()
    report = orjson.loads(out)
    assert len(report["events"]) < len(frames)
    assert (tmp_path / "o/report.json").exists() == bool(report["events"] or report["failed"])
    assert b"Traceback" not in err


def wait_for_load(process: subprocess.Popen[bytes]) -> None:
    """Until a line on stderr says that a network is loaded."""
    assert process.stderr is not None
    while line := process.stderr.readline():
        if b"loaded" in line:
            return
    raise AssertionError("the process ended before it loaded a network")
