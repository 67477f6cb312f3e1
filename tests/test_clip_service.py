"""CLIP on 8093: limits, baselines, labels and texts, what its text tower is spared, and a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES
from hearthwatch.serving import schemas
from hearthwatch.serving.limits import RequestLimits
from made_up import write_network
from served import NumbersEngine, Served, picture, serve, text_of
from server_process import server_process, until

TEXTS = [f"text number {index}" for index in range(101)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path, "clip") as found:
        until(lambda: found.client.get("/readyz").status_code == 200)
        yield found


def refused(answer: Any, status: int, code: str, *words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    for word in words:
        assert word in answer.text


class TestLimits:
    def test_100_texts_pass_and_101_are_refused_with_both_numbers(self, served: Served) -> None:
        assert len(served.ask("/batch-similarity", texts=TEXTS[:100]).json()["similarities"]) == 100
        refused(served.ask("/batch-similarity", texts=TEXTS), 422, "too_many_texts", "101", "100")
        assert len(served.client.post("/embed-text", json={"texts": TEXTS[:100]}).json()["embeddings"]) == 100
        refused(served.client.post("/embed-text", json={"texts": TEXTS}), 422, "too_many_texts", "101", "100")
        assert len(served.ask("/classify", labels=TEXTS[:100], use_ensemble=False).json()["scores"]) == 100
        refused(served.ask("/classify", labels=TEXTS), 422, "too_many_texts", "101", "100")

    def test_the_limit_is_a_setting(self, tmp_path: Path) -> None:
        with serve(tmp_path, "clip", limits=RequestLimits(max_texts=2)) as served:
            assert served.ask("/batch-similarity", texts=TEXTS[:2]).status_code == 200
            refused(served.ask("/batch-similarity", texts=TEXTS[:3]), 422, "too_many_texts", "3", "2")

    @pytest.mark.parametrize("texts", [[], "a text", [1], [None], {"a": 1}, ["x" * 10_001]], ids=str)
    def test_what_are_no_texts(self, served: Served, texts: Any) -> None:
        refused(served.ask("/batch-similarity", texts=texts), 422, "bad_input")

    @pytest.mark.parametrize("value", [1, "yes", None, [True]])
    def test_a_switch_is_true_or_false(self, served: Served, value: Any) -> None:
        refused(served.ask("/classify", labels=["a"], use_ensemble=value), 422, "bad_input")

    def test_a_raw_picture_leaves_no_place_for_a_baseline(self, served: Served) -> None:
        answer = served.client.post("/anomaly-score", content=picture(), headers={"content-type": "image/png"})
        refused(answer, 415, "unsupported_media_type", "leaves no place")

    def test_a_route_about_texts_takes_no_picture(self, served: Served) -> None:
        answer = served.client.post("/embed-text", content=picture(), headers={"content-type": "image/png"})
        refused(answer, 415, "unsupported_media_type")


class TestBaselines:
    def test_the_same_picture_is_no_anomaly_and_its_opposite_is_one(self, served: Served) -> None:
        usual = np.array(served.ask("/embed").json()["embedding"])
        for factor in (1.0, 1e3, 1e-3):
            body = served.ask("/anomaly-score", baseline_embedding=list(usual * factor)).json()
            assert (body["anomaly_score"], body["similarity_to_baseline"]) == pytest.approx((0.0, 1.0), abs=1e-6)
        body = served.ask("/anomaly-score", baseline_embedding=list(-usual)).json()
        assert (body["anomaly_score"], body["similarity_to_baseline"]) == pytest.approx((1.0, -1.0), abs=1e-6)

    @pytest.mark.parametrize(
        "baseline",
        [
            [0.0] * 768,
            [1e-9] * 768,
            [1e-320] * 768,
            [1e308] * 768,
            [True] * 768,
            ["0.1"] * 768,
            [None] * 768,
            [0.1],
            [],
            0.1,
        ],
        ids=["zero", "tiny", "denormal", "huge", "switches", "texts", "nulls", "one", "none", "a number"],
    )
    def test_what_has_no_direction_is_refused(self, served: Served, baseline: Any) -> None:
        refused(served.ask("/anomaly-score", baseline_embedding=baseline), 422, "bad_input")

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_are_not_finite_are_refused(self, served: Served, word: str) -> None:
        numbers = ",".join([word, *["0.1"] * 767])
        body = f'{{"image": "{text_of(picture())}", "baseline_embedding": [{numbers}]}}'
        answer = served.client.post("/anomaly-score", content=body, headers={"content-type": "application/json"})
        refused(answer, 422, "bad_input")

    def test_a_baseline_of_another_network_is_refused_with_both_sizes(self, served: Served) -> None:
        refused(served.ask("/anomaly-score", baseline_embedding=[0.1] * 512), 422, "bad_input", "512", "768")


class TestTexts:
    def test_a_text_tower_reads_a_text_once(self, served: Served) -> None:
        before = served.engine.runs.count("clip_text")  # warming up
        first = served.ask("/batch-similarity", texts=TEXTS[:100])
        assert served.engine.runs.count("clip_text") == before + 13  # 100 texts, 16 a call and 8 a run
        runs = len(served.engine.runs)
        second = served.ask("/batch-similarity", texts=TEXTS[:100])
        assert served.engine.runs[runs:] == ["clip"]
        assert second.json()["similarities"] == first.json()["similarities"]
        stages = dict(part.split(";dur=") for part in second.headers["server-timing"].split(", "))
        assert second.json()["inference_time_ms"] == pytest.approx(
            sum(float(stages[name]) for name in ("preprocess", "infer", "postprocess")), abs=0.03
        )
        served.ask("/similarity", text=TEXTS[5])
        served.ask("/classify", labels=TEXTS[:3], use_ensemble=False)
        served.client.post("/embed-text", json={"texts": TEXTS[:50]})
        assert served.engine.runs[runs:] == ["clip"] * 3
        counted = {
            sample.labels["source"]: sample.value
            for family in text_string_to_metric_families(served.client.get("/metrics").text)
            for sample in family.samples
            if sample.name == "clip_texts_total"
        }
        assert counted == {"network": 100, "kept": 100 + 1 + 3 + 50}

    def test_what_is_kept_serves_also_when_the_tower_has_left(self, served: Served) -> None:
        served.ask("/batch-similarity", texts=TEXTS[:4])
        served.client.portal.call(served.runner.manager.unload_model, "clip_text")  # type: ignore[union-attr]
        loads = served.engine.runs.count("clip_text")
        assert served.ask("/batch-similarity", texts=TEXTS[:4]).status_code == 200
        assert served.engine.runs.count("clip_text") == loads
        assert served.ask("/batch-similarity", texts=TEXTS[:5]).status_code == 200  # loads it again

    def test_a_similarity_is_the_cosine_of_both_embeddings(self, served: Served) -> None:
        image = np.array(served.ask("/embed").json()["embedding"])
        read = served.client.post("/embed-text", json={"texts": TEXTS[:3]}).json()
        assert read["embedding_dimension"] == 768
        cosines = np.array(read["embeddings"]) @ image
        body = served.ask("/batch-similarity", texts=TEXTS[:3]).json()
        assert list(body["similarities"]) == TEXTS[:3]
        assert list(body["similarities"].values()) == pytest.approx(list(cosines), abs=1e-5)
        assert served.ask("/similarity", text=TEXTS[1]).json()["similarity"] == pytest.approx(cosines[1], abs=1e-5)

    def test_what_was_not_read_is_told_by_its_place(self, served: Served) -> None:
        long = "word " * 200
        assert served.ask("/batch-similarity", texts=["a", long, "b", long]).json()["truncated"] == [1, 3]
        assert served.ask("/classify", labels=[long, "a"]).json()["truncated"] == [0]
        assert served.ask("/similarity", text=long).json()["truncated"] is True
        assert served.ask("/similarity", text="a").json()["truncated"] is False
        assert served.client.post("/embed-text", json={"texts": ["a", long]}).json()["truncated"] == [1]

    def test_scores_sum_to_1_and_the_top_label_has_the_most(self, served: Served) -> None:
        for ensemble in (True, False):
            body = served.ask("/classify", labels=TEXTS[:7], use_ensemble=ensemble).json()
            assert sum(body["scores"].values()) == pytest.approx(1.0)
            assert body["top_label"] == max(body["scores"], key=lambda label: body["scores"][label])
            assert body["use_ensemble"] is ensemble

    def test_an_ensemble_reads_each_label_in_each_template_and_is_the_default(self, served: Served) -> None:
        before = served.engine.runs.count("clip_text")
        default = served.ask("/classify", labels=["a box", "a dog"]).json()
        assert served.engine.runs.count("clip_text") == before + 2  # 10 sentences, 8 a run
        assert (
            served.ask("/classify", labels=["a box", "a dog"], use_ensemble=True).json()["scores"] == default["scores"]
        )
        sentences = [template.format(label) for label in ("a box", "a dog") for template in SURVEILLANCE_TEMPLATES]
        read = np.array(served.client.post("/embed-text", json={"texts": sentences}).json()["embeddings"])
        labels = read.reshape(2, 5, -1).mean(axis=1)
        labels /= np.linalg.norm(labels, axis=1, keepdims=True)
        logits = 100 * labels @ np.array(served.ask("/embed").json()["embedding"])
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert list(default["scores"].values()) == pytest.approx(list(expected), abs=1e-3)

    def test_the_same_label_twice_counts_once(self, served: Served) -> None:
        once, twice = (
            served.ask("/classify", labels=labels).json()["scores"] for labels in (["a", "b"], ["a", "b", "a"])
        )
        assert once == twice

    def test_towers_of_different_checkpoints_are_not_compared(self, tmp_path: Path) -> None:
        with serve(tmp_path, "clip") as served:
            card = tmp_path / "clip_text.json"
            card.write_bytes(orjson.dumps(orjson.loads(card.read_bytes()) | {"space": "another"}))
            served.client.portal.call(served.runner.manager.unload_model, "clip_text")  # type: ignore[union-attr]
            refused(served.ask("/similarity", text="a"), 503, "load_failed", "another", "made-up")
            assert served.ask("/embed").status_code == 200


class TestAnswers:
    def test_every_answer_names_its_space(self, served: Served) -> None:
        whole = served.ask("/embed").json()
        assert whole["space"] == "clip-made-up/made-up/224-crop-bicubic"
        assert whole["metadata"] == {
            "model": "clip-made-up", "digest": "made-up", "preprocessing": "224-crop-bicubic"
        }  # fmt: skip
        boxed = served.ask("/embed", bbox=[2, 2, 20, 30]).json()
        assert boxed["space"] == "clip-made-up/made-up/square-224-crop-bicubic"
        assert served.client.post("/embed-text", json={"texts": ["a"]}).json()["space"] == "clip-made-up/made-up"

    def test_health_names_the_engine_and_the_length_of_an_embedding(self, tmp_path: Path) -> None:
        gate = threading.Event()
        with serve(tmp_path, "clip", engine=NumbersEngine(before_load=lambda _model: gate.wait(60))) as served:
            body = served.client.get("/health").json()
            assert (body["status"], body["model_loaded"], body["backend"]) == ("healthy", False, None)
            assert body["embedding_dimension"] == 768
            gate.set()
            until(lambda: served.client.get("/health").json()["model_loaded"])
            body = served.client.get("/health").json()
            assert (body["model"], body["backend"], body["device"]) == ("clip-made-up", "openvino", "cpu")
            until(lambda: served.client.get("/health").json()["models"]["clip_text"]["state"] == "ready")
            assert body["models"]["clip"]["passed_over"] == []

    def test_a_batch_has_a_row_for_each_picture_and_a_bad_one_fails_alone(self, served: Served) -> None:
        images = [text_of(picture()), "no picture", text_of(picture(64, 48, value=200))]
        body = served.client.post("/embed/batch", json={"images": images}).json()
        schemas.EmbedBatchResponse.model_validate(body)
        rows = body["results"]
        assert [row.get("code") for row in rows] == [None, "not_an_image", None]
        assert rows[1]["embedding"] is None
        for row, data in ((rows[0], picture()), (rows[2], picture(64, 48, value=200))):
            alone = served.ask("/embed", data).json()
            assert row["embedding"] == pytest.approx(alone["embedding"], abs=1e-6)
            assert row["space"] == alone["space"]


class TestSchemas:
    PICTURE = "aGVsbG8="

    def test_documented_requests_are_checked(self) -> None:
        assert schemas.EmbedRequest(image=self.PICTURE).bbox is None
        assert schemas.ClassifyRequest(image=self.PICTURE, labels=["a"]).use_ensemble is True
        assert schemas.SimilarityRequest(image_base64=self.PICTURE, text="a").text == "a"
        assert len(schemas.BatchSimilarityRequest(image=self.PICTURE, texts=TEXTS[:100]).texts) == 100
        assert schemas.AnomalyScoreRequest(image=self.PICTURE, baseline_embedding=[0.0, 2.0]).image == self.PICTURE

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("EmbedRequest", {}),
            ("ClassifyRequest", {"image": PICTURE}),
            ("ClassifyRequest", {"image": PICTURE, "labels": []}),
            ("BatchSimilarityRequest", {"image": PICTURE, "texts": TEXTS}),
            ("BatchSimilarityRequest", {"image": PICTURE, "texts": []}),
            ("SimilarityRequest", {"image": PICTURE}),
            ("AnomalyScoreRequest", {"image": PICTURE, "baseline_embedding": [0.0] * 768}),
            ("AnomalyScoreRequest", {"image": PICTURE, "baseline_embedding": [float("nan")] * 768}),
        ],
    )
    def test_what_does_not_fit_is_refused(self, name: str, fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            getattr(schemas, name).model_validate(fields)

    def test_answers_fit_their_documented_names(self, served: Served) -> None:
        for path, name, fields in (
            ("/embed", "EmbedResponse", {}),
            ("/anomaly-score", "AnomalyScoreResponse", {"baseline_embedding": [1.0, *[0.0] * 767]}),
            ("/classify", "ClassifyResponse", {"labels": ["a", "b"]}),
            ("/similarity", "SimilarityResponse", {"text": "a"}),
            ("/batch-similarity", "BatchSimilarityResponse", {"texts": ["a", "b"]}),
        ):
            body = served.ask(path, **fields).json()
            model = getattr(schemas, name)
            assert set(body) == set(model.model_fields)
            model.model_validate(body)
        schemas.EmbedTextResponse.model_validate(served.client.post("/embed-text", json={"texts": ["a"]}).json())
        document = served.client.get("/openapi.json").json()
        for route in served.service.routes:
            operation = document["paths"][route.path]["post"]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            # The first form, where there is another one about several boxes.
            reference = (schema.get("anyOf") or [schema])[0]["$ref"]
            assert reference.endswith("Response")
            assert operation["requestBody"]["content"]["application/json"]["schema"]["title"].endswith("Request")


def test_a_process_of_its_own_answers_every_route_on_a_real_engine(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for model in ("clip", "clip_text"):
        write_network(model, models / "clip-vit-l" / f"{model}.onnx")
    folder = str(models / "clip-vit-l")
    process = server_process(
        models, tmp_path / "cache", ("clip",), CLIP_MODEL_PATH=folder, CLIP_MAX_BATCH_TEXTS_SIZE="3"
    )
    with process as served, served.client("clip") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        image = {"image": text_of(picture())}
        embedding = client.post("/embed", json=image).json()["embedding"]
        for path, fields in (
            ("/anomaly-score", image | {"baseline_embedding": embedding}),
            ("/classify", image | {"labels": ["a", "b"]}),
            ("/similarity", image | {"text": "a"}),
            ("/batch-similarity", image | {"texts": ["a", "b", "c"]}),
            ("/embed/batch", {"images": [text_of(picture())]}),
            ("/embed-text", {"texts": ["a"]}),
        ):
            assert client.post(path, json=fields).status_code == 200, path
        assert "at most 3" in client.post("/batch-similarity", json=image | {"texts": ["a"] * 4}).json()["detail"]
        health = client.get("/health").json()
        assert health["model_loaded"] is True
        assert health["backend"] in {"openvino", "onnxruntime"}
        rows = {row["name"]: row for row in client.get("/models").json()["models"]}
        assert set(rows) == {"clip", "clip_text"}
        assert all(row["measured_mb"] > 0 for row in rows.values())  # each tower by itself
