"""Training of YOLO networks: targets, losses, views, the loop, and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from rich.console import Console  # noqa: E402
from training.loop import load_tensors  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.recipe import Workplace  # noqa: E402
from training.recipes.detector import _Everything  # noqa: E402
from training.weights import opened  # noqa: E402
from training.yolo.batches import Batches  # noqa: E402
from training.yolo.examples import Example, View  # noqa: E402
from training.yolo.export import Facts, export  # noqa: E402
from training.yolo.loop import Course, Learner, train  # noqa: E402
from training.yolo.losses import Gains, complete_iou, distribution_loss, losses  # noqa: E402
from training.yolo.plan import Layout, family, fresh, member  # noqa: E402
from training.yolo.targets import Truth, assign  # noqa: E402

from hearthwatch.networks.yolov8_heads import HeadWidths  # noqa: E402
from hearthwatch.networks.yolov8_plan import BINS  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402

TINY = Layout(2, width=0.0625, branches=HeadWidths(box=16, classes=16, extra=16))
VIEW = View(size=(64, 64), zoom=(0.9, 1.1), focus=0.0)


def square(seed: int) -> Example:
    """A red square or a blue one, on grey."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(100, 130, (64, 64, 3)).astype(np.uint8)
    kind = seed % 2
    side, x, y = rng.integers(16, 32), rng.integers(0, 32), rng.integers(0, 32)
    pixels[y : y + side, x : x + side] = (230, 30, 30) if kind == 0 else (30, 30, 230)
    box = np.array([[x, y, x + side, y + side]], np.float32)
    return Example(pixels, box, np.array([kind]), np.zeros((0, 4), np.float32))


def squares(size: int = 4) -> Batches[int]:
    return Batches(range(64), lambda seed: [square(seed)], VIEW, size, seed=3)


def work(folder: Path) -> Workplace:
    return Workplace(folder, folder, threads=1, progress=Progress(Console(quiet=True)))


def truth(
    boxes: list[list[float]], *, images: list[int] | None = None, ignored: list[list[float]] | None = None
) -> Truth:
    count = len(boxes)
    return Truth(
        torch.tensor(images or [0] * count, dtype=torch.int64),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, 17, 3),
        torch.zeros(len(ignored or []), dtype=torch.int64),
        torch.tensor(ignored or [], dtype=torch.float32).reshape(-1, 4),
    )


def grid(side: int, stride: int) -> tuple[Any, Any]:
    """Centres (A, 2) and strides (A,) of one level."""
    steps = (torch.arange(side) + 0.5) * stride
    centres = torch.stack([steps.repeat(side), steps.repeat_interleave(side)], dim=1)
    return centres, torch.full((side * side,), float(stride))


# Targets


def test_positives_lie_inside_their_object_and_the_best_one_may_be_as_sure_as_its_overlap() -> None:
    centres, strides = grid(8, 8)
    goal = [8.0, 8.0, 40.0, 40.0]
    boxes = torch.cat([centres - 14, centres + 14], dim=1)[None]
    answer = assign(torch.full((1, 1, 64), 0.5), boxes, centres, strides, truth([goal]))
    chosen = (answer.owner[0] >= 0).nonzero()[:, 0]
    assert 0 < len(chosen) <= 10
    assert ((centres[chosen] > 8) & (centres[chosen] < 40)).all()
    shared = 26.0**2  # of the nearest anchors' boxes, 28 px square and 4 px beside the middle
    assert answer.quality.max().item() == pytest.approx(shared / (28**2 + 32**2 - shared), abs=1e-5)
    assert (answer.quality[answer.owner < 0] == 0).all()


def test_an_anchor_that_two_objects_want_is_for_the_one_that_it_overlaps_more() -> None:
    centres, strides = grid(4, 8)
    left, right = [0.0, 0.0, 20.0, 32.0], [12.0, 0.0, 32.0, 32.0]
    boxes = torch.tensor(left).expand(1, 16, 4).clone()
    boxes[0, centres[:, 0] > 16] = torch.tensor(right)
    owner = assign(torch.full((1, 1, 16), 0.5), boxes, centres, strides, truth([left, right])).owner[0]
    assert set(owner[centres[:, 0] < 16].tolist()) <= {0, -1}
    assert set(owner[centres[:, 0] > 16].tolist()) <= {1, -1}
    assert {0, 1} <= set(owner.tolist())


