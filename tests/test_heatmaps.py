"""Maps of joints to joints: to a fraction of a cell, and nowhere where a map has no top."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.heatmaps import decode_heatmaps
from hearthwatch.vision.image import Float
from hearthwatch.vision.subject import SubjectView

ROWS, COLUMNS = 64, 48


def hill(x: float, y: float, height: float = 0.9, sigma: float = 2.0) -> Float:
    """What a network draws for a joint: mmpose's target has a sigma of 2 cells."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    return np.asarray(height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)), np.float32)


def hills(seed: int, persons: int = 2, joints: int = 17, noise: float = 0.0) -> tuple[Float, Float]:
    random = np.random.default_rng(seed)
    places = random.uniform([3, 3], [COLUMNS - 4, ROWS - 4], (persons, joints, 2))
    maps = np.array([[hill(x, y, sigma=random.uniform(1.6, 2.4)) for x, y in person] for person in places])
    return np.asarray(maps + random.normal(0, noise, maps.shape), np.float32), places.astype(np.float32)


def test_the_top_is_found_to_a_fraction_of_a_cell() -> None:
    maps, places = hills(1)
    joints = decode_heatmaps(maps)
    assert joints.shape == (2, 17, 3)
    assert joints.dtype == np.float32
    assert np.abs(joints[..., :2] - places).max() < 0.02
    assert ((joints[..., 2] > 0.8) & (joints[..., 2] <= 0.9)).all()


def test_noise_moves_it_by_less_than_half_a_cell() -> None:
    maps, places = hills(2, noise=0.02)
    assert np.abs(decode_heatmaps(maps)[..., :2] - places).max() < 0.5


@pytest.mark.parametrize("place", [(0, 0), (COLUMNS - 1, 0), (0, ROWS - 1), (COLUMNS - 1, ROWS - 1), (20, 0)], ids=str)
def test_a_joint_at_the_edge_stays_near_it(place: tuple[int, int]) -> None:
    joint = decode_heatmaps(hill(*place)[None, None])[0, 0]
    assert np.abs(joint[:2] - place).max() < 1


@pytest.mark.parametrize("value", [0.0, -1.0, 0.3, 100.0])
def test_a_flat_map_has_its_height_at_one_of_its_cells(value: float) -> None:
    joint = decode_heatmaps(np.full((1, 1, ROWS, COLUMNS), value, np.float32))[0, 0]
    assert joint.tolist() == [0, 0, pytest.approx(value)]


def test_a_map_without_a_top_leads_nowhere() -> None:
    random = np.random.default_rng(3)
    maps = random.uniform(0, 1, (4, 17, ROWS, COLUMNS)).astype(np.float32)
    joints = decode_heatmaps(maps)
    highest = maps.reshape(4, 17, -1).argmax(axis=2)
    cells = np.stack([highest % COLUMNS, highest // COLUMNS], axis=2)
    assert np.abs(joints[..., :2] - cells).max() <= 2


@pytest.mark.parametrize("shape", [(0, 17, 64, 48), (1, 0, 64, 48), (1, 1, 1, 1), (1, 2, 2, 3)], ids=str)
def test_any_number_of_maps_of_any_size_is_decoded(shape: tuple[int, int, int, int]) -> None:
    joints = decode_heatmaps(np.ones(shape, np.float32))
    assert joints.shape == (*shape[:2], 3)
    assert np.isfinite(joints).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_joints_are_those_of_transformers_processor() -> None:
    torch: Any = pytest.importorskip("torch", reason="the extra torch is not installed")
    vitpose = pytest.importorskip(
        "transformers.models.vitpose.image_processing_pil_vitpose",
        reason="transformers is the reference here and not among the project's requirements",
    )
    pytest.importorskip("scipy", reason="transformers' ViTPose processor needs scipy, which the project does not")
    maps = hills(4, persons=3, noise=0.02)[0]
    boxes = [Box(10.3, 20.7, 200, 400), Box(100, 50, 500, 250), Box(-30, -20, 700, 500)]
    found = vitpose.VitPoseImageProcessorPil().post_process_pose_estimation(
        types.SimpleNamespace(heatmaps=torch.from_numpy(maps)),
        boxes=[[list(box.as_xywh().values()) for box in boxes]],
    )[0]
    for joints, box, theirs in zip(decode_heatmaps(maps), boxes, found, strict=True):
        ours = SubjectView.fit(box, (256, 192)).to_picture(joints[:, :2], (ROWS, COLUMNS))
        assert np.abs(ours - theirs["keypoints"].numpy()).max() < 1e-3
        assert np.array_equal(joints[:, 2], theirs["scores"].numpy())
