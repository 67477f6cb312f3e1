"""The small trainings learn, go on after a kill, and their files answer through the models' own adapters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from torch.nn import functional  # noqa: E402
from training.classify import ClassifierPlan, Examples, Pointer, train_classifier  # noqa: E402
from training.depth_net import DepthNet, DepthPlan, Views, depth_loss, train_depth  # noqa: E402
from training.embedding import EmbeddingPlan, Portraits, contrastive, train_embedding  # noqa: E402
from training.loop import RUNNING, Moment, load_tensors, run, warm_then_cosine  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.recipe import Workplace  # noqa: E402
from training.recipes import depth, person_reid, pet  # noqa: E402
from training.weights import predict  # noqa: E402

from hearthwatch.models.depth_estimator import DepthAdapter  # noqa: E402
from hearthwatch.models.person_reid import ReIDAdapter  # noqa: E402
from hearthwatch.models.pet_classifier import PetAdapter  # noqa: E402
from hearthwatch.networks.osnet import create_osnet_x0_25  # noqa: E402
from hearthwatch.networks.resnet import create_resnet  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path / "work", tmp_path / "scenes", threads=1, progress=Progress(Console(file=io.StringIO())))


def colours(count: int, size: tuple[int, int]) -> np.ndarray:
    """Pictures in two colours by turns, with noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 90, (count, *size, 3))
    pixels[0::2, ..., 0] += 150
    pixels[1::2, ..., 2] += 150
    return pixels.astype(np.uint8)


WHOLE = np.array([0, 0, 1, 1], np.float32)


# The loop