def test_objects_of_different_pictures_do_not_meet() -> None:
    centres, strides = grid(4, 8)
    boxes = torch.tensor([4.0, 4.0, 28.0, 28.0]).expand(2, 16, 4)
    goal = [4.0, 4.0, 28.0, 28.0]
    owner = assign(torch.full((2, 1, 16), 0.5), boxes, centres, strides, truth([goal, goal], images=[0, 1])).owner
    assert set(owner[0].tolist()) == {0, -1}
    assert set(owner[1].tolist()) == {1, -1}


def test_a_thin_object_between_two_rows_of_centres_still_has_an_anchor() -> None:
    centres, strides = grid(4, 8)
    boxes = torch.cat([centres - 8, centres + 8], dim=1)[None]
    owner = assign(torch.full((1, 1, 16), 0.5), boxes, centres, strides, truth([[2.0, 15.0, 30.0, 17.0]])).owner
    assert (owner >= 0).any()


# Losses


def test_complete_iou_is_one_for_equal_boxes_and_falls_with_distance_and_aspect() -> None:
    one = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    assert complete_iou(one, one).item() == pytest.approx(1.0)
    apart = torch.tensor([[20.0, 0.0, 30.0, 20.0]])
    assert complete_iou(one, apart).item() == pytest.approx(-(20**2) / (30**2 + 20**2))
    turned = torch.tensor([[-5.0, 5.0, 15.0, 15.0]])
    overlap = 100 / 300
    aspect = 4 / math.pi**2 * (math.atan(0.5) - math.atan(2)) ** 2
    # Their common frame is 20 x 20 around the same middle.
    assert complete_iou(one, turned).item() == pytest.approx(overlap - aspect**2 / (1 - overlap + aspect))


