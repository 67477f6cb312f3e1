"""Clips of drawn people, and the sample of the action recogniser that is made of a CLIP pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.clips import EVERY_S, FRAMES, MOTIONS, Clip, clip_of, clip_specs
from training.scenes.cast import window_spec
from training.scenes.draw import draw
from training.single_frames import KEPT_PX, WIDE_MARGIN, action_in, examples

from hearthwatch.models.action_recognizer import ACTION_MARGIN, ActionAdapter
from hearthwatch.models.actions import action_of
from hearthwatch.vision.boxes import Box

SEEDS = range(3_000_000, 3_000_000 + 2 * len(MOTIONS))


class TestClips:
    def test_every_action_is_a_documented_one(self) -> None:
        assert all(action_of(action) is not None for action in MOTIONS)
        assert set(MOTIONS) <= set(ActionAdapter.LABELS)

    def test_every_action_comes_in_turn(self) -> None:
        assert [clip_specs(seed)[0] for seed in SEEDS] == [*MOTIONS, *MOTIONS]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_only_the_person_moves_and_as_fast_as_the_action_says(self, seed: int) -> None:
        action, scenes = clip_specs(seed)
        assert len(scenes) == FRAMES
        assert len({(scene.place, scene.light, scene.camera, scene.seed) for scene in scenes}) == 1
        people = [scene.people[0] for scene in scenes]
        assert len({(p.identity, p.posture, p.yaw, p.carries) for p in people}) == 1
        steps = np.diff([(p.x, p.z) for p in people], axis=0)
        assert np.allclose(np.hypot(*steps.T), MOTIONS[action].speed * EVERY_S)

    def test_who_walks_goes_where_he_faces(self) -> None:
        for seed in SEEDS:
            _, scenes = clip_specs(seed)
            first, last = scenes[0].people[0], scenes[-1].people[0]
            # Yaw 0 faces the camera, and turns to the picture's right.
            assert (last.x - first.x) * np.sin(first.yaw) >= 0
            assert (last.z - first.z) * -np.cos(first.yaw) >= 0

    def test_a_clip_is_its_frames_and_where_the_person_is(self) -> None:
        clip = next(filter(None, map(clip_of, SEEDS)))
        assert len(clip.frames) == FRAMES
        height, width = clip.frames[0].shape[:2]
        assert 0 <= clip.box.x1 < clip.box.x2 <= width
        assert 0 <= clip.box.y1 < clip.box.y2 <= height
        again = next(filter(None, map(clip_of, SEEDS)))
        assert all(np.array_equal(a, b) for a, b in zip(clip.frames, again.frames, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network, its reader beside it, and the checkpoints of both: of a pair that has learned nothing."""
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    pytest.importorskip("tokenizers", reason="no library of vocabularies is installed")
    from training import clip_pair, vocabulary
    from training.loop import TRAINED, save_tensors
    from training.pair import Pair
    from training.recipes import action_recognizer
    from training.watcher import Chooser

    folder = tmp_path_factory.mktemp("action")
    first = folder / action_recognizer.PAIR
    first.mkdir()
    vocabulary.save(vocabulary.learn([*MOTIONS] * 3, 530), first)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pair = Pair(vocabulary.load(first))
        texts = torch.randn(len(MOTIONS), 768)
    save_tensors(first / TRAINED, pair.state_dict())
    save_tensors(folder / TRAINED, Chooser(pair.pictures.image, texts).state_dict())
    clip_pair.export(first / TRAINED, folder / "clip_text.onnx")
    action_recognizer.export(folder / TRAINED, folder / "action_recognizer.onnx")
    return folder


class TestExamples:
    def test_postures_are_moments_of_the_actions(self) -> None:
        people = [person for seed in range(8) for person in draw(window_spec(seed)).people]
        told = {(person.posture, action_in(person)) for person in people if action_in(person) is not None}
        assert told
        assert all(posture == MOTIONS[str(action)].posture for posture, action in told)
        assert all(action_in(person) is None for person in people if person.arms_raised)
        rows = examples([draw(window_spec(seed)) for seed in range(8)])
        assert rows["pixels"].shape[1:] == (KEPT_PX, KEPT_PX, 3)
        assert len(rows["pixels"]) == len(rows["inner"]) == len(rows["label"])

    def test_the_adapters_own_square_lies_inside(self) -> None:
        scene = next(scene for seed in range(40) if examples([scene := _window(seed)]))
        x1, y1, x2, y2 = examples([scene])["inner"][0]
        assert x2 - x1 == pytest.approx((1 + 2 * ACTION_MARGIN) / (1 + 2 * WIDE_MARGIN))
        assert (x1, y1) == pytest.approx((1 - x2, 1 - y2))


class TestSample:
    """What is held here is the way from a checkpoint to an answer."""

    def test_it_answers_through_the_models_own_road(self, folder: Path) -> None:
        from training.recipes import action_recognizer

        rng = np.random.default_rng(0)
        clips = [
            Clip(action, tuple(rng.integers(0, 255, (FRAMES, 64, 64, 3), np.uint8)), Box(10, 5, 40, 60))
            for action in MOTIONS
        ]
        figures = action_recognizer.evaluate(folder / "action_recognizer.onnx", clips)
        assert figures.keys() == {"accuracy", *(f"accuracy {action}" for action in MOTIONS)}
        assert all(0 <= share <= 1 for share in figures.values())

    def test_a_clip_is_the_mean_of_its_frames(self, folder: Path) -> None:
        import torch
        from torch.nn import functional
        from training.loop import TRAINED, load_tensors
        from training.pair import PictureSide
        from training.watcher import Chooser
        from training.weights import opened

        from hearthwatch.adapter.frames import clips_of
        from hearthwatch.vision.image import Image

        tensors = load_tensors(folder / TRAINED)
        chooser = Chooser(PictureSide().image, tensors["texts"])
        chooser.load_state_dict(tensors)
        rng = np.random.default_rng(1)
        frames = [Image.of(rng.integers(0, 255, (224, 224, 3), np.uint8)) for _ in range(FRAMES)]
        with opened(ActionAdapter, folder / "action_recognizer.onnx") as model:
            (clip,) = clips_of(model.watching, frames)
            answer = model.runtime.run({"pixel_values": clip, "text_features": np.zeros((2, 768), np.float32)})
        with torch.no_grad():
            each = chooser.image.eval()(functional.avg_pool2d(torch.from_numpy(clip), 2))
        assert np.allclose(answer["video_embeds"], functional.normalize(each).mean(0, keepdim=True), atol=1e-4)
        assert answer["text_embeds"].shape == (2, 768)

    def test_it_chooses_the_sentence_that_lies_nearest(self) -> None:
        torch = pytest.importorskip("torch", reason="the extra torch is not installed")
        from training.watcher import Chooser

        chooser = Chooser(torch.nn.Flatten(), torch.eye(4))
        assert chooser(torch.eye(4).reshape(4, 1, 2, 2)).argmax(dim=1).tolist() == [0, 1, 2, 3]


def _window(seed: int) -> Any:
    return draw(window_spec(seed))
