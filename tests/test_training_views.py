"""How pictures are shown in training, how finds are counted, how drawn scenes are kept. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training.dataset import Scenes, SceneSet, _draw_shard, stored
from training.scenes.camera import Camera
from training.scenes.labels import Animal, Person, Plate, RenderedScene, Vehicle, Weapon
from training.scenes.spec import SceneSpec
from training.yolo.evaluate import Found, match, mean_average_precision
from training.yolo.examples import Example, View, example_of, shown

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.keypoints import FLIP

EMPTY = np.zeros((0, 4), np.float32)


def example(width: int = 160, height: int = 90) -> Example:
    """A red box with a joint at its corner, on dark grey."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[30:60, 50:110] = (220, 40, 40)
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 9] = (50, 30, 2)
    return Example(pixels, np.array([[50, 30, 110, 60]], np.float32), np.array([0]), EMPTY, keypoints)


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_and_joints_stay_on_what_they_mark(seed: int, flip: float) -> None:
    view = View(size=(96, 96), flip=flip)
    (seen,) = shown([example()], view, np.random.default_rng(seed))
    red = (seen.pixels[..., 0].astype(int) - seen.pixels[..., 2]) > 60
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    truth = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    if not len(seen.boxes):
        assert len(seen.ignore) == 1
        return
    assert seen.boxes[0] == pytest.approx(truth, abs=1.2)
    assert seen.keypoints is not None
    joint = seen.keypoints[0, FLIP[9] if flip else 9]
    if joint[2]:
        assert joint[0] == pytest.approx(truth[2] if flip else truth[0], abs=1.2)
        assert joint[1] == pytest.approx(truth[1], abs=1.2)


def test_colours_keep_their_meaning() -> None:
    view = View(size=(90, 160))
    for seed in range(20):
        (seen,) = shown([example()], view, np.random.default_rng(seed))
        red, green, blue = seen.pixels.reshape(-1, 3).astype(float).mean(axis=0)
        assert red > green
        assert green == pytest.approx(blue, abs=2)


def test_the_whole_picture_fits_where_the_view_is_the_input() -> None:
    view = View(size=(90, 160), zoom=(1.0, 1.0), flip=0.0)
    (seen,) = shown([example()], view, np.random.default_rng(1))
    assert seen.boxes.tolist() == [[50, 30, 110, 60]]


def test_an_object_that_is_cut_off_is_not_asked_for_and_not_held_against() -> None:
    pixels = np.zeros((40, 400, 3), np.uint8)
    long = Example(pixels, np.array([[0, 0, 400, 40]], np.float32), np.array([0]), EMPTY)
    (seen,) = shown([long], View(size=(40, 40), zoom=(1.0, 1.0)), np.random.default_rng(0))
    assert len(seen.boxes) == 0
    assert seen.ignore.tolist() == [[0, 0, 40, 40]]


def test_hidden_and_tiny_things_are_there_but_not_asked_for() -> None:
    def animal(box: Box, visible: float) -> Animal:
        return Animal(kind="cat", box=box, visible=visible, distance_m=5, owner=1)

    things = [animal(Box(0, 0, 40, 40), 1), animal(Box(50, 0, 90, 40), 0.2), animal(Box(0, 60, 6, 66), 1)]
    made = example_of(np.zeros((80, 100, 3), np.uint8), [(3, t) for t in things], least_px=12, least_visible=0.3)
    assert made.boxes.tolist() == [[0, 0, 40, 40]]
    assert made.classes.tolist() == [3]
    assert len(made.ignore) == 2


# Counting


def found(*rows: tuple[float, float, float, float, float]) -> Found:
    """Boxes of class 0 with their confidence."""
    array = np.array(rows, np.float32).reshape(-1, 5)
    return Found(array[:, :4], np.zeros(len(array), np.int64), array[:, 4])


def asked(
    *boxes: tuple[float, float, float, float], ignore: tuple[float, float, float, float] | None = None
) -> Example:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    aside = EMPTY if ignore is None else np.array([ignore], np.float32)
    return Example(np.zeros((1, 1, 3), np.uint8), array, np.zeros(len(array), np.int64), aside)


