"""What every service answers about itself, by CONTRACT.md: health, probes, models, metrics, documents."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hearthwatch.artifacts.samples import SENTENCE
from made_up import write_network, write_samples
from served import CONTRACT, EVERY, NumbersEngine, Served, ask_every_way, page, picture, problem_of, serve
from server_process import until

#: Services whose health has a map of models.
SEVERAL_MODELS = [name for name, row in CONTRACT["services"].items() if "models_loaded" in row]


@pytest.fixture(scope="module", params=list(CONTRACT["services"]))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each service, on made-up networks."""
    with serve(tmp_path_factory.mktemp("weights"), request.param) as found:
        yield found


class TestTheServiceItself:
    def test_an_idle_service_is_healthy_and_ready(self, tmp_path: Path, served: Served) -> None:
        body = served.client.get("/health").json()
        assert body["status"] == "healthy"
        assert set(page(served.service.name)["health"]) <= set(body)
        # A detector in a process of its own loads at start: until then, the probe tells what it waits for.
        until(lambda: served.client.get("/readyz").json() == {"ready": True, "reasons": []})
        assert served.client.get("/livez").status_code == 200

    @pytest.mark.parametrize("name", SEVERAL_MODELS)
    def test_loaded_models_are_told_as_routes_are_called(self, name: str, tmp_path: Path) -> None:
        with serve(tmp_path, name) as served:
            loaded = served.client.get("/health").json()["models_loaded"]
            assert list(loaded) == page(name)["models_loaded"]
            assert not any(loaded.values())
            for path, row in page(name)["routes"].items():
                model = next(route.model for route in served.service.routes if route.path == path)
                assert ask_every_way(served, path, row, picture(), **row["takes"])[0].status_code == 200
                loaded = served.client.get("/health").json()["models_loaded"]
                if model:
                    assert loaded.get(model) is (True if model in page(name)["models_loaded"] else None)

    def test_the_detector_loads_at_start_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        with serve(tmp_path, "yolo26") as served:
            until(lambda: served.client.get("/health").json()["model_loaded"])
            assert served.client.get("/readyz").status_code == 200
            assert served.engine.runs  # warmed up

    def test_a_variable_moves_a_model_from_one_health_answer_to_the_other(self, tmp_path: Path) -> None:
        told = {}
        for name in SEVERAL_MODELS:
            with serve(tmp_path / name, name, homes={"pose_estimator": "heavy"}) as served:
                told[name] = list(served.client.get("/health").json()["models_loaded"])
                assert served.ask("/pose-analyze").status_code == 200  # both answer all the same
                assert "pose_estimator" in served.client.get("/health").json()["models"]
        assert set(told["light"]) == set(page("light")["models_loaded"]) - {"pose_estimator"}
        assert set(told["enrichment"]) == {*page("enrichment")["models_loaded"], "pose_estimator"}

    def test_a_model_that_is_switched_off_leaves_route_health_and_lists(self, tmp_path: Path) -> None:
        with serve(tmp_path, "enrichment", switched_off={"demographics"}) as served:
            body = problem_of(served.ask("/demographics"), 404, "unknown_route")
            assert "DEMOGRAPHICS_ENABLED=false" in body["detail"]
            assert body["model"] == "demographics"
            assert "/demographics" not in served.client.get("/openapi.json").json()["paths"]
            assert "demographics" not in served.client.get("/health").text
            for path in ("/models", "/models/status", "/models/registry"):
                assert "demographics" not in {row["name"] for row in served.client.get(path).json()["models"]}
            assert "demographics" not in served.client.get("/metrics").text
            problem_of(served.client.post("/models/preload?model_name=demographics"), 404, "unknown_model")
            assert served.ask("/vehicle-classify").status_code == 200

    def test_models_tell_state_engine_weights_and_memory(self, tmp_path: Path) -> None:
        with serve(tmp_path) as served:
            assert served.ask("/pose-analyze").status_code == 200
            rows = {row["name"]: row for row in served.client.get("/models").json()["models"]}
            assert list(rows) == page("light")["models_loaded"]
            for row in rows.values():
                assert set(EVERY["model_fields"]) <= set(row)
                assert row["state"] in EVERY["states"]
            assert rows["pose_estimator"]["state"] == "ready"
            assert rows["pose_estimator"]["engine"] == "openvino"
            assert rows["person_reid"]["state"] == "cold"

    @pytest.mark.parametrize("name", list(CONTRACT["services"]))
    def test_sample_weights_are_said_everywhere_and_others_are_not_called_samples(
        self, name: str, tmp_path: Path
    ) -> None:
        samples = write_samples(tmp_path / "samples")
        given = {"weights": "sample", "samples_dir": samples}
        for options, word, origin in (({}, "real", "real"), (given, "sample", "sample")):
            with serve(tmp_path / word, name, options=options) as served:
                self.check_words(served, word)  # before anything is loaded
                for route in served.service.routes:
                    answer = ask_every_way(served, route.path, page(name)["routes"][route.path], picture())[0].json()
                    assert answer["weights"] == origin
                    assert origin in EVERY["origins"]
                for model in page(name).get("models_loaded", ()):  # also those that a route asks only where it has to
                    assert served.client.post("/models/preload", json={"model_name": model}).status_code == 200
                self.check_words(served, word)
                for row in served.client.get("/models").json()["models"]:
                    assert row["weights"]["origin"] == origin
                health = served.client.get("/health").json()["models"]
                assert {row["weights"] for row in health.values()} == {origin}

    def check_words(self, served: Served, word: str) -> None:
        for path in EVERY["notices"]:
            answer = served.client.get(path)
            if answer.status_code == 404:
                continue  # a service that is always loaded has no /models/status
            body = answer.json()
            assert (body["weights"], body["notice"]) == (word, SENTENCE if word == "sample" else None)
        for row in served.client.get("/models").json()["models"]:
            assert row["notice"] == (SENTENCE if word == "sample" else None)

    def test_a_service_that_mixes_sample_weights_with_others_says_so(self, tmp_path: Path) -> None:
        path = write_network("pose_estimator", tmp_path / "pose_estimator.onnx")
        options = {"weights": "sample", "samples_dir": write_samples(tmp_path / "samples"),
                   "paths": {"pose_estimator": path}}  # fmt: skip
        with serve(tmp_path, options=options, with_weights=()) as served:
            for _ in range(2):
                body = served.client.get("/health").json()
                assert body["weights"] == "mixed"
                assert body["notice"].endswith(SENTENCE)
                assert "person_reid" in body["notice"]
                assert "pose_estimator" not in body["notice"]
                assert served.ask("/pose-analyze").json()["weights"] == "custom"
                assert served.ask("/person-reid").json()["weights"] == "sample"
            rows = {row["name"]: row for row in served.client.get("/models").json()["models"]}
            assert rows["pose_estimator"]["notice"] is None
            assert "sample weights were asked for" in rows["pose_estimator"]["notes"][0]

    def test_a_model_without_sample_weights_says_so(self, tmp_path: Path) -> None:
        with serve(tmp_path, options={"weights": "sample", "samples_dir": tmp_path / "none"}) as served:
            body = problem_of(served.ask("/pose-analyze"), 503, "weights_missing")
            assert "no sample weights exist for pose_estimator" in body["detail"]

    def test_models_are_loaded_and_unloaded_by_name_and_alias(self, tmp_path: Path) -> None:
        with serve(tmp_path) as served:
            assert served.client.post("/models/preload", json={"model_name": "pose"}).json()["state"] == "ready"
            body = served.client.post("/models/unload?model_name=pose_estimator").json()
            assert body["state"] == "cold"
            assert body["bytes_returned"] >= 0
            status = served.client.get("/models/status").json()
            assert status["budget_mb"] == 8000
            assert {row["name"] for row in status["models"]} == set(page("light")["models_loaded"])
            registry = served.client.get("/models/registry").json()["models"]
            assert [row["name"] for row in registry] == page("light")["models_loaded"]
            body = problem_of(served.client.post("/models/unload?model_name=clip"), 404, "unknown_model")
            assert "pose_estimator" in body["detail"]
            problem_of(served.client.post("/models/unload", json={}), 422, "bad_input")

    def test_preloaded_models_are_waited_for(self, tmp_path: Path) -> None:
        gate = threading.Event()
        engine = NumbersEngine(before_load=lambda _model: gate.wait(60))
        with serve(tmp_path, engine=engine, preload=("threat_detector",)) as served:
            answer = served.client.get("/readyz")
            assert answer.status_code == 503
            assert "threat_detector" in answer.json()["reasons"][0]
            gate.set()
            until(lambda: served.client.get("/readyz").status_code == 200)
            assert served.client.get("/health").json()["models_loaded"]["threat_detector"] is True

    def test_documented_metrics_are_there_and_move(self, served: Served) -> None:
        def families() -> dict[str, Any]:
            text = served.client.get("/metrics").text
            return {sample.name: family for family in text_string_to_metric_families(text) for sample in family.samples}

        def total(name: str) -> float:
            return float(sum(sample.value for sample in families()[name].samples if sample.name == name))

        served.ask(served.service.routes[0].path)
        for name, labels in page(served.service.name)["metrics"].items():
            # A histogram has no sample of its own name.
            family = next(found for sample, found in families().items() if sample in {name, f"{name}_count"})
            assert set(labels) <= {key for sample in family.samples for key in sample.labels}
        requests = served.service.metrics.requests
        before = total(requests)
        served.ask(served.service.routes[0].path)
        served.ask(served.service.routes[0].path, b"no picture")
        assert total(requests) == before + 2
        assert total(f"{served.service.metrics.latency}_count") >= 2
        assert total("hearthwatch_stage_seconds_count") > 0

    def test_evictions_are_counted_and_the_weapon_detector_stays(self, tmp_path: Path) -> None:
        # Room for the weapon detector (400) and one of the others (at most 300).
        with serve(tmp_path, budget_mb=700, runner={"threads": 1}) as served:
            for _ in range(2):
                for route in ("/threat-detect", "/pose-analyze", "/person-reid", "/pet-classify", "/depth-estimate"):
                    assert served.ask(route).status_code == 200
                    assert served.client.get("/health").json()["models_loaded"]["threat_detector"] is True
            text = served.client.get("/metrics").text
            evictions = [
                sample for family in text_string_to_metric_families(text) for sample in family.samples
                if sample.name == "enrichment_model_evictions_total" and sample.value
            ]  # fmt: skip
            assert evictions
            assert all(sample.labels["priority"] != "CRITICAL" for sample in evictions)

    def test_ids_and_traces_come_back(self, served: Served) -> None:
        answer = served.client.get("/livez", headers={"x-request-id": "abc"})
        assert answer.headers["x-request-id"] == "abc"
        assert answer.headers["traceparent"].startswith("00-")

    def test_the_page_of_routes_needs_nothing_from_the_internet(self, served: Served) -> None:
        page_ = served.client.get("/docs")
        assert page_.status_code == 200
        assert "<script" not in page_.text
        assert not re.findall(r"""(?:src|href)=["']?https?:""", page_.text)
        for route in served.service.routes:
            assert route.path in page_.text
        assert served.client.get("/", follow_redirects=False).headers["location"] == "/docs"

    def test_every_route_is_in_openapi_with_an_example_that_works(self, served: Served) -> None:
        document = served.client.get("/openapi.json").json()
        for route in served.service.routes:
            operation = document["paths"][route.path]["post"]
            body = operation["requestBody"]["content"]["application/json"]
            several = [row["value"] for row in body.get("examples", {}).values()]
            for example in several or [body["example"]]:
                assert served.client.post(route.path, json=example).status_code == 200
            assert {"200", "400", "401", "403", "413", "415", "422", "429", "503", "504", "507"} <= set(
                operation["responses"]
            )
