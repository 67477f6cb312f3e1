"""Several boxes of one picture in one request: a row for each, whatever they are, by one call of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter.base import PictureAdapter
from hearthwatch.enrichment import ModelCall
from hearthwatch.models import get_model
from hearthwatch.services import SERVICES, Kind, Route
from hearthwatch.serving.fields import several_field
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.responses import rows_model
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from served import Served, page, picture, problem_of, serve

ROUTES = [(service.name, route) for service in SERVICES for route in service.routes if several_field(route)]
IDS = [f"{name}{route.path}" for name, route in ROUTES]
WIDTH, HEIGHT = 640, 480
DATA = picture(WIDTH, HEIGHT, kind=".jpg")
#: The made-up networks find somebody at the first and the last of them.
BOXES: list[Any] = [
    [60.0, 80.0, 180.0, 380.0],
    {"x": 250.0, "y": 300.0, "width": 90.0, "height": 60.0},
    {"x1": 420.0, "y1": 80.0, "x2": 9000.0, "y2": 380.0},
]
INSIDE = (Box(60, 80, 180, 380), Box(250, 300, 340, 360), Box(420, 80, 640, 380))
#: Each of them is none, in another way.
NO_BOXES: list[Any] = [
    [10, 10, 5, 20], [700, 10, 800, 20], [1, 2, 3], "nonsense", "1,2,3,nan", 7, None, True, {}, [[1, 2], 3, 4, 5],
    {"x": 1},
]  # fmt: skip
#: What an answer about one box has for itself, and a row has not.
ONCE = ("weights", "inference_time_ms")


@dataclass(frozen=True)
class Asked:
    """One route of a service that runs."""

    served: Served
    route: Route

    @property
    def field(self) -> str:
        name = several_field(self.route)
        assert name is not None
        return name

    @property
    def frames(self) -> bool:
        return self.route.kind is Kind.FRAMES

    def ask(self, boxes: Any, **fields: Any) -> Any:
        return self.served.ask(self.route.path, DATA, **{self.field: boxes, **fields})

    def rows(self, boxes: Any, **fields: Any) -> list[dict[str, Any]]:
        answer = self.ask(boxes, **fields)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows

    def one(self, box: Any, **fields: Any) -> dict[str, Any]:
        single = "face_bbox" if self.route.kind is Kind.FACE else "bbox"
        answer = self.served.ask(self.route.path, DATA, **{single: box, **fields})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    with ExitStack() as stack:
        yield {s.name: stack.enter_context(serve(tmp_path_factory.mktemp(s.name), s.name)) for s in SERVICES}


@pytest.fixture(params=ROUTES, ids=IDS)
def asked(request: pytest.FixtureRequest, every: dict[str, Served]) -> Asked:
    name, route = request.param
    return Asked(every[name], route)


def plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def test_every_route_that_takes_a_box_to_one_model_takes_several() -> None:
    kinds = {Kind.MODEL, Kind.DISTANCE, Kind.FACE, Kind.FRAMES}
    wanted = {route.path for service in SERVICES for route in service.routes if route.kind in kinds}
    assert {route.path for _, route in ROUTES} == wanted
    for name, route in ROUTES:
        assert page(name)["routes"][route.path]["several"] == several_field(route)


def test_a_row_is_what_the_model_says_of_its_box_when_asked_about_all(asked: Asked) -> None:
    """Of models that look at the whole picture, what one box gets the other does not: one call knows that."""
    image = Picture(DATA)
    call = ModelCall(asked.route.model, image, INSIDE, (image, image) if asked.frames else ())
    portal = asked.served.client.portal
    assert portal is not None
    outcomes = portal.call(asked.served.runner.run, call)
    model = get_model(asked.route.model)
    for row, outcome in zip(asked.rows(BOXES), outcomes, strict=True):
        result = outcome.result
        if asked.route.kind is Kind.DISTANCE:
            result = result.distance()
        elif issubclass(model, PictureAdapter):
            result = model.for_one_box(result)
        told = plain(result.to_wire())
        assert {name: told[name] for name in row if name in told} == {n: v for n, v in row.items() if n in told}
        assert told.keys() & row.keys()
        assert "error" not in row


def test_a_row_has_the_fields_of_the_answer_about_one_box(asked: Asked) -> None:
    several, one = asked.ask(BOXES).json(), asked.one(BOXES[0])
    row = several["results"][0]
    shared = several.keys() - {"results", *ONCE}
    assert row.keys() - {"index"} == one.keys() - {*ONCE} - shared
    assert {name: several[name] for name in shared} == {name: one[name] for name in shared}
    assert several["weights"] == one["weights"]
    assert several["inference_time_ms"] > 0


def test_every_way_of_asking_has_the_same_answer(asked: Asked) -> None:
    texts = ["60,80,180,380", "250,300,340,360", "420,80,640,380"]
    path, client = asked.route.path, asked.served.client
    files = [("frames", ("a.jpg", DATA)), ("frames", ("b.jpg", DATA))] if asked.frames else [("file", ("a.jpg", DATA))]
    answers = [asked.ask(BOXES), asked.ask(texts), client.post(path, files=files, data={asked.field: texts})]
    if not asked.frames:
        raw = {"content-type": "image/jpeg"}
        answers.append(client.post(path, content=DATA, headers=raw, params={asked.field: texts}))
    found = [answer.json()["results"] for answer in answers]
    assert all(rows == found[0] for rows in found[1:])
    assert len(found[0]) == len(BOXES)


def test_a_bad_box_costs_its_own_row(asked: Asked) -> None:
    mixed = [part for pair in zip(NO_BOXES, BOXES * 4, strict=False) for part in pair]
    rows = asked.rows(mixed)
    good = asked.rows([box for box in mixed if box in BOXES])
    assert [row["index"] for row in rows] == list(range(len(mixed)))
    for row in rows[::2]:
        assert row["code"] == "bad_box"
        assert "box" in row["error"]
        assert {value for name, value in row.items() if name not in {"index", "error", "code"}} == {None}
    for row, same in zip(rows[1::2], good, strict=True):
        assert row | {"index": 0} == same | {"index": 0}


def test_where_no_box_can_be_meant_no_model_is_asked(asked: Asked) -> None:
    runs = len(asked.served.engine.runs)
    for boxes in (NO_BOXES, []):
        told = asked.ask(boxes).json()
        assert [row["code"] for row in told["results"]] == ["bad_box"] * len(boxes)
        assert (told["weights"], told["inference_time_ms"]) == (None, 0.0)
    assert len(asked.served.engine.runs) == runs


def test_the_published_form_holds_for_rows_and_for_reasons(asked: Asked) -> None:
    form = rows_model(asked.route)
    assert form is not None
    for boxes in (BOXES, [BOXES[0], *NO_BOXES], NO_BOXES, []):
        told = asked.ask(boxes).json()
        form.model_validate(told)
        assert told.keys() == form.model_fields.keys()


def test_too_many_boxes_are_refused_with_both_numbers(asked: Asked) -> None:
    for boxes in (BOXES[:1] * 101, ["1,1,9,9"] * 101):
        detail = problem_of(asked.ask(boxes), 422, "too_many_items")["detail"]
        assert "101" in detail
        assert "100" in detail
    name, data = ("frames" if asked.frames else "file"), {asked.field: ["1,1,9,9"] * 101}
    form = asked.served.client.post(asked.route.path, files={name: ("a.jpg", DATA)}, data=data)
    problem_of(form, 422, "too_many_items")


@pytest.mark.parametrize("value", ["1,2,3,4", 7, {"x": 1}, True])
def test_what_is_no_list_is_no_list_of_boxes(asked: Asked, value: Any) -> None:
    problem_of(asked.ask(value), 422, "bad_input")


def test_one_box_beside_several_is_ambiguous(asked: Asked) -> None:
    for single in {"bbox", "face_bbox"} & set(asked.route.fields):
        detail = problem_of(asked.ask(BOXES, **{single: BOXES[0]}), 422, "bad_input")["detail"]
        assert single in detail
        assert asked.field in detail
    assert len(asked.rows(BOXES, bbox=None)) == len(BOXES)


def test_a_picture_that_is_none_fails_the_request(asked: Asked) -> None:
    for data, code in ((b"nothing", "not_an_image"), (DATA[: len(DATA) // 2], "image_truncated")):
        answer = asked.served.ask(asked.route.path, data, **{asked.field: BOXES})
        problem_of(answer, 400, code)


@pytest.mark.parametrize("limit", [0, 2])
def test_the_limit_is_a_setting(limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serve(tmp_path_factory.mktemp("few"), limits=RequestLimits(max_boxes=limit)) as served:
        detail = problem_of(served.ask("/pet-classify", DATA, boxes=BOXES), 422, "too_many_items")["detail"]
        assert f"at most {limit}" in detail


def test_the_least_confidence_holds_for_every_row(every: dict[str, Served]) -> None:
    light = every["light"]
    for path, field in (("/pose-analyze", "persons"), ("/threat-detect", "threats_detected")):
        asked = Asked(light, next(route for route in light.service.routes if route.path == path))
        assert any(row[field] for row in asked.rows(BOXES))
        assert not any(row[field] for row in asked.rows(BOXES, min_confidence=1.0))


def test_a_face_that_is_too_small_says_so_in_its_own_row(every: dict[str, Served]) -> None:
    heavy = every["enrichment"]
    faces = [[0, 0, 9, 9], [60, 80, 180, 380], "none", [5, 5, 12, 12]]
    told = heavy.ask("/demographics", DATA, face_boxes=faces).json()
    small, seen, bad, again = told["results"]
    assert "at least 20 are needed" in small["missing"][0]
    assert "at least 20 are needed" in again["missing"][0]
    assert (small["gender"], small["face_bbox"], small.get("error")) == (None, None, None)
    assert seen["gender"] in {"female", "male"}
    assert (seen["face_bbox"]["x"], seen["face_source"]) == (60.0, "face_bbox")
    assert bad["code"] == "bad_box"
    assert [row["index"] for row in told["results"]] == [0, 1, 2, 3]
    assert [row["index"] for row in heavy.ask("/demographics", DATA, face_boxes=faces[:1]).json()["results"]] == [0]


def test_one_map_serves_all_boxes_and_each_has_its_exact_distances(every: dict[str, Served]) -> None:
    heavy = every["enrichment"]
    told = heavy.ask("/depth-estimate", DATA, boxes=BOXES).json()
    assert told["depth_map_base64"] == heavy.ask("/depth-estimate", DATA).json()["depth_map_base64"]
    assert not any("depth_map_base64" in row for row in told["results"])
    for method in ("center", "mean", "median", "min"):
        answer = heavy.ask("/object-distance", DATA, boxes=BOXES, method=method).json()
        for row, distance in zip(told["results"], answer["results"], strict=True):
            assert row["distances"][method].items() <= distance.items()


def test_the_network_of_a_whole_picture_runs_once(every: dict[str, Served]) -> None:
    light = every["light"]
    for path, times in (("/pose-analyze", 1), ("/depth-estimate", 1)):
        before = len(light.engine.runs)
        assert light.ask(path, DATA, boxes=BOXES).status_code == 200
        assert len(light.engine.runs) - before == times


SIDES = st.floats(-50, 700) | st.sampled_from([0, -1, 2**62, float("nan"), float("inf")])
NUMBERS = st.lists(SIDES, min_size=4, max_size=4)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "width", "x1"]), inner),
    max_leaves=5,
)
ANY_BOX = (
    NUMBERS
    | NUMBERS.map(lambda sides: ",".join(map(str, sides)))
    | st.fixed_dictionaries(dict.fromkeys(("x", "y", "width", "height"), SIDES))
    | st.fixed_dictionaries(dict.fromkeys(("x1", "y1", "x2", "y2"), SIDES))
    | ANYTHING
)


def test_rows_in_are_rows_out_whatever_the_boxes(asked: Asked) -> None:
    alone: dict[str, dict[str, Any]] = {}

    @given(st.lists(ANY_BOX, max_size=6))
    @settings(max_examples=12, deadline=None, database=None, derandomize=True)
    def as_many(boxes: list[Any]) -> None:
        sent = orjson.loads(orjson.dumps(boxes))  # what is no number in JSON becomes null on its way
        rows = asked.rows(sent)
        assert [row["index"] for row in rows] == list(range(len(boxes)))
        for box, row in zip(sent, rows, strict=True):
            key = orjson.dumps(box).decode()
            same = alone.setdefault(key, asked.rows([box])[0])
            assert row.get("code") == same.get("code")  # who else is asked about makes no box good or bad
            assert row.keys() == same.keys()

    as_many()


def test_the_page_shows_how_to_ask_about_several(asked: Asked) -> None:
    document = asked.served.client.get("/openapi.json").json()
    operation = document["paths"][asked.route.path]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    for name, row in examples.items():
        answer = asked.served.client.post(asked.route.path, json=row["value"])
        assert answer.status_code == 200, answer.text
        assert ("results" in answer.json()) is (name == "several")
    assert asked.field in asked.served.client.get("/docs").text
