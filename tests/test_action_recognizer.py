"""What a clip is, which frames it shows, what its labels are, and what is said of the likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import save_graph, value
from hearthwatch.adapter.frames import MAX_FRAMES, MAX_LABELS, Sentences, clips_of, evenly, labels_or
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import BadBox, InputError, LoadFailed, NotAnImage, TooManyFrames, TooManyTexts, WeightsInvalid
from hearthwatch.hosting.spec import ModelPriority, ModelSpec
from hearthwatch.hosting.triggers import triggered
from hearthwatch.models import ActionRecognizer, get_model
from hearthwatch.models.action_recognizer import SPEC, ActionAdapter, ActionAnswer, ActionResult
from hearthwatch.models.actions import ACTIONS, action_of
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from made_up import write_network

Array = np.ndarray[Any, Any]
WIDTH = 8
FRAMES = 4
DOCUMENTED = [
    "person walking normally",
    "person running",
    "person sneaking or creeping",
    "person climbing over fence",
    "person breaking window",
    "person picking lock",
    "person looking through window",
    "person hiding",
    "person fighting",
    "person falling down",
    "person carrying heavy object",
    "person using tool on door",
    "person loitering",
]
PICTURES, TEXTS = (
    TensorInfo("pixel_values", (FRAMES, 3, 224, 224), "float32"),
    TensorInfo("t", (None, WIDTH), "float32"),
)
OUTPUTS = (TensorInfo("video_embeds", (1, WIDTH), "float32"), TensorInfo("text_embeds", (None, WIDTH), "float32"))


def adapter(*inputs: TensorInfo, outputs: tuple[TensorInfo, ...] = OUTPUTS, **card: Any) -> ActionAdapter:
    graph = Graph(Path("made-up.onnx"), "ab" * 32, 1, inputs or (PICTURES, TEXTS), outputs, {})
    return ActionAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={})))


def sentences(*labels: str, digest: str = f"sha256:{'ab' * 8}", width: int = WIDTH) -> Sentences:
    """Labels that point in directions of their own."""
    return Sentences(labels, np.eye(len(labels), width, dtype=np.float32) * 3, digest)


class Network:
    """A clip is a mean of the texts: of the first one most where it begins dark, else of the second."""

    def __init__(self) -> None:
        self.given: list[Mapping[str, Array]] = []

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.given.append(inputs)
        pixels, features = inputs["pixel_values"], inputs["t"]
        weights = np.array([3.0 if index == int(pixels[0].mean() > 0) else 1.0 for index in range(len(features))])
        return {"video_embeds": (weights @ features)[None].astype(np.float32), "text_embeds": features}


def flat(brightness: int, width: int = 64, height: int = 48) -> Image:
    return Image.of(np.full((height, width, 3), brightness, np.uint8))


class TestTable:
    def test_the_actions_are_word_for_word_those_of_the_documents(self) -> None:
        assert [action.name for action in ACTIONS] == DOCUMENTED
        assert ActionRecognizer.SECURITY_ACTIONS == DOCUMENTED

    def test_weights_are_shares_and_suspicion_weighs_more(self) -> None:
        ordinary = [action.risk_weight for action in ACTIONS if not action.is_suspicious]
        suspicious = [action.risk_weight for action in ACTIONS if action.is_suspicious]
        assert max(ordinary) < min(suspicious)
        assert min(ordinary) == 0
        assert max(suspicious) == 1

    def test_a_label_is_a_documented_action_by_equality_and_never_by_a_part(self) -> None:
        assert action_of(" Person Hiding ") is action_of("person hiding")
        for label in ("hiding", "person hiding behind a car", "", "a person hiding"):
            assert action_of(label) is None


class TestFrames:
    @given(st.integers(1, MAX_FRAMES), st.integers(1, 32))
    def test_frames_are_chosen_evenly_and_in_their_order(self, count: int, wanted: int) -> None:
        chosen = evenly(count, wanted)
        assert len(chosen) == wanted
        assert chosen == sorted(chosen)
        assert 0 <= chosen[0] <= chosen[-1] < count
        times = np.bincount(chosen, minlength=count)
        assert times.max() - times.min() <= 1  # each as often as any other, or once more
        assert chosen[0] + chosen[-1] in {count - 1, count}  # around the middle

    def test_as_many_as_are_wanted_are_taken_as_they_are(self) -> None:
        assert evenly(8, 8) == list(range(8))
        assert evenly(1, 4) == [0, 0, 0, 0]
        assert evenly(3, 6) == [0, 0, 1, 1, 2, 2]
        assert evenly(16, 4) == [2, 6, 10, 14]

    def test_a_box_is_the_same_square_of_every_frame(self) -> None:
        model = adapter()
        pixels = np.zeros((100, 200, 3), np.uint8)
        pixels[30:70, 80:100] = 255
        clips = clips_of(model, [Image.of(pixels), flat(0, 200, 100)], [Box(80, 30, 100, 70)])
        assert [clip.shape for clip in clips] == [(FRAMES, 3, 224, 224)]
        first, last = clips[0][0], clips[0][-1]
        white, black = ((level - np.array(SPEC.pixels.mean)) / SPEC.pixels.std for level in (1, 0))
        assert np.allclose(first[:, 112, 112], white, atol=1e-5)
        # 40 px high with a quarter around it is 60 px: the margin above and below is 10 of 60.
        rows = np.flatnonzero(first[0, :, 112] > 0)
        assert (rows[0], rows[-1]) == (pytest.approx(224 / 6, abs=3), pytest.approx(224 * 5 / 6, abs=3))
        assert np.allclose(last, np.broadcast_to(black[:, None, None], last.shape), atol=1e-5)

    def test_beyond_the_edge_of_a_picture_there_is_nothing_to_be_seen(self) -> None:
        clip = clips_of(adapter(), [flat(255)], [Box(0, 0, 4, 48)])[0]
        assert np.abs(clip[:, :, 112, 2]).max() < 0.03  # the mean of what the network was trained on

    def test_several_boxes_are_clips_of_their_own_and_none_is_the_whole(self) -> None:
        frames = [flat(level) for level in (10, 200)]
        assert len(clips_of(adapter(), frames, [Box(0, 0, 9, 9), Box(5, 5, 30, 40), Box(1, 1, 2, 2)])) == 3
        assert len(clips_of(adapter(), frames)) == 1
        with pytest.raises(BadBox, match="outside"):
            clips_of(adapter(), frames, [Box(100, 0, 120, 9)])


class TestLabels:
    def test_nothing_takes_the_documented_ones(self) -> None:
        nothing: list[object] = [None, [], ()]
        for none in nothing:
            assert labels_or(none, DOCUMENTED) == tuple(DOCUMENTED)

    def test_each_is_asked_once_in_the_order_in_which_it_came(self) -> None:
        assert labels_or(["b", "a", "b"], DOCUMENTED) == ("b", "a")

    def test_what_is_no_list_of_texts_is_refused_and_says_which(self) -> None:
        for wrong, words in ((["a", " "], "label 1"), ([3], "label 0"), ("person", "a list"), (7, "a list")):
            with pytest.raises(InputError, match=words):
                labels_or(wrong, DOCUMENTED)
        with pytest.raises(TooManyTexts, match=f"101 labels .* {MAX_LABELS}"):
            labels_or([str(index) for index in range(101)], DOCUMENTED)


class TestAnswers:
    def test_scores_sum_to_1_the_likeliest_first(self) -> None:
        model, network = adapter(logit_scale=10.0), Network()
        (dark, bright) = model.watch(
            [*clips_of(model, [flat(0)]), *clips_of(model, [flat(255)])], sentences("a", "b", "c"), network
        )
        assert (dark.action, bright.action) == ("a", "b")
        for result in (dark, bright):
            assert sum(result.all_scores.values()) == pytest.approx(1.0)
            assert list(result.all_scores.values()) == sorted(result.all_scores.values(), reverse=True)
            assert result.confidence == max(result.all_scores.values())
        # Cosines of 3 / sqrt(11) and 1 / sqrt(11), ten times as large, in a softmax.
        assert bright.confidence == pytest.approx(1 / (1 + 2 * np.exp(-20 / 11**0.5)), abs=1e-5)
        assert next(iter(network.given[0])) == "pixel_values"  # the batch, by which engines are compiled

    def test_no_clip_gives_no_result(self) -> None:
        assert adapter().watch([], sentences("a"), Network()) == []

    def test_labels_of_other_weights_are_not_compared(self) -> None:
        model = adapter()
        for read in (sentences("a", digest="another"), sentences("a", width=WIDTH + 1)):
            with pytest.raises(LoadFailed, match="only towers of one checkpoint"):
                model.watch(clips_of(model, [flat(0)]), read, Network())

    def test_a_label_of_ones_own_has_no_weight_and_is_called_neither_suspicious_nor_not(self) -> None:
        own = ActionResult({"a raccoon at the bin": 0.9, "person hiding": 0.1}, ("a raccoon at the bin",))
        assert (own.is_suspicious, own.risk_weight) == (None, None)
        wire = own.to_wire()
        assert wire["truncated"] == ["a raccoon at the bin"]
        assert ActionAnswer.model_validate(wire).is_suspicious is None

    def test_the_wire_and_the_prompt_are_as_documented(self) -> None:
        scores = dict(zip(DOCUMENTED[3:] + DOCUMENTED[:3], (0.5, 0.2, 0.1, *[0.02] * 10), strict=True))
        result = ActionResult(scores)
        wire = result.to_wire()
        assert wire["action"] == wire["top_action"] == "person climbing over fence"
        assert (wire["confidence"], wire["is_suspicious"], wire["risk_weight"]) == (0.5, True, 0.8)
        assert list(wire["all_scores"]) == list(scores)
        assert result.to_dict() == {
            "top_action": "person climbing over fence",
            "confidence": 0.5,
            "all_scores": {
                "person climbing over fence": 0.5, "person breaking window": 0.2, "person picking lock": 0.1,
            },
        }  # fmt: skip
        assert result.to_context_string() == (
            "### Detected Activity\n"
            "- **Primary action**: person climbing over fence\n"
            "- **Confidence**: 50%\n"
            "- **Alternative interpretations**: person climbing over fence, person breaking window, person picking lock"
        )


class TestGraphs:
    @pytest.mark.parametrize(
        "inputs",
        [
            (PICTURES,),
            (replace(PICTURES, shape=(None, 3, 224, 224)), TEXTS),
            (replace(PICTURES, shape=(65, 3, 224, 224)), TEXTS),
            (PICTURES, replace(TEXTS, shape=(None, None))),
            (PICTURES, replace(TEXTS, shape=(5, WIDTH))),
            (PICTURES, TEXTS, replace(TEXTS, name="more")),
        ],
        ids=["no texts", "any number of frames", "65 frames", "texts of any width", "5 texts", "a third input"],
    )
    def test_another_graph_is_refused_with_what_is_expected(self, inputs: tuple[TensorInfo, ...]) -> None:
        with pytest.raises(WeightsInvalid, match=r"made-up\.onnx watches"):
            adapter(*inputs)

    def test_a_graph_without_its_outputs_is_refused(self) -> None:
        with pytest.raises(WeightsInvalid, match="no output text_embeds"):
            adapter(outputs=OUTPUTS[:1])


def test_it_is_asked_for_somebody_suspicious_alone_and_by_its_old_names() -> None:
    spec = ModelSpec(SPEC.name, SPEC.declared_mb, ModelPriority(SPEC.priority), lambda: None, lambda _: None,
                     SPEC.triggers)  # fmt: skip
    assert (SPEC.declared_mb, SPEC.priority.name) == (1500, "LOW")
    assert triggered([spec], "person", face_visible=True, suspicious=True) == [spec]
    assert triggered([spec], "person", face_visible=True, suspicious=False) == []
    assert {get_model(name) for name in ("action", "x-clip", SPEC.name)} == {ActionAdapter}


class TestDocumentedClass:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
        for model in ("action_recognizer", "action_text"):
            write_network(model, tmp_path / f"{model}.onnx")
        return tmp_path

    def test_its_verbs_answer_in_the_documented_shapes(self, folder: Path) -> None:
        model = ActionRecognizer(folder)
        assert model.load_model() is model
        frames = [flat(level).pixels for level in (10, 120, 250)]
        answer = model.classify_action(frames)
        assert set(answer) == {"top_action", "confidence", "all_scores"}
        assert answer["top_action"] == next(iter(answer["all_scores"]))
        assert len(answer["all_scores"]) == 3
        assert set(model.recognize_action(frames).all_scores) == set(DOCUMENTED)
        own = model.recognize_action(frames, ["a cat", "a person"], bbox=Box(5, 5, 20, 40))
        assert set(own.all_scores) == {"a cat", "a person"}
        assert model.get_backend_info()["precision"] == "f32"
        model.unload()
        assert model.classify_action(frames) == answer  # it loads again
        model.unload()

    def test_the_variable_names_both_towers(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACTION_MODEL_PATH", str(folder))
        model = ActionRecognizer()
        assert model.classify_action([flat(9).pixels])["confidence"] > 0
        model.unload()

    def test_what_cannot_be_watched_is_refused_before_anything_is_loaded(self, tmp_path: Path) -> None:
        model = ActionRecognizer(tmp_path / "nothing here")
        with pytest.raises(TooManyFrames, match=r"65 frames .* 64"):
            model.classify_action([flat(1)] * 65)
        with pytest.raises(InputError, match="none were given"):
            model.classify_action([])
        with pytest.raises(InputError, match="label 0"):
            model.classify_action([flat(1)], [""])

    def test_a_frame_that_is_no_picture_is_named(self, folder: Path) -> None:
        model = ActionRecognizer(folder)
        with pytest.raises(NotAnImage, match="frame 1: "):
            model.classify_action([flat(1).pixels, b"no picture"])
        model.unload()


def test_a_graph_of_pictures_is_not_taken_for_one_of_clips(tmp_path: Path) -> None:
    path = save_graph(tmp_path / "action_recognizer.onnx", [], [value("pixel_values", ("N", 3, 224, 224))], [])
    with pytest.raises(WeightsInvalid):
        ActionRecognizer(path).load_model()
