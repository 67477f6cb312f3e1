"""Clips of drawn people, and the sample of the action recogniser that is made of a CLIP pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training.clips import EVERY_S, FRAMES, MOTIONS, Clip, clip_of, clip_specs

from hearthwatch.models.action_recognizer import ActionAdapter
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
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    pytest.importorskip("tokenizers", reason="no library of vocabularies is installed")
    from training import clip_pair, vocabulary
    from training.loop import save_tensors
    from training.pair import Pair
    from training.recipes import action_recognizer

    folder = tmp_path_factory.mktemp("pair")
    vocabulary.save(vocabulary.learn([*MOTIONS] * 3, 530), folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_tensors(folder / "trained.pt", Pair(vocabulary.load(folder)).state_dict())
    clip_pair.export(folder / "trained.pt", folder / "clip_text.onnx")
    action_recognizer.export(folder / "trained.pt", folder / "action_recognizer.onnx")
    return folder / "action_recognizer.onnx"


class TestSample:
    """With a pair that has learned nothing: what is held here is the way from a checkpoint to an answer."""

    def test_it_answers_through_the_models_own_road(self, network: Path) -> None:
        from training.recipes import action_recognizer

        rng = np.random.default_rng(0)
        clips = [
            Clip(action, tuple(rng.integers(0, 255, (FRAMES, 64, 64, 3), np.uint8)), Box(10, 5, 40, 60))
            for action in MOTIONS
        ]
        figures = action_recognizer.evaluate(network, clips)
        assert figures.keys() == {"accuracy", *(f"accuracy {action}" for action in MOTIONS)}
        assert all(0 <= share <= 1 for share in figures.values())

    def test_a_clip_is_the_mean_of_its_frames_as_the_pair_sees_them(self, network: Path) -> None:
        from training.weights import opened, predict

        from hearthwatch.adapter.frames import clips_of
        from hearthwatch.models.clip import CLIPAdapter
        from hearthwatch.vision.image import Image

        rng = np.random.default_rng(1)
        frames = [Image.of(rng.integers(0, 255, (224, 224, 3), np.uint8)) for _ in range(FRAMES)]
        expected = np.mean(
            [one.embedding for one in predict(CLIPAdapter, network.with_name("clip.onnx"), frames)], axis=0
        )
        with opened(ActionAdapter, network) as model:
            (clip,) = clips_of(model.watching, frames)
            answer = model.runtime.run({"pixel_values": clip, "text_features": np.zeros((2, 768), np.float32)})
        assert np.allclose(answer["video_embeds"][0], expected, atol=1e-3)
        assert answer["text_embeds"].shape == (2, 768)
