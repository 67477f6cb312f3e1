"""`/enrich` and `/enrich/batch`: which models are asked, what each part holds, and what one failure costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hearthwatch.enrichment import DetectionEnrichment, PictureEnrichment
from hearthwatch.enrichment.parts import PARTS, became_of
from hearthwatch.errors import BudgetTooSmall, DeadlineExceeded, InferenceFailed, OutOfMemory, QueueFull
from hearthwatch.models import MODELS, ActionResult, ThreatResult, get_model
from hearthwatch.models.threat_detector import SPEC as THREAT
from hearthwatch.selection import DETECTION_TYPES, get_models_for_detection_type
from hearthwatch.services import ENRICH, ENRICH_BATCH, LIGHT, Service
from hearthwatch.serving.app import build_app
from hearthwatch.serving.desk import Desk
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.metrics import Readings, ServiceMetrics
from hearthwatch.vision.boxes import Box
from scene import HEIGHT, WIDTH, FakeRunner, answer, cut_off, inner, nothing, photo, pose
from served import NumbersEngine, Served, problem_of, serve, text_of
from served import picture as drawn
from server_process import until

PERSON, FACE = [20, 10, 60, 110], [25, 15, 55, 45]
BOX, FACE_BOX = Box(20, 10, 60, 110), Box(25, 15, 55, 45)
#: What each model declares.
MB = {model.SPEC.name: model.SPEC.declared_mb for model in MODELS}
#: Seed 003's scenarios: what is asked, the models, and the MB that they declare together.
PERSONS = ("threat_detector", "fashion_clip", "pose_estimator", "person_reid", "depth_estimator")
SCENARIOS: dict[str, tuple[dict[str, Any], set[str], int]] = {
    "person": ({"detection_type": "person"}, {*PERSONS}, 1750),
    "person with a face": (
        {"detection_type": "person", "face_visible": True, "face_bbox": FACE}, {*PERSONS, "demographics"}, 2250,
    ),
    "suspicious person with frames": (
        {"detection_type": "person", "face_visible": True, "face_bbox": FACE, "suspicious_score": 51, "frames": 3},
        {*PERSONS, "demographics", "action_recognizer"}, 3750,
    ),
    "vehicle": ({"detection_type": "vehicle"}, {"vehicle_classifier", "depth_estimator"}, 1650),
    "animal": ({"detection_type": "animal"}, {"pet_classifier", "depth_estimator"}, 350),
}  # fmt: skip


CLOTHES = answer("fashion_clip", BOX)
HIDING = ActionResult({"person hiding": 0.7, "person walking": 0.3})
LATER = {
    "action_recognizer": lambda _box: HIDING,
    "threat_detector": lambda _box: ThreatResult(),
    "pose_estimator": lambda _box: pose(),
}


@dataclass
class Host(FakeRunner):
    """A runner as a service has one."""

    switched_off: frozenset[str] = frozenset()
    finds: Mapping[str, Any] = field(default_factory=lambda: LATER)

    def offers(self, model: str) -> bool:
        return model not in self.lacks | self.switched_off

    def waiting(self, _model: str) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Whole(Service):
    """A service for every part, without the routes of each."""

    @property
    def models(self) -> tuple[str, ...]:
        return (*PARTS, "face_detector")


WHOLE = Whole(
    **{name: getattr(LIGHT, name) for name in Service.__dataclass_fields__} | {"routes": (ENRICH, ENRICH_BATCH)}
)


class Status(Readings):
    """Of a process that is well."""

    draining = False


@contextmanager
def asking(host: FakeRunner, limits: RequestLimits | None = None) -> Iterator[TestClient]:
    desk = Desk(WHOLE, host, Status(), ServiceMetrics(WHOLE, Readings()), limits or RequestLimits())  # type: ignore[arg-type]
    with TestClient(build_app(desk), base_url="http://127.0.0.1") as client:
        yield client


def ask(host: FakeRunner, path: str = "/enrich", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Any:
    fields = {"image": text_of(photo()), "detection_type": "person", "bbox": PERSON, **fields}
    if isinstance(fields.get("frames"), int):
        fields["frames"] = [text_of(photo())] * fields["frames"]
    with asking(host) as client:
        return client.post(path, json=fields, headers=headers or {})


def told(host: FakeRunner, **fields: Any) -> dict[str, Any]:
    response = ask(host, **fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


class TestScenarios:
    @pytest.mark.parametrize("name", SCENARIOS)
    def test_exactly_the_documented_models_are_loaded_with_the_documented_memory(self, name: str) -> None:
        fields, models, megabytes = SCENARIOS[name]
        host = Host()
        body = told(host, **fields)
        assert {call.model for call in host.calls} == models
        assert set(body["models_loaded"]) == models
        assert sum(MB[model] for model in body["models_loaded"]) == megabytes
        assert (body["status"], body["skipped"], body["errors"]) == ("full", {}, {})
        filled = {part for part in body if part in {row.name for row in PARTS.values()} and body[part] is not None}
        assert filled == {PARTS[model].name for model in models}

    @pytest.mark.parametrize("kind", DETECTION_TYPES)
    def test_every_type_is_asked_what_its_class_deserves(self, kind: str) -> None:
        host = Host()
        told(host, detection_type=kind.upper())
        expected = get_models_for_detection_type({"vehicle": "car", "animal": "dog"}.get(kind, kind))
        assert sorted(call.model for call in host.calls) == sorted(expected)

    @pytest.mark.parametrize("kind", ["carpet", "hot dog", "", "suspicious", "face"])
    def test_an_unknown_type_is_refused_with_the_list(self, kind: str) -> None:
        body = problem_of(ask(Host(), detection_type=kind), 422, "unknown_detection_type")
        for name in DETECTION_TYPES:
            assert name in body["detail"]

    def test_the_weapon_detector_is_asked_first(self) -> None:
        host = Host()
        told(host)
        assert host.calls[0].model == THREAT.name

    def test_every_part_of_the_page_has_its_model(self) -> None:
        asked = {model for kind in DETECTION_TYPES for model in get_models_for_detection_type(kind, True, True)}
        assert asked | {"demographics"} == set(PARTS)


class TestParts:
    def test_each_part_is_the_models_own_answer_with_its_origin_and_time(self) -> None:
        host = Host(finds={**LATER, "threat_detector": lambda box: answer("threat_detector", box)})
        body = told(host, face_visible=True, face_bbox=FACE, frames=2)
        own = {"weights": "real", "inference_time_ms": 2.0}
        assert body["threat"] == answer("threat_detector", BOX).to_wire() | own
        assert body["demographics"] == answer("demographics", FACE_BOX).to_wire() | own
        assert body["clothing"] == CLOTHES.to_wire() | own
        assert body["action"] == HIDING.to_wire() | own
        assert body["reid_embedding"] == answer("person_reid", BOX).embedding.tolist()
        assert body["reid_space"] == answer("person_reid", BOX).space
        assert (body["weights"], body["inference_time_ms"]) == ("real", 2.0 * 7)

    def test_what_formatters_of_prompts_read_is_there(self) -> None:
        finds = {**LATER, "threat_detector": lambda box: answer("threat_detector", box)}
        finds["pose_estimator"] = lambda _box: pose("standing", alerts=("arms_raised",))
        body = told(Host(finds=finds), face_visible=True, face_bbox=FACE, suspicious_score=80, frames=2)
        # Seed 003's formatter, word for word where it reads.
        assert body["threat"]["threats_detected"]
        assert body["threat"]["highest_threat"]["type"].upper() == "KNIFE"
        assert f"{body['threat']['highest_threat']['confidence']:.0%}" == "70%"
        assert body["threat"]["highest_threat"]["bbox"] == list(inner(BOX))
        assert [(one["posture"], one["confidence"]) for one in body["pose"]["poses"]] == [("arms_raised", 0.9)]
        assert (body["demographics"]["age_group"], body["demographics"]["gender"]) == ("young_adult", "female")
        assert f"{body['demographics']['confidence']:.0%}" == "80%"
        assert body["action"]["top_action"] == "person hiding"
        assert body["clothing"]["categories"]["casual"]["top_match"] == CLOTHES.categories["casual"].top_match

    def test_depth_is_a_distance_by_the_method_with_the_map_on_request(self) -> None:
        near, far = (told(Host(), options={"distance_method": name})["depth"] for name in ("min", "mean"))
        assert near["relative_depth"] <= far["relative_depth"]
        expected = answer("depth_estimator", BOX)
        assert near["relative_depth"] == pytest.approx(expected.distance("min").relative_depth)
        assert "depth_map_base64" not in near
        with_map = told(Host(), options={"depth_map": True})["depth"]
        assert with_map["depth_map_base64"] == expected.to_wire()["depth_map_base64"]
        assert with_map["estimated_distance_m"] is not None

    def test_a_person_in_whom_no_skeleton_is_found_has_the_routes_empty_answer(self) -> None:
        body = told(Host(finds={**LATER, "pose_estimator": nothing}))
        assert (body["pose"]["posture"], body["pose"]["keypoints"], body["pose"]["poses"]) == ("unknown", [], [])
        assert "pose_estimator" in body["models_loaded"]

    def test_boxes_are_clamped_and_without_one_the_whole_picture_is_meant(self) -> None:
        for sent, meant in (([100, 20, 900, 900], Box(100, 20, WIDTH, HEIGHT)), (None, Box(0, 0, WIDTH, HEIGHT))):
            host = Host()
            told(host, bbox=sent)
            assert {call.boxes for call in host.calls} == {(meant,)}

    def test_labels_and_frames_reach_the_action_model_in_their_order(self) -> None:
        host = Host()
        frames = [photo(), photo(80, 60), photo(40, 32)]
        options = {"labels": ["person waving", "person dancing"]}
        told(host, suspicious_score=90, frames=None, frames_buffer=[text_of(data) for data in frames], options=options)
        (call,) = host.asked("action_recognizer")
        assert [frame.data for frame in call.frames] == frames
        assert dict(call.options) == {"labels": ("person waving", "person dancing")}


def test_the_models_that_looked_have_one_order_whoever_was_first() -> None:
    for first in PARTS:
        names = sorted(PARTS, key=lambda name: name != first)
        looked = DetectionEnrichment(dict.fromkeys(names[:5]), names[5:])
        said = became_of(looked, PictureEnrichment())["models_loaded"]
        # Of equal priority by name: by nothing that differs between two answers, or between two processes.
        assert said == sorted(PARTS, key=lambda name: (get_model(name).SPEC.priority, name))


class TestReasons:
    def test_a_bird_is_no_pet_and_says_so(self) -> None:
        body = told(Host(), detection_type="bird")
        assert body["pet"] is None
        assert body["skipped"] == {"pet_classifier": "a bird is neither a cat nor a dog"}

    @pytest.mark.parametrize("count", [0, 1])
    def test_somebody_suspicious_without_frames_has_no_action_and_a_reason(self, count: int) -> None:
        body = told(Host(), suspicious_score=80, frames=count)
        assert body["action"] is None
        assert "a movement needs 2 or more" in body["skipped"]["action_recognizer"]

    def test_frames_of_nobody_suspicious_are_not_looked_at_and_say_so(self) -> None:
        body = told(Host(), frames=2, suspicious_score=50)
        assert body["skipped"]["action_recognizer"].startswith("nobody suspicious: a suspicious_score of 50")

    def test_a_visible_face_that_nobody_finds_is_null_with_a_reason(self) -> None:
        hidden = Host(finds={**LATER, "face_detector": nothing, "pose_estimator": nothing})
        body = told(hidden, face_visible=True)
        assert body["demographics"] is None
        assert "the face detector found none" in body["skipped"]["demographics"]

    def test_models_of_other_services_are_named(self) -> None:
        lacks = frozenset({"fashion_clip", "demographics", "action_recognizer"})
        body = told(Host(lacks=lacks), face_visible=True, suspicious_score=80, frames=2)
        assert body["skipped"] == dict.fromkeys(lacks, "not part of this service")
        assert body["status"] == "full"

    def test_demographics_that_are_switched_off_leave_no_trace(self) -> None:
        response = ask(Host(switched_off=frozenset({"demographics"})), face_visible=True, face_bbox=FACE)
        assert response.status_code == 200
        assert "demographics" not in response.text

    def test_where_there_is_no_time_for_all_the_least_valuable_say_so(self) -> None:
        host = Host()
        with asking(host) as client:
            fields = {"image": text_of(photo()), "detection_type": "person", "bbox": PERSON}
            assert client.post("/enrich", json=fields).json()["status"] == "full"
            body = client.post("/enrich", json=fields, headers={"x-deadline-ms": "1"})
        if body.status_code == 200:  # else it was over before the first model was asked
            assert body.json()["skipped"]["depth_estimator"].startswith("no time: ")
            assert body.json()["status"] in {"partial", "failed"}
        else:
            problem_of(body, 504, "deadline_exceeded")


class TestFailures:
    @pytest.mark.parametrize(
        "error", [InferenceFailed("it broke"), OutOfMemory("no room"), BudgetTooSmall("1 of 2 MB")]
    )
    @pytest.mark.parametrize("model", PERSONS)
    def test_a_failing_model_costs_its_own_part(self, model: str, error: Any) -> None:
        whole, body = told(Host()), told(Host(fails={model: error}))
        own = {*PARTS[model].fields, "errors", "status", "models_loaded", "inference_time_ms"}
        assert body["errors"] == {model: str(error)}
        assert body["status"] == "partial"
        assert {body[field] for field in PARTS[model].fields} == {None}
        assert model not in body["models_loaded"]
        assert {k: body[k] for k in body.keys() - own} == {k: whole[k] for k in whole.keys() - own}

    def test_all_that_fail_are_a_failed_answer(self) -> None:
        body = told(Host(fails=dict.fromkeys(PERSONS, InferenceFailed("it broke"))))
        assert (body["status"], set(body["errors"]), body["weights"]) == ("failed", set(PERSONS), None)

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [(QueueFull("full"), 429, "queue_full"), (DeadlineExceeded("late"), 504, "deadline_exceeded")],
    )
    def test_where_nobody_answered_and_asking_again_helps_the_request_failed(
        self, error: Any, status: int, code: str
    ) -> None:
        problem_of(ask(Host(fails=dict.fromkeys(PERSONS, error))), status, code)

    def test_a_picture_that_cannot_be_decoded_is_a_bad_request(self) -> None:
        problem_of(ask(Host(), image=text_of(cut_off())), 400, "image_truncated")

    @pytest.mark.parametrize(
        "bad", [text_of(b"no picture"), "%%%", text_of(photo()[:20])], ids=["text", "no base64", "cut"]
    )
    def test_a_frame_that_is_no_picture_costs_the_action_and_is_named(self, bad: str) -> None:
        body = told(Host(), suspicious_score=80, frames=[text_of(photo()), bad])
        assert body["errors"]["action_recognizer"].startswith("frame 1: ")
        assert (body["action"], body["status"]) == (None, "partial")
        assert "threat_detector" in body["models_loaded"]

    def test_65_frames_are_refused_with_both_numbers(self) -> None:
        with asking(Host()) as client:
            frame, fields = photo(8, 8), {"detection_type": "person"}
            tries = [
                client.post("/enrich", json={"image": text_of(photo()), **fields, name: [text_of(frame)] * 65})
                for name in ("frames", "frames_buffer")
            ]
            files = [("file", photo()), *[("frames", frame)] * 65]
            tries.append(client.post("/enrich", files=files, data=fields))
            for response in tries:
                body = problem_of(response, 422, "too_many_frames")
                assert "65" in body["detail"]
                assert "64" in body["detail"]
            files = [("file", photo()), *[("frames", frame)] * 64]
            assert client.post("/enrich", files=files, data=fields).status_code == 200

    @pytest.mark.parametrize("frames", ["x", {"a": 1}, [1, 2], [None]], ids=str)
    def test_frames_that_are_no_list_of_texts_are_refused(self, frames: Any) -> None:
        problem_of(ask(Host(), frames=frames), 422, "bad_input")

    def test_frames_under_both_names_are_refused(self) -> None:
        problem_of(ask(Host(), frames=2, frames_buffer=[text_of(photo())]), 422, "bad_input")

    def test_frames_count_among_the_pixels_of_a_request(self) -> None:
        with asking(Host(), RequestLimits(max_pixels=3 * WIDTH * HEIGHT)) as client:
            fields = {"image": text_of(photo()), "detection_type": "person"}
            for frames, status in ((2, 200), (3, 413)):
                body = client.post("/enrich", json={**fields, "frames": [text_of(photo())] * frames})
                assert body.status_code == status

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("face_bbox", [5, 5, 1, 1], "bad_box"),
            ("face_bbox", [500, 500, 600, 600], "bad_box"),
            ("bbox", [500, 500, 600, 600], "bad_box"),
            ("suspicious_score", 101, "bad_input"),
            ("suspicious_score", True, "bad_input"),
            ("face_visible", 1, "bad_input"),
            ("options", {"distance_method": "guess"}, "bad_input"),
            ("options", [1], "bad_input"),
            ("options", {"labels": ["x"] * 101}, "too_many_texts"),
            ("detection_type", None, "bad_input"),
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_refused(self, field: str, value: Any, code: str) -> None:
        problem_of(ask(Host(), **{field: value}), 422, code)

    def test_a_picture_as_the_body_leaves_no_place_for_frames_and_options(self) -> None:
        with asking(Host()) as client:
            response = client.post(
                "/enrich?detection_type=person", content=photo(), headers={"content-type": "image/jpeg"}
            )
            problem_of(response, 415, "unsupported_media_type")

    def test_a_client_that_leaves_takes_its_questions_along(self) -> None:
        async def scenario() -> None:
            from hearthwatch.enrichment import enrich_picture
            from scene import detection, picture

            host = Host(waits=dict.fromkeys(PERSONS, asyncio.Event()))
            task = asyncio.create_task(enrich_picture(host, picture(), [detection("p")], beside=False))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1
            assert host.answered == []

        asyncio.run(scenario())


class TestBatch:
    rows: tuple[dict[str, Any], ...] = (
        {"id": "a", "detection_type": "person", "bbox": PERSON},
        {"id": 7, "detection_type": "person", "bbox": [80, 10, 120, 110], "face_visible": True},
        {"detection_type": "car", "bbox": [0, 60, 60, 118]},
    )

    def batch(self, host: FakeRunner, rows: Any, status: int = 200, **fields: Any) -> Any:
        response = ask(host, "/enrich/batch", detections=rows, **fields)
        assert response.status_code == status, response.text
        return response.json()

    def test_each_row_is_what_enrich_says_and_networks_of_the_picture_run_once(self) -> None:
        host = Host()
        body = self.batch(host, self.rows)
        assert [row["id"] for row in body["results"]] == ["a", 7, "2"]
        asked = [call.model for call in host.calls]
        assert len(asked) == len(set(asked))
        assert len({id(call.picture) for call in host.calls}) == 1
        assert host.calls[0].picture is not None
        assert host.calls[0].picture.decodes == 1
        for sent, row in zip(self.rows, body["results"], strict=True):
            alone = told(Host(), **{key: value for key, value in sent.items() if key != "id"})
            assert {key: row[key] for key in row if key != "id"} == {
                key: alone[key] for key in alone if key not in {"weights", "inference_time_ms"}
            }
        assert body["inference_time_ms"] == 2.0 * len(asked)

    def test_a_detection_that_cannot_be_meant_costs_its_own_row(self) -> None:
        far = {**self.rows[0], "id": "o", "bbox": [500, 0, 600, 9]}
        rows = [self.rows[0], {"id": "b", "detection_type": "bench"}, far]
        good, bench, outside = self.batch(Host(), rows)["results"]
        assert good["status"] == "full"
        assert (bench["code"], outside["code"]) == ("unknown_detection_type", "bad_box")
        for row in (bench, outside):
            assert row["error"]
            assert (row["status"], row["models_loaded"], row["threat"]) == ("failed", [], None)

    def test_without_detections_there_are_no_rows(self) -> None:
        assert self.batch(Host(), [])["results"] == []

    def test_two_of_one_id_and_too_many_are_refused(self) -> None:
        body = self.batch(Host(), [self.rows[0], self.rows[0]], 422)
        assert "'a'" in body["detail"]
        body = self.batch(Host(), [{"detection_type": "dog"}] * 101, 422)
        assert body["code"] == "too_many_items"
        assert "101" in body["detail"]
        assert "100" in body["detail"]

    @pytest.mark.parametrize("rows", [None, "x", {"id": 1}, [1], [{"id": "a"}], [{"detection_type": 5}]], ids=str)
    def test_what_are_no_detections_is_refused(self, rows: Any) -> None:
        assert self.batch(Host(), rows, 422)["code"] == "bad_input"

    def test_only_who_is_suspicious_is_asked_about_the_frames(self) -> None:
        host = Host()
        rows = [self.rows[0], {**self.rows[1], "suspicious_score": 80}]
        first, second = self.batch(host, rows, frames=2)["results"]
        assert [call.boxes for call in host.asked("action_recognizer")] == [(Box(80, 10, 120, 110),)]
        assert first["action"] is None
        assert second["action"]["top_action"] == "person hiding"


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The light service on made-up networks, with one worker."""
    with serve(tmp_path_factory.mktemp("weights"), engine=NumbersEngine(), runner={"threads": 1}) as found:
        yield found