def test_the_loss_of_a_distribution_is_least_where_it_is_shared_between_the_two_bins_beside_the_distance() -> None:
    distance = torch.full((1, 4), 2.25)
    log = torch.full((1, 4, BINS), -30.0)
    log[:, :, 2], log[:, :, 3] = math.log(0.75), math.log(0.25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert distribution_loss(log, distance).item() == pytest.approx(entropy, abs=1e-4)
    assert distribution_loss(torch.zeros(1, 4, BINS), distance).item() == pytest.approx(math.log(BINS), abs=1e-4)
    assert torch.isfinite(distribution_loss(log, torch.full((1, 4), 99.0))).all()


def test_what_is_said_about_an_ignored_place_costs_nothing() -> None:
    network = fresh(TINY, 0).eval()
    raw = network.model[-1].raw(network.levels(torch.zeros(1, 3, 64, 64)))
    everywhere = losses(raw, truth([]), Gains()).total
    nowhere = losses(raw, truth([], ignored=[[0.0, 0.0, 64.0, 64.0]]), Gains()).total
    assert everywhere.item() > 0
    assert nowhere.item() == 0


def test_joints_that_are_where_they_should_be_cost_nothing_but_the_doubt_that_they_are_there() -> None:
    network = fresh(replace(TINY, classes=1, keypoints=17), 0).eval()
    raw = network.model[-1].raw(network.levels(torch.zeros(1, 3, 64, 64)))
    corners, strides = raw.corners.T, raw.strides[0]
    # The first layout puts every joint of every anchor at its cell's middle, nearly.
    near = truth([[0.0, 0.0, 64.0, 64.0]])
    anchor = int((strides == 32).nonzero()[0])
    near.keypoints[:] = torch.tensor([*((corners[anchor] + 0.5) * strides[anchor]).tolist(), 2.0])
    far = near._replace(keypoints=near.keypoints + torch.tensor([300.0, 0.0, 0.0]))
    assert losses(raw, near, Gains()).points.item() < losses(raw, far, Gains()).points.item()
    absent = near._replace(keypoints=torch.zeros(1, 17, 3))
    assert losses(raw, absent, Gains()).points.item() == 0
    assert losses(raw, absent, Gains()).presence.item() > 0


# The network and the loop


def test_the_raw_maps_decode_to_what_the_network_answers() -> None:
    network = fresh(TINY, 0).eval()
    images = torch.rand(2, 3, 64, 96)
    raw = network.model[-1].raw(network.levels(images))
    assert raw.boxes.shape == (2, 4 * BINS, 8 * 12 + 4 * 6 + 2 * 3)
    assert torch.equal(network(images)[:, 4:], raw.classes.sigmoid())


def test_the_members_of_a_family_answer_alone_as_they_do_together() -> None:
    layouts = [TINY, replace(TINY, classes=1, keypoints=17)]
    together = family(layouts, 3).eval()
    images = torch.rand(1, 3, 64, 64)
    levels = together[0].levels(images)
    for place, head in enumerate((together[0].model[-1], together[1])):
        assert torch.equal(member(together.state_dict(), layouts, place)(images), head(levels))


def test_a_fresh_network_says_that_there_is_nothing_and_guesses_small_boxes() -> None:
    answer = fresh(TINY, 0).eval()(torch.rand(1, 3, 64, 64))
    assert answer[0, 4:].max() < 0.05
    assert 16 < answer[0, 2, :64].mean() < 64  # of stride 8: 2 to 8 cells


def test_the_batch_of_a_step_follows_from_the_step_alone() -> None:
    first, ahead = squares(), squares().ahead()
    batches = [ahead.at(step) for step in range(20, 23)]
    ahead.close()
    for step, batch in zip(range(20, 23), batches, strict=True):
        again = first.at(step)
        assert torch.equal(batch.pixels, again.pixels)
        assert torch.equal(batch.truths[0].boxes, again.truths[0].boxes)


def test_an_example_that_cannot_be_made_ends_the_training_with_its_reason() -> None:
    def broken(_key: int) -> list[Example]:
        raise OSError("the disk is gone")

    ahead = replace(squares(), examples=broken).ahead()
    with pytest.raises(OSError, match="the disk is gone"):
        ahead.at(0)
    ahead.close()


def test_a_network_learns_to_tell_a_red_square_from_a_blue_one_and_its_file_says_what_it_is(tmp_path: Path) -> None:
    course = Course("squares", (TINY,), steps=90, rate=8e-3)
    weights = train(course, squares(8), work(tmp_path))
    output = tmp_path / "yolo26.onnx"
    export(member(load_tensors(weights), [TINY], 0), output, Facts("yolo26", ("red", "blue"), (64, 64)))
    right = 0
    with opened(_Everything, output) as model:
        assert model.weights == "sample"
        assert model.adapter.description.conflicts == ()
        for seed in range(100, 120):
            example = square(seed)
            (found,), _ = model.predict([Image.of(example.pixels)])
            best = found.detections[0]
            right += best.class_name == ("red", "blue")[int(example.classes[0])]
    assert right >= 18


def test_a_training_that_was_stopped_ends_where_it_would_have_ended(tmp_path: Path, monkeypatch: Any) -> None:
    course = Course("squares", (TINY,), steps=6)
    whole = load_tensors(train(course, squares(), work(tmp_path / "whole")))
    monkeypatch.setattr("training.loop.SAVE_EVERY_S", 0.0)
    stopped = Stopping(course, at=3)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(tmp_path / "stopped", monkeypatch)
    monkeypatch.undo()
    resumed = load_tensors(train(course, squares(), work(tmp_path / "stopped")))
    assert whole.keys() == resumed.keys()
    for key, tensor in whole.items():
        assert torch.equal(tensor, resumed[key]), key


class Stopping:
    """A training that somebody stops with Ctrl-C."""

    def __init__(self, course: Course, at: int) -> None:
        self.course, self.at = course, at

    def run(self, folder: Path, monkeypatch: Any) -> None:
        learn = Learner.learn
        steps = iter(range(100))

        def interrupted(learner: Learner, batch: Any, share: float) -> float:
            if next(steps) == self.at:
                raise KeyboardInterrupt
            return learn(learner, batch, share)

        monkeypatch.setattr(Learner, "learn", interrupted)
        train(self.course, squares(), work(folder))
