"""People of the drawn scenes: postures are what their word says, looks follow from identities, things are in hands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from training.scenes.camera import Camera
from training.scenes.canvas import Canvas
from training.scenes.looks import look_of
from training.scenes.people import DrawnPerson, draw_person
from training.scenes.postures import pose_of
from training.scenes.props import HARMLESS
from training.scenes.skeleton import Skeleton, facing_camera, good_yaws, posture_of, stand_up
from training.scenes.spec import POSTURES, WEAPONS, PersonSpec

from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS

#: (posture, arms raised): what a person can be asked to do.
ASKED = [*((posture, False) for posture in POSTURES), ("standing", True)]


def random_camera(rng: np.random.Generator) -> Camera:
    return Camera(1280, 720, rng.uniform(700, 1100), rng.uniform(2.2, 3.5), math.radians(rng.uniform(5, 25)))


def random_person(rng: np.random.Generator, posture: str, *, arms_raised: bool, seed: int) -> PersonSpec:
    """Somewhere in view, in one of the yaws that show the posture."""
    z = float(rng.uniform(3, 15))
    x = z * float(rng.uniform(-0.4, 0.4))
    spans = good_yaws(posture, arms_raised=arms_raised)
    low, high = spans[int(rng.integers(len(spans)))]
    yaw = facing_camera(x, z) + float(rng.uniform(low, high))
    return PersonSpec(seed, posture, x, z, yaw, arms_raised=arms_raised, seed=seed)


def skeleton_of(spec: PersonSpec, stature: float = 1.75) -> Skeleton:
    return stand_up(pose_of(spec), stature, x=spec.x, z=spec.z, yaw=spec.yaw)


def drawn(spec: PersonSpec, *, size: tuple[int, int] = (200, 220)) -> tuple[Canvas, DrawnPerson]:
    """A person about 6 m away, in the middle of a small picture."""
    camera = Camera(*size, focal=480.0, height_m=2.4, pitch=math.radians(14))
    canvas = Canvas(camera, np.random.default_rng(0), oversample=1.0)
    return canvas, draw_person(canvas, spec)


@pytest.mark.parametrize(("posture", "arms_raised"), ASKED, ids=str)
def test_the_products_own_rules_call_a_posture_by_its_word(posture: str, arms_raised: bool) -> None:
    rng = np.random.default_rng([2_000_000, len(posture)])
    hits = 0
    for seed in range(120):
        spec = random_person(rng, posture, arms_raised=arms_raised, seed=seed)
        found = posture_of(skeleton_of(spec, rng.uniform(1.45, 1.95)).coco, random_camera(rng))
        hits += "arms_raised" in found.alerts if arms_raised else found.name == posture
    assert hits >= 0.92 * 120


@pytest.mark.parametrize("thing", [*WEAPONS, "phone", "umbrella"])
def test_holding_something_does_not_change_the_posture(thing: str) -> None:
    rng = np.random.default_rng(2_000_001)
    hits = 0
    for seed in range(60):
        posture = POSTURES[seed % len(POSTURES)]
        spec = random_person(rng, posture, arms_raised=False, seed=seed)
        spec = PersonSpec(spec.identity, posture, spec.x, spec.z, spec.yaw, holds=thing, seed=seed)
        hits += posture_of(skeleton_of(spec).coco, random_camera(rng)).name == posture
    assert hits >= 0.9 * 60


@pytest.mark.parametrize(("posture", "arms_raised"), ASKED, ids=str)
def test_everybody_rests_on_the_ground_and_keeps_their_bones_length(posture: str, arms_raised: bool) -> None:
    def bone(joints: Float, a: str, b: str) -> float:
        return float(np.linalg.norm(joints[COCO_KEYPOINTS.index(a)] - joints[COCO_KEYPOINTS.index(b)]))

    for seed in range(25):
        skeleton = skeleton_of(PersonSpec(0, posture, 1.0, 6.0, 0.3, arms_raised=arms_raised, seed=seed), 1.8)
        lowest = min(float(point[1]) for point in skeleton.joints.values())
        assert 0 <= lowest < (0.25 if posture in {"lying_down", "running"} else 0.12)
        for side in ("left", "right"):
            assert bone(skeleton.coco, f"{side}_hip", f"{side}_knee") == pytest.approx(0.245 * 1.8, rel=1e-3)
            assert bone(skeleton.coco, f"{side}_knee", f"{side}_ankle") == pytest.approx(0.246 * 1.8, rel=1e-3)
            assert bone(skeleton.coco, f"{side}_shoulder", f"{side}_elbow") == pytest.approx(0.186 * 1.8, rel=1e-3)
            assert bone(skeleton.coco, f"{side}_elbow", f"{side}_wrist") == pytest.approx(0.146 * 1.8, rel=1e-3)


def test_somebody_who_faces_the_camera_has_the_own_left_on_the_pictures_right() -> None:
    joints = skeleton_of(PersonSpec(0, "standing", 0.0, 6.0, 0.0, seed=3)).coco
    left, right = (joints[COCO_KEYPOINTS.index(f"{side}_hip")] for side in ("left", "right"))
    nose, ear = joints[0], joints[COCO_KEYPOINTS.index("left_ear")]
    assert left[0] > right[0]
    assert nose[2] < ear[2]


def test_the_same_spec_draws_the_same_bytes() -> None:
    spec = PersonSpec(20_007, "walking", 0.1, 6.0, 0.8, holds="bat", seed=5)
    (one, first), (other, second) = drawn(spec), drawn(spec)
    assert one.albedo.tobytes() == other.albedo.tobytes()
    assert one.ids.tobytes() == other.ids.tobytes()
    assert first.joints.tobytes() == second.joints.tobytes()


@pytest.mark.parametrize("posture", POSTURES)
def test_the_joints_lie_on_the_drawn_body(posture: str) -> None:
    for seed in range(3):
        canvas, person = drawn(PersonSpec(20_000 + seed, posture, 0.0, 6.0, 1.1, seed=seed), size=(300, 260))
        pixels, _ = canvas.view.project(person.joints)
        body = canvas.mask(person.owner, *person.other_owners)
        on_body = sum(body[int(v), int(u)] for u, v in pixels if 0 <= u < 300 and 0 <= v < 260)
        assert on_body >= 16


@pytest.mark.parametrize("thing", [*WEAPONS, *HARMLESS])
def test_what_is_held_has_an_owner_of_its_own_and_is_in_the_hand(thing: str) -> None:
    seen = 0
    for seed in range(4):
        canvas, person = drawn(
            PersonSpec(20_000 + seed, "standing", 0.0, 6.0, 0.7 - seed * 0.5, holds=thing, seed=seed)
        )
        assert (person.weapon_owner is not None) == (thing in WEAPONS)
        held = person.weapon_owner if thing in WEAPONS else person.other_owners[0]
        assert held is not None
        assert held != person.owner
        rows, columns = np.nonzero(canvas.mask(held))
        if not len(rows):
            continue  # behind the body
        seen += 1
        wrists, _ = canvas.view.project(person.joints[9:11])
        away = np.hypot(columns[:, None] - wrists[:, 0], rows[:, None] - wrists[:, 1])
        assert float(away.min()) < 25  # 0.3 m
    assert seen >= 2


def test_a_box_is_carried_between_the_hands_and_a_seat_is_under_the_hips() -> None:
    canvas, person = drawn(PersonSpec(20_003, "walking", 0.0, 6.0, 0.5, carries="box", seed=1))
    wrists, _ = canvas.view.project(person.joints[9:11])
    box = canvas.label_box(person.other_owners[0])
    assert box is not None
    assert box.x1 - 12 < wrists[:, 0].mean() < box.x2 + 12
    seats = [drawn(PersonSpec(20_003, "sitting", 0.0, 6.0, 1.3, seed=seed))[1].other_owners for seed in range(12)]
    assert any(seats)


def test_a_look_follows_from_the_identity_alone() -> None:
    assert look_of(20_001) == look_of(20_001)
    looks = [look_of(20_000 + i) for i in range(200)]
    assert all(1.45 <= look.stature <= 1.95 for look in looks)
    assert len({look.clothing for look in looks}) > 190
    assert len({look.upper.pattern for look in looks}) >= 7
    assert all(all(0 <= part <= 1 for part in look.upper.colour + look.skin + look.hair) for look in looks)


def test_clothing_words_name_colour_and_piece() -> None:
    words = look_of(20_001).clothing
    assert len(words) >= 3
    assert all(" " in word for word in words)
