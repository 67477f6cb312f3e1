"""The routes that only the heavy service has: faces with their order, distances with their calibrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from hearthwatch.models.depth_estimator import METHODS
from hearthwatch.services import HEAVY
from made_up import write_network, write_samples
from served import Served, picture, problem_of, serve, text_of

FRAME = picture(640, 480)
#: Nobody's joints are here.
CORNER = [590, 400, 639, 479]
#: Where the made-up pose network sees somebody.
PERSON = [60, 80, 180, 380]


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("weights"), "enrichment") as served:
        yield served


def asked(served: Served, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The answer of `/demographics`, and the models that ran for it."""
    before = len(served.engine.runs)
    answer = served.ask("/demographics", FRAME, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json(), served.engine.runs[before:]


@pytest.fixture(scope="module")
def warm(heavy: Served) -> Served:
    """All models in memory, so that what runs is what was asked."""
    for model in HEAVY.models:
        assert heavy.client.post(f"/models/preload?model_name={model}").status_code == 200
    return heavy


class TestFaces:
    def test_the_face_that_is_sent_is_looked_at_and_nothing_else_runs(self, warm: Served) -> None:
        body, ran = asked(warm, face_bbox=[100, 100, 160, 170], bbox=CORNER)
        assert ran == ["demographics"]
        assert body["face_source"] == "face_bbox"
        assert body["face_bbox"] == {"x": 100, "y": 100, "width": 60, "height": 70}
        assert body["gender"] in {"female", "male"}
        assert body["missing"] == []

    @pytest.mark.parametrize("fields", [{}, {"bbox": PERSON}], ids=["anybody", "one person"])
    def test_else_the_joints_of_the_head_show_it(self, warm: Served, fields: dict[str, Any]) -> None:
        body, ran = asked(warm, **fields)
        assert ran == ["pose_estimator", "demographics"]
        assert body["face_source"] == "keypoints"
        assert body["age_group"] is not None

    def test_else_the_face_detector_finds_it(self, tmp_path: Path) -> None:
        with serve(tmp_path, "enrichment", with_weights=("face_detector", "demographics")) as served:
            body, ran = asked(served)
            assert ran.count("demographics") >= 1
            assert body["face_source"] == "face_detector"
            assert body["face_bbox"]["width"] > 20
            body = served.ask("/demographics", FRAME, bbox=CORNER).json()
            assert body["missing"][-1] == "pose_estimator has no weights and was not asked"

    def test_without_a_face_all_is_null_with_the_reason_and_no_age_is_made_up(self, warm: Served) -> None:
        body, ran = asked(warm, bbox=CORNER)
        assert ran == ["pose_estimator", "face_detector"]
        told = {name: body[name] for name in body if name not in {"missing", "weights", "inference_time_ms"}}
        assert set(told.values()) == {None}
        assert "the face detector found none" in body["missing"][0]
        assert body["weights"] == "real"

    def test_a_face_that_is_too_small_is_said_with_both_numbers(self, warm: Served) -> None:
        body, ran = asked(warm, face_bbox=[10, 10, 22, 24])
        assert ran == []
        assert body["missing"] == ["the face has 12 x 14 px, and at least 20 are needed"]
        assert body["weights"] is None

    def test_a_face_outside_the_picture_is_a_bad_box(self, warm: Served) -> None:
        problem_of(warm.ask("/demographics", FRAME, face_bbox=[900, 0, 950, 60]), 422, "bad_box")

    def test_where_nobody_can_look_for_a_face_the_command_is_told(self, tmp_path: Path) -> None:
        with serve(tmp_path, "enrichment", with_weights=("demographics",)) as served:
            body = problem_of(served.ask("/demographics", FRAME), 503, "weights_missing")
            assert body["model"] == "face_detector"
            assert served.ask("/demographics", FRAME, face_bbox=[100, 100, 160, 170]).status_code == 200

    def test_a_face_that_a_sample_network_placed_makes_a_sample_s_answer(self, tmp_path: Path) -> None:
        own = write_network("demographics", tmp_path / "own" / "demographics.onnx")
        options = {"weights": "sample", "samples_dir": write_samples(tmp_path / "samples"),
                   "paths": {"demographics": own}}  # fmt: skip
        with serve(tmp_path / "none", "enrichment", options=options, with_weights=()) as served:
            assert asked(served)[0]["weights"] == "sample"
            assert asked(served, face_bbox=[100, 100, 160, 170])[0]["weights"] == "custom"

    def test_the_time_is_that_of_all_networks(self, warm: Served) -> None:
        answer = warm.ask("/demographics", FRAME)
        stages = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
        within = sum(float(stages[name]) for name in ("preprocess", "infer", "postprocess"))
        assert answer.json()["inference_time_ms"] == pytest.approx(within, abs=0.03)


def distance(served: Served, **fields: Any) -> dict[str, Any]:
    answer = served.ask("/object-distance", FRAME, **fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class TestDistances:
    def test_each_method_reduces_the_box_in_its_own_way(self, heavy: Served) -> None:
        found = {method: distance(heavy, bbox=PERSON, method=method)["relative_depth"] for method in METHODS}
        assert found["min"] <= min(found["median"], found["mean"], found["center"])
        assert len(set(found.values())) == len(METHODS)
        assert distance(heavy, bbox=PERSON) == distance(heavy, bbox=PERSON, method="center") | {
            "inference_time_ms": pytest.approx(0, abs=1000)
        }

    def test_without_a_box_it_is_about_the_whole_picture(self, heavy: Served) -> None:
        assert distance(heavy, method="min")["relative_depth"] == 0.0
        assert distance(heavy, method="min", bbox=CORNER)["relative_depth"] >= 0.0

    def test_metres_without_a_calibration_are_an_estimate(self, heavy: Served) -> None:
        body = distance(heavy, bbox=PERSON)
        assert body["calibrated"] is False
        assert 2.0 <= body["estimated_distance_m"] <= 30.0

    def test_another_method_is_refused(self, heavy: Served) -> None:
        body = problem_of(heavy.ask("/object-distance", FRAME, method="mode"), 422, "bad_input")
        assert body["detail"][0]["loc"] == ["body", "method"]

    def test_a_calibration_gives_metres_in_every_way_of_asking(self, tmp_path: Path) -> None:
        network = write_network("depth_estimator", tmp_path / "own" / "depth_estimator.onnx", space="porch")
        line = {"slope": 0.02, "offset": 0.1, "inverse": True, "nearest_m": 2.0, "farthest_m": 20.0, "space": "porch"}
        text = orjson.dumps(line).decode()
        with serve(tmp_path, "enrichment", options={"paths": {"depth_estimator": network}}) as served:
            ways = [
                served.client.post("/object-distance", json={"image": text_of(FRAME), "calibration": line}),
                served.client.post("/object-distance", files={"file": FRAME}, data={"calibration": text}),
                served.client.post(
                    "/object-distance", content=FRAME, headers={"content-type": "image/png"},
                    params={"calibration": text},
                ),
            ]  # fmt: skip
            bodies = [way.json() for way in ways]
            assert all(body["calibrated"] is True for body in bodies)
            assert len({body["estimated_distance_m"] for body in bodies}) == 1
            assert bodies[0]["estimated_distance_m"] != distance(served)["estimated_distance_m"]
            other = problem_of(
                served.ask("/object-distance", FRAME, calibration=line | {"space": "gate"}), 422, "bad_calibration"
            )
            assert "gate" in other["detail"]
            assert "porch" in other["detail"]

    @pytest.mark.parametrize("value", ["a line", [1, 2], {"slope": 1}, {"slope": "steep"}], ids=str)
    def test_what_is_no_calibration_is_said(self, heavy: Served, value: Any) -> None:
        problem_of(heavy.ask("/object-distance", FRAME, calibration=value), 422, "bad_calibration")


def test_the_page_of_models_has_every_model_of_the_service(heavy: Served) -> None:
    for path in ("/models", "/models/status", "/models/registry"):
        assert [row["name"] for row in heavy.client.get(path).json()["models"]] == list(HEAVY.models)
    status = heavy.client.get("/models/status").json()
    assert {"budget_mb", "used_mb", "used_declared_mb", "used_measured_mb"} <= set(status)
    assert {"state", "declared_mb", "measured_mb", "priority", "last_used", "leases"} <= set(status["models"][0])
    body = heavy.client.post("/models/preload", json={"model_name": "vehicle"}).json()
    assert (body["model_name"], body["state"]) == ("vehicle_classifier", "ready")
    body = heavy.client.post("/models/unload?model_name=vehicle").json()
    assert body["state"] == "cold"
    assert body["bytes_returned"] >= 0


def test_a_clip_of_frames_of_several_sizes_is_one_view(heavy: Served) -> None:
    smaller = picture(320, 240)
    # In pixels of the first frame; unscaled, it would lie outside of the second.
    body = heavy.client.post(
        "/action-classify",
        json={
            "frames": [text_of(FRAME), text_of(smaller)],
            "bbox": [500, 300, 600, 400],
            "labels": ["waving", "hiding"],
        },
    )
    assert body.status_code == 200, body.text
    assert body.json()["all_scores"].keys() == {"waving", "hiding"}
    assert sum(body.json()["all_scores"].values()) == pytest.approx(1, abs=1e-3)