class Slope:
    """A weight that goes up by one a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.network.weight)
        self.stop_at = stop_at
        self.seen: list[int] = []

    def step(self, moment: Moment) -> float:
        if moment.step == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(moment.step)
        with torch.no_grad():
            self.network.weight += 1
        return 0.0

    def run(self, workplace: Workplace, steps: int = 6) -> dict[str, Any]:
        path = run(workplace, title="", steps=steps, network=self.network, parts={}, step=self.step)
        return load_tensors(path)


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.SAVE_EVERY_S", 0.0)
    undisturbed = Slope().run(Workplace(tmp_path / "other", tmp_path, threads=1, progress=workplace.progress))
    with pytest.raises(KeyboardInterrupt):
        Slope(stop_at=4).run(workplace)
    assert (workplace.folder / RUNNING).is_file()
    second = Slope()
    assert torch.equal(second.run(workplace)["weight"], undisturbed["weight"])
    assert second.seen == [4, 5]
    assert not (workplace.folder / RUNNING).exists()


def test_a_finished_training_is_not_done_again(workplace: Workplace) -> None:
    Slope().run(workplace)
    again = Slope()
    again.run(workplace)
    assert again.seen == []


def test_a_loss_that_is_no_number_ends_the_training(workplace: Workplace) -> None:
    network = torch.nn.Linear(1, 1)
    with pytest.raises(ArithmeticError, match="step 0"):
        run(workplace, title="t", steps=3, network=network, parts={}, step=lambda _: float("nan"))


def test_a_limit_in_minutes_replaces_the_number_of_steps(workplace: Workplace, tmp_path: Path) -> None:
    limited = Workplace(tmp_path / "limited", tmp_path, minutes=0.002, threads=1, progress=workplace.progress)
    slope = Slope()
    slope.run(limited, steps=1)
    assert len(slope.seen) > 1


def test_the_rate_rises_falls_and_is_never_0_while_there_are_steps() -> None:
    rates = [warm_then_cosine(share) for share in np.linspace(0, 0.99, 100)]
    assert max(rates) == pytest.approx(1.0)
    assert min(rates) > 0
    assert rates[-1] < 0.01


def test_the_pointer_is_content_where_the_maps_say_where_the_thing_is() -> None:
    layer = torch.nn.Identity()
    pointer = Pointer(layer, 1)
    with torch.no_grad():
        pointer.head.weight.fill_(1.0)
        pointer.head.bias.zero_()
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    layer(40 * functional.avg_pool2d(mask, 4) - 20)
    right = float(pointer.loss(mask).detach())
    layer(20 - 40 * functional.avg_pool2d(mask, 4))
    assert right < 1e-3
    assert float(pointer.loss(mask).detach()) > 10


# The losses


def test_the_contrastive_loss_is_small_where_people_are_apart_and_large_where_they_are_mixed_up() -> None:
    vectors = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    assert float(contrastive(vectors, torch.tensor([0, 0, 1, 1]), 0.1)) < 1e-3
    assert float(contrastive(vectors, torch.tensor([0, 1, 0, 1]), 0.1)) > 9


def test_the_contrastive_loss_of_equal_vectors_is_that_of_guessing() -> None:
    alike = torch.ones(6, 4)
    loss = float(contrastive(alike, torch.tensor([0, 0, 1, 1, 2, 2]), 0.1))
    assert loss == pytest.approx(np.log(5), abs=1e-5)


def test_the_depth_loss_forgives_a_part_of_a_wrong_scale_and_nothing_of_a_wrong_order() -> None:
    target = torch.linspace(-3, 0, 16 * 16).reshape(1, 16, 16)
    assert float(depth_loss(target, target)) == 0
    assert float(depth_loss(target + 1, target)) == pytest.approx(0.5, abs=1e-5)
    assert float(depth_loss(-target, target)) > 1


# Whole trainings, of a size that shows only that they learn


def test_a_classifier_learns_two_colours_and_its_file_answers_as_a_pet_classifier(
    workplace: Workplace, tmp_path: Path
) -> None:
    pixels = colours(32, (48, 48))
    masked = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=3)
    examples = Examples(masked, np.tile(WHOLE, (32, 1)), np.arange(32) % 2)
    plan = ClassifierPlan(30, size=pet.SIZE, examples=8)  # the size that its file is asked at
    network = create_resnet(18, 2, stem=pet.STEM)
    checkpoint = train_classifier(network, Pointer(network.layer3, 4 * pet.STEM), examples, plan, workplace)
    pet.export(checkpoint, onnx := tmp_path / "pet_classifier.onnx")
    said = [result.pet_type for result in predict(PetAdapter, onnx, [Image.of(picture) for picture in pixels[:6]])]
    assert said == ["cat", "dog"] * 3
    assert onnx.stat().st_size < 3_000_000


def test_an_embedding_learns_who_is_who_and_its_file_answers_as_re_identification(
    workplace: Workplace, tmp_path: Path
) -> None:
    pixels = colours(16, (72, 36))
    portraits = Portraits(pixels, np.tile(WHOLE, (16, 1)), np.arange(16) % 2 + 7, np.arange(16) // 2 % 2)
    plan = EmbeddingPlan(25, size=(64, 32), people=2, each=4)
    checkpoint = train_embedding(create_osnet_x0_25(), portraits, plan, workplace)
    person_reid.export(checkpoint, onnx := tmp_path / "person_reid.onnx")
    vectors = np.stack([r.embedding for r in predict(ReIDAdapter, onnx, [Image.of(picture) for picture in pixels[:4]])])
    likeness = vectors @ vectors.T
    assert likeness[0, 2] > likeness[0, 1]
    assert likeness[1, 3] > likeness[1, 2]


def test_a_depth_network_learns_that_below_is_near_and_its_file_answers_as_a_depth_estimator(
    workplace: Workplace, tmp_path: Path
) -> None:
    metres = np.linspace(20, 2, 32, dtype=np.float16)[None, :, None].repeat(4, axis=0).repeat(48, axis=2)
    views = Views(colours(4, (64, 96)), metres)
    checkpoint = train_depth(DepthNet(), views, DepthPlan(40, pictures=2), workplace)
    depth.export(checkpoint, onnx := tmp_path / "depth_estimator.onnx")
    far = predict(DepthAdapter, onnx, [Image.of(colours(1, (192, 320))[0])])[0].depth
    assert far.shape == (96, 160)
    assert far[:20].mean() > far[-20:].mean() + 0.2
    assert onnx.stat().st_size < 2_000_000
