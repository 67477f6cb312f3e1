"""The wire contract, looped over `contract.yaml`: what each route answers, in each way of asking, and every refusal."""

from __future__ import annotations

import base64
import io
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from hearthwatch.errors import OutOfMemory
from hearthwatch.services import SERVICES, get_service
from hearthwatch.serving.guard import Access
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.vision.header import Limits
from served import (
    CONTRACT,
    EVERY,
    NumbersEngine,
    Served,
    ask_every_way,
    needed,
    page,
    picture,
    problem_of,
    serve,
    text_of,
)
from server_process import until

ROUTES = [(name, path) for name, service in CONTRACT["services"].items() for path in service["routes"]]
IDS = [f"{name}{path}" for name, path in ROUTES]
#: Fields that differ between two equal requests.
TIMES = {"inference_time_ms"}


@pytest.fixture(scope="module", params=list(CONTRACT["services"]))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each service, on made-up networks."""
    with serve(tmp_path_factory.mktemp("weights"), request.param) as found:
        yield found


@pytest.fixture(scope="module")
def all_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """Every service at once, by name."""
    with ExitStack() as stack:
        names = list(CONTRACT["services"])
        yield {name: stack.enter_context(serve(tmp_path_factory.mktemp(name), name)) for name in names}


@pytest.fixture(params=ROUTES, ids=IDS)
def route(request: pytest.FixtureRequest, all_served: dict[str, Served]) -> tuple[Served, str, dict[str, Any]]:
    """(service, path, its row) of every route."""
    name, path = request.param
    return all_served[name], path, page(name)["routes"][path]


def without_times(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: without_times(value) for key, value in body.items() if key not in {*TIMES, "filename"}}
    return [without_times(value) for value in body] if isinstance(body, list) else body


CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str),
    "int": lambda v: isinstance(v, int),
    "number": lambda v: isinstance(v, (int, float)) and math.isfinite(v),
    "share": lambda v: 0 <= v <= 1,
    "xywh": lambda v: set(v) == {"x", "y", "width", "height"} and all(math.isfinite(n) for n in v.values()),
    "list": lambda v: isinstance(v, list),
    "dict": lambda v: isinstance(v, dict),
    "any": lambda _: True,
}


class TestAnswers:
    def test_the_page_and_the_code_have_the_same_routes_and_ports(self) -> None:
        assert {service.name for service in SERVICES} == set(CONTRACT["services"])
        for service in SERVICES:
            row = page(service.name)
            assert service.port == row["port"]
            assert [route.path for route in service.routes] == list(row["routes"])
            for alias in row["aliases"]:
                assert get_service(alias) is service

    def test_every_way_of_asking_has_the_same_answer(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        fields: dict[str, Any]
        for fields in ({}, row["takes"]):
            answers = ask_every_way(served, path, row, picture(), **fields)
            for answer in answers:
                assert answer.status_code == 200, answer.text
                assert answer.headers["content-type"] == "application/json"
            bodies = [without_times(answer.json()) for answer in answers]
            assert all(body == bodies[0] for body in bodies[1:])

    def test_the_documented_fields_are_there(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        body = ask_every_way(served, path, row, picture())[0].json()
        assert set(row["answers"]) <= set(body)
        found = 0
        for name, columns in row.get("lists", {}).items():
            for entry in body[name]:
                found += 1
                for column, kind in columns.items():
                    assert CHECKS[kind](entry[column]), (name, column, entry[column])
        assert found or not row.get("lists"), "the made-up network finds something, else this test sees nothing"

    def test_times_are_told_apart(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        answer = ask_every_way(served, path, row, picture())[0]
        stages = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
        assert list(stages) == EVERY["server_timing"]
        assert (float(stages["decode"]) > 0) is not bool(row.get("pictureless"))
        within = float(stages["preprocess"]) + float(stages["infer"]) + float(stages["postprocess"])
        assert answer.json()["inference_time_ms"] == pytest.approx(within, abs=0.03)

    def test_a_picture_of_32_by_32_is_one(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        assert ask_every_way(served, path, row, picture(32, 32))[0].status_code == 200

    @pytest.mark.parametrize("kind", [".jpg", ".png", ".webp", ".bmp"])
    def test_formats_are_told_by_content_and_not_by_name(self, all_served: dict[str, Served], kind: str) -> None:
        answer = all_served["light"].client.post(
            "/person-reid", content=picture(kind=kind), headers={"content-type": "image/gif"}
        )
        assert answer.status_code == 200, answer.text

    def test_orientation_is_applied(self, all_served: dict[str, Served]) -> None:
        upright = PILImage.open(io.BytesIO(picture(48, 32)))
        turned, exif = io.BytesIO(), PILImage.Exif()
        exif[0x0112] = 6  # shown a quarter turn clockwise
        upright.rotate(90, expand=True).save(turned, "PNG", exif=exif)
        detected = [all_served["yolo26"].ask("/detect", data).json() for data in (picture(48, 32), turned.getvalue())]
        assert (detected[1]["image_width"], detected[1]["image_height"]) == (48, 32)
        assert without_times(detected[0]) == without_times(detected[1])

    def test_unknown_keys_are_ignored(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        plain, odd = (ask_every_way(served, path, row, picture(), **extra)[0] for extra in ({}, {"camera": "porch"}))
        assert without_times(plain.json()) == without_times(odd.json())

    def test_boxes_come_in_three_forms_and_are_clamped(self, all_served: dict[str, Served]) -> None:
        forms: list[Any] = [
            [4, 4, 40, 32],
            {"x1": 4, "y1": 4, "x2": 40, "y2": 32},
            {"x": 4, "y": 4, "width": 36, "height": 28},
            [4, 4, 900, 900],
        ]
        answers = [without_times(all_served["light"].ask("/person-reid", bbox=form).json()) for form in forms]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0] != without_times(all_served["light"].ask("/person-reid").json())

    def test_an_embedding_is_a_unit_vector_with_its_key(self, all_served: dict[str, Served]) -> None:
        body = all_served["light"].ask("/person-reid").json()
        assert len(body["embedding"]) == body["embedding_dim"] == 512
        assert np.linalg.norm(body["embedding"]) == pytest.approx(1.0, abs=1e-5)
        assert re.fullmatch("[0-9a-f]{16}", body["embedding_hash"])

    def test_a_depth_map_is_a_grey_png_whose_darkest_is_nearest(self, all_served: dict[str, Served]) -> None:
        body = all_served["light"].ask("/depth-estimate").json()
        image = PILImage.open(io.BytesIO(base64.b64decode(body["depth_map_base64"])))
        assert image.format == "PNG"
        assert image.mode == "L"
        assert (body["min_depth"], body["max_depth"]) == (0.0, 1.0)
        assert image.getextrema() == (0, 255)
        part = all_served["light"].ask("/depth-estimate", bbox=[0, 0, 20, 32]).json()
        assert 0 <= part["min_depth"] <= part["mean_depth"] <= part["max_depth"] <= 1
        assert part["mean_depth"] != body["mean_depth"]

    def test_fewer_objects_are_left_at_a_higher_confidence_and_of_fewer_classes(
        self, all_served: dict[str, Served]
    ) -> None:
        detector = all_served["yolo26"]
        every = detector.ask("/detect", confidence=0).json()["detections"]
        assert every
        assert detector.ask("/detect", confidence=1).json()["detections"] == []
        assert detector.ask("/detect", classes=["no such class"]).json()["detections"] == []

    def test_one_bad_picture_costs_its_own_row(self, all_served: dict[str, Served]) -> None:
        images = [text_of(picture()), "no picture", text_of(b"neither"), text_of(picture(64, 48))]
        rows = all_served["yolo26"].client.post("/detect/batch", json={"images": images}).json()["results"]
        assert [row["index"] for row in rows] == [0, 1, 2, 3]
        assert [bool(row.get("error")) for row in rows] == [False, True, True, False]
        assert [row["image_width"] for row in rows] == [40, None, None, 64]

    def test_rows_name_the_files_that_were_sent(self, all_served: dict[str, Served]) -> None:
        files = [("files", ("porch.png", picture())), ("files", ("gate.png", picture()))]
        rows = all_served["yolo26"].client.post("/detect/batch", files=files).json()["results"]
        assert [row["filename"] for row in rows] == ["porch.png", "gate.png"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "status", "code"),
        [
            (b"", 400, "not_an_image"),
            (b"not a picture at all", 400, "not_an_image"),
            (picture(kind=".jpg")[:-40], 400, "image_truncated"),
            (b"II*\0" + b"\0" * 40, 415, "unsupported_media_type"),
            (picture(9000, 8000), 413, "image_too_large"),
        ],
        ids=["empty", "text", "cut", "tiff", "72 megapixels"],
    )
    def test_what_is_no_usable_picture(
        self, route: tuple[Served, str, dict[str, Any]], data: bytes, status: int, code: str
    ) -> None:
        served, path, row = route
        for answer in ask_every_way(served, path, row, data):
            if row.get("pictureless"):
                assert answer.status_code == 200
            elif row.get("many"):
                assert [entry["code"] for entry in answer.json()["results"]] == [code] * 2
            else:
                problem_of(answer, status, code)

    def test_base64_that_is_none(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, row = route
        if not (row.get("many") or row.get("pictureless") or row.get("frames")):
            problem_of(served.client.post(path, json={"image": "%%%"}), 400, "not_an_image")

    def test_another_media_type(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, _ = route
        answer = served.client.post(path, content=b"x", headers={"content-type": "text/plain"})
        problem_of(answer, 415, "unsupported_media_type")

    def test_a_body_that_is_no_json_and_one_without_a_picture(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, _ = route
        broken = served.client.post(path, content=b"{", headers={"content-type": "application/json"})
        problem_of(broken, 422, "bad_input")
        problem_of(served.client.post(path, json={}), 422, "bad_input")

    @pytest.mark.parametrize(
        "box",
        [[10, 10, 5, 20], [0, 0, 0, 0], [500, 500, 600, 600], [1, 2, 3], ["a", 0, 1, 1], {"x": 1}, "nonsense", 7],
        ids=str,
    )
    def test_a_box_that_is_none_is_shown(self, route: tuple[Served, str, dict[str, Any]], box: Any) -> None:
        served, path, row = route
        if "bbox" in row["takes"]:
            problem_of(served.ask(path, **needed(row), bbox=box), 422, "bad_box")

    @pytest.mark.parametrize("value", [-0.1, 1.1, "high", [0.5], {}, True])
    def test_a_confidence_that_is_none(self, route: tuple[Served, str, dict[str, Any]], value: Any) -> None:
        served, path, row = route
        for field in {"confidence", "min_confidence"} & set(row["takes"]):
            key = "images" if row.get("many") else "image"
            sent = [text_of(picture())] if row.get("many") else text_of(picture())
            body = problem_of(served.client.post(path, json={key: sent, field: value}), 422, "bad_input")
            assert isinstance(body["detail"], list)
            assert body["detail"][0]["loc"][:2] == ["body", field]

    def test_nothing_that_was_sent_comes_back_in_an_error(self, all_served: dict[str, Served]) -> None:
        answer = all_served["light"].ask("/pose-analyze", min_confidence="swordfish")
        assert "swordfish" not in answer.text

    def test_too_many_pictures(self, all_served: dict[str, Served]) -> None:
        images = [text_of(picture())] * 33
        body = problem_of(
            all_served["yolo26"].client.post("/detect/batch", json={"images": images}), 422, "too_many_items"
        )
        assert "33" in body["detail"]
        assert "32" in body["detail"]

    def test_too_many_pixels_together(self, all_served: dict[str, Served]) -> None:
        images = [text_of(picture(7900, 8000, kind=".png"))] * 3
        problem_of(all_served["yolo26"].client.post("/detect/batch", json={"images": images}), 413, "image_too_large")

    def test_limits_are_told_with_both_numbers(self, tmp_path: Path) -> None:
        limits = RequestLimits(picture=Limits(max_bytes=2000), max_bytes=5000)
        with serve(tmp_path, limits=limits) as served:
            body = problem_of(served.ask("/pose-analyze", b"x" * 3000), 413, "image_too_large")
            assert "2,000" in body["detail"]
            body = problem_of(served.ask("/pose-analyze", b"x" * 6000), 413, "request_too_large")
            assert "5,000" in body["detail"]

    def test_unknown_routes_and_methods(self, served: Served) -> None:
        body = problem_of(served.client.post("/nothing"), 404, "unknown_route")
        assert served.service.routes[0].path in body["detail"]
        answer = served.client.get(served.service.routes[0].path)
        problem_of(answer, 405, "unknown_route")
        assert answer.headers["allow"] == "POST"

    @pytest.mark.parametrize("value", ["soon", "", "nan", "1e99", "inf"])
    def test_a_deadline_that_is_none(self, route: tuple[Served, str, dict[str, Any]], value: str) -> None:
        served, path, _ = route
        problem_of(served.client.post(path, json={}, headers={"x-deadline-ms": value}), 422, "bad_input")

    @pytest.mark.parametrize("value", ["0", "-5"])
    def test_a_deadline_that_is_over(self, route: tuple[Served, str, dict[str, Any]], value: str) -> None:
        served, path, _ = route
        answer = served.client.post(path, json={"image": text_of(picture())}, headers={"x-deadline-ms": value})
        problem_of(answer, 504, "deadline_exceeded")

    def test_keys_are_asked_for_everywhere_but_at_the_probes(self, tmp_path: Path) -> None:
        with serve(tmp_path, access=Access("secret")) as served:
            for path in EVERY["probes"]:
                assert served.client.get(path).status_code == 200, path
            for path in (*EVERY["pages"], *CONTRACT["services"]["light"]["routes"]):
                problem_of(served.client.get(path), 401, "unauthorized")
                assert served.client.get(path, headers={"x-api-key": "secret"}).status_code != 401

    def test_web_pages_of_others_are_refused(self, route: tuple[Served, str, dict[str, Any]]) -> None:
        served, path, _ = route
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"host": "evil.example"}):
            problem_of(served.client.post(path, json={}, headers=headers), 403, "cross_site")


class TestModelsThatCannotAnswer:
    def test_missing_weights_name_the_command_and_no_time_to_wait(self, tmp_path: Path) -> None:
        with serve(tmp_path, with_weights=()) as served:
            for route in (route for route in served.service.routes if route.model):
                answer = served.ask(route.path)
                body = problem_of(answer, 503, "weights_missing")
                assert body["model"] == route.model
                assert "retry-after" not in answer.headers
                assert str(tmp_path) in body["detail"]
            everything = served.ask("/enrich", detection_type="person").json()
            assert (everything["status"], everything["weights"]) == ("skipped", None)
            assert everything["skipped"]["threat_detector"] == "no weights installed"
            rows = {row["name"]: row for row in served.client.get("/models").json()["models"]}
            assert {row["state"] for row in rows.values()} == {"missing_weights"}
            assert rows["pose_estimator"]["remedy"]
            assert served.client.get("/health").status_code == 200

    def test_a_failed_load_cools_down_and_says_for_how_long(self, tmp_path: Path) -> None:
        tries: list[str] = []

        def fail(model: str) -> None:
            tries.append(model)
            raise RuntimeError("the engine has no such operator")

        with serve(tmp_path, engine=NumbersEngine(before_load=fail)) as served:
            for _ in range(3):
                answer = served.ask("/pose-analyze")
                body = problem_of(answer, 503, "load_failed")
                assert int(answer.headers["retry-after"]) >= 1
                assert "no such operator" in body["detail"]
            assert tries.count("pose_estimator") == 1
            row = next(row for row in served.client.get("/models").json()["models"] if row["name"] == "pose_estimator")
            assert row["state"] == "failed"
            assert "no such operator" in row["reason"]
            assert served.client.get("/health").json()["status"] == "degraded"
            assert served.ask("/person-reid").status_code == 503  # each model fails by itself
            assert "other" not in tries

    def test_a_model_larger_than_the_budget_is_refused_at_once(self, tmp_path: Path) -> None:
        with serve(tmp_path, budget_mb=10) as served:
            body = problem_of(served.ask("/pose-analyze"), 507, "budget_too_small")
            assert "10" in body["detail"]

    def test_no_room_on_the_device_is_told(self, tmp_path: Path) -> None:
        def run_out(_model: str) -> None:
            raise OutOfMemory("the device has no room")

        with serve(tmp_path, engine=NumbersEngine(before_load=run_out)) as served:
            answer = served.ask("/pose-analyze")
            problem_of(answer, 503, "out_of_memory")
            assert "retry-after" in answer.headers

    def test_a_load_longer_than_the_deadline_goes_on(self, tmp_path: Path) -> None:
        gate = threading.Event()
        with serve(tmp_path, engine=NumbersEngine(before_load=lambda _model: gate.wait(60))) as served:
            answer = served.client.post(
                "/pose-analyze", json={"image": text_of(picture())}, headers={"x-deadline-ms": "200"}
            )
            problem_of(answer, 503, "loading")
            assert "retry-after" in answer.headers
            assert served.client.get("/health").json()["models_loaded"]["pose_estimator"] is False
            assert served.client.get("/livez").status_code == 200
            gate.set()
            assert served.ask("/pose-analyze").status_code == 200

    def test_a_call_longer_than_the_deadline_is_given_up(self, tmp_path: Path) -> None:
        gate = threading.Event()
        engine = NumbersEngine()
        with serve(tmp_path, engine=engine) as served:
            assert served.ask("/pose-analyze").status_code == 200
            engine.before_run = lambda _model: gate.wait(60)
            headers = {"x-deadline-ms": "200"}
            answer = served.client.post("/pose-analyze", json={"image": text_of(picture())}, headers=headers)
            problem_of(answer, 504, "deadline_exceeded")
            gate.set()

    def test_a_full_queue_says_when_to_come_back(self, tmp_path: Path) -> None:
        gate, running = threading.Event(), threading.Event()
        engine = NumbersEngine()
        with serve(tmp_path, engine=engine, runner={"threads": 1, "queue_limit": 1}) as served:
            assert served.ask("/pose-analyze").status_code == 200

            def hold(_model: str) -> None:
                running.set()
                gate.wait(60)

            engine.before_run = hold
            clients = [threading.Thread(target=served.ask, args=("/pose-analyze",)) for _ in range(2)]
            clients[0].start()
            assert running.wait(30)
            clients[1].start()
            until(lambda: served.runner.waiting("pose_estimator") == 1)
            answer = served.ask("/pose-analyze")
            problem_of(answer, 429, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
            gate.set()
            for client in clients:
                client.join()

    def test_a_network_that_fails_is_an_internal_error(self, tmp_path: Path) -> None:
        engine = NumbersEngine()
        with serve(tmp_path, engine=engine) as served:
            assert served.ask("/pose-analyze").status_code == 200

            def fail(_model: str) -> None:
                raise ValueError("a tensor has the wrong shape")

            engine.before_run = fail
            problem_of(served.ask("/pose-analyze"), 500, "internal")
            engine.before_run = None
            assert served.ask("/pose-analyze").status_code == 200

    def test_a_process_that_stops_takes_no_new_work(self, tmp_path: Path) -> None:
        with serve(tmp_path) as served:
            served.process.status.draining = True
            answer = served.ask("/pose-analyze")
            problem_of(answer, 503, "draining")
            assert "retry-after" in answer.headers
            ready = served.client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["reasons"]
            assert served.client.get("/health").json()["status"] == "draining"