class TestOnRealModels:
    """On the light service, with made-up networks in real engines' place: real decoding, queue, memory."""

    def test_parts_are_the_answers_of_the_models_own_routes(self, light: Served) -> None:
        routes = {"pose": "/pose-analyze", "threat": "/threat-detect", "pet": "/pet-classify"}
        data, box = drawn(640, 640), [60, 160, 180, 460]
        person = light.ask("/enrich", data, detection_type="person", bbox=box).json()
        dog = light.ask("/enrich", data, detection_type="dog", bbox=box).json()
        assert person["models_loaded"] == ["threat_detector", "pose_estimator", "person_reid", "depth_estimator"]
        for part, path in routes.items():
            own, got = light.ask(path, data, bbox=box).json(), (dog if part == "pet" else person)[part]
            own.pop("inference_time_ms")
            assert {key: got[key] for key in own} == own
        own = light.ask("/person-reid", data, bbox=box).json()
        assert person["reid_embedding"] == pytest.approx(own["embedding"], abs=1e-6)
        assert person["skipped"] == {"fashion_clip": "not part of this service"}

    def test_the_route_is_counted_and_timed(self, light: Served) -> None:
        response = light.ask("/enrich", detection_type="person")
        stages = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
        assert float(stages["decode"]) > 0
        assert 'requests_total{endpoint="enrich",status="success"}' in light.client.get("/metrics").text

    def test_eight_people_run_the_pictures_networks_once(self, light: Served) -> None:
        rows = [{"detection_type": "person", "bbox": [10 * i, 5, 10 * i + 9, 31]} for i in range(8)]
        assert light.ask("/enrich", detection_type="person").status_code == 200
        light.engine.runs.clear()
        body = light.ask("/enrich/batch", drawn(80, 32), detections=rows).json()
        assert [row["status"] for row in body["results"]] == ["full"] * 8
        assert sorted(light.engine.runs) == ["depth_estimator", "person_reid", "pose_estimator", "threat_detector"]

    def test_the_weapon_detector_runs_before_the_others_that_are_in_memory(self, light: Served) -> None:
        for kind in ("person", "dog"):
            assert light.ask("/enrich", detection_type=kind).status_code == 200
        gate, holding = threading.Event(), threading.Event()

        def hold(_model: str) -> None:
            holding.set()
            gate.wait(60)

        # One worker, kept busy by a pet: what comes meanwhile is put in order.
        light.engine.before_run = hold
        pet = threading.Thread(target=light.ask, args=("/pet-classify",))
        pet.start()
        assert holding.wait(30)
        light.engine.before_run = None
        light.engine.runs.clear()
        person = threading.Thread(target=light.ask, args=("/enrich",), kwargs={"detection_type": "person"})
        person.start()
        others = ("threat_detector", "pose_estimator", "person_reid", "depth_estimator")
        until(lambda: all(light.runner.waiting(model) for model in others))
        gate.set()
        pet.join()
        person.join()
        assert light.engine.runs[0] == "threat_detector"
        assert sorted(light.engine.runs) == sorted(others)

    def test_a_budget_too_small_for_some_never_breaks_the_weapon_detector(self, tmp_path: Path) -> None:
        # Room for the weapon detector (400) and nothing beside it: each of the others takes turns with it.
        with serve(tmp_path, budget_mb=450, runner={"threads": 2}) as served:
            for _ in range(3):
                body = served.ask("/enrich", detection_type="person").json()
                assert body["threat"] is not None
                assert (body["status"], body["errors"]) == ("full", {})
        with serve(tmp_path, budget_mb=250, runner={"threads": 2}) as served:
            body = served.ask("/enrich", detection_type="person").json()
            assert set(body["errors"]) == {"threat_detector", "pose_estimator"}
            assert {"person_reid", "depth_estimator"} <= set(body["models_loaded"])


def test_the_limits_are_the_documented_ones() -> None:
    limits = replace(RequestLimits())
    assert (limits.max_frames, limits.max_labels, limits.max_detections) == (64, 100, 100)