def test_average_precision_is_the_area_under_precision_over_recall() -> None:
    first, second = (0, 0, 10, 10), (20, 0, 30, 10)
    # Right, wrong, right: precision 1 up to recall 1/2, then 2/3.
    pairs = [(asked(first, second), found((*first, 0.9), (50, 0, 60, 10, 0.8), (*second, 0.7)))]
    assert mean_average_precision(pairs, ["thing"]) == {
        "mAP50": pytest.approx(0.5 + 0.5 * 2 / 3),
        "AP50 thing": pytest.approx(0.5 + 0.5 * 2 / 3),
    }


def test_a_second_find_of_the_same_thing_is_wrong_and_one_of_an_ignored_thing_is_neither() -> None:
    box = (0, 0, 10, 10)
    twice = [(asked(box, (20, 0, 30, 10)), found((*box, 0.9), (*box, 0.8), (20, 0, 30, 10, 0.7)))]
    assert mean_average_precision(twice, ["thing"])["mAP50"] == pytest.approx(0.5 + 0.5 * 2 / 3)
    aside = [(asked(box, ignore=(40, 0, 60, 20)), found((42, 2, 58, 18, 0.95), (*box, 0.9)))]
    assert mean_average_precision(aside, ["thing"])["mAP50"] == 1.0


def test_a_class_that_no_picture_has_does_not_count() -> None:
    pairs = [(asked((0, 0, 10, 10)), found((0, 0, 10, 10, 0.9)))]
    assert mean_average_precision(pairs, ["thing", "other"]) == {"mAP50": 1.0, "AP50 thing": 1.0}


def test_the_more_confident_find_takes_the_object() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 11]], np.float32)
    assert match(boxes, np.array([0.5, 0.9], np.float32), boxes[:1]).tolist() == [-1, 0]


# Drawn scenes on disk


def spec(seed: int, size: tuple[int, int]) -> SceneSpec:
    return SceneSpec("porch", "day", Camera(*size, 400.0, 2.5, 0.2), seed=seed)


def drawn(spec: SceneSpec) -> RenderedScene:
    seed, width, height = spec.seed, spec.camera.width, spec.camera.height
    keypoints = np.tile(np.array([10, 20, 2], np.float32), (17, 1))
    return RenderedScene(
        picture=np.full((height, width, 3), seed % 256, np.uint8),
        depth=np.ones((height, width), np.float32),
        ids=np.zeros((height, width), np.int16),
        people=(
            Person(
                kind="person",
                box=Box(0, 0, 20, 40),
                visible=0.9,
                distance_m=4.0,
                owner=1,
                posture="standing",
                keypoints=keypoints,
                identity=seed,
                holds="knife",
                clothing=("red jacket",),
            ),
        ),
        weapons=(Weapon(kind="knife", box=Box(2, 2, 4, 4), visible=1.0, distance_m=4.0, owner=2, holder=1),),
        vehicles=(Vehicle(kind="van", box=Box(0, 0, 8, 8), visible=1.0, distance_m=9.0, owner=3, colour="blue"),),
        plates=(
            Plate(kind="plate", box=Box(0, 0, 8, 2), visible=1.0, distance_m=9.0, owner=4, text="AB 12", vehicle=3),
        ),
        animals=(),
        place="porch",
        light="day",
        caption="A person on a porch.",
        seed=seed,
        camera=spec.camera,
    )


def test_a_shard_gives_back_what_was_drawn_at_the_size_that_is_kept(tmp_path: Path) -> None:
    wanted = SceneSet("few", 7, 3, (64, 36), (32, 18), spec)
    _draw_shard(wanted, tmp_path / "00000", range(7, 10), drawn)
    kept = Scenes(tmp_path)
    assert len(kept) == 3
    assert [scene.seed for scene in kept] == [7, 8, 9]
    scene = kept[1]
    assert scene.picture.shape == (18, 32, 3)
    assert (scene.picture == 8).all()
    assert scene.people[0].box == Box(0, 0, 10, 20)
    assert scene.people[0].keypoints[3].tolist() == [5, 10, 2]
    assert (scene.people[0].posture, scene.people[0].holds) == ("standing", "knife")
    assert scene.people[0].clothing == ("red jacket",)
    assert scene.plates[0].text == "AB 12"
    assert (scene.place, scene.light, scene.caption) == ("porch", "day", "A person on a porch.")
    assert not list(tmp_path.glob("*.partial"))


def test_a_scene_of_the_size_that_is_kept_keeps_its_pixels() -> None:
    scene = drawn(spec(3, (32, 18)))
    assert stored(scene, (32, 18)).picture is scene.picture
