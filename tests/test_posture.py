"""Postures from skeletons drawn by hand, and the properties that hold for every skeleton."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS, mirror
from hearthwatch.vision.posture import POSTURES, SUSPICIOUS_POSTURES, Posture, classify_posture

Pair = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A stick figure: angles in degrees, lengths in torso lengths, pairs are (left, right).

    Limbs turn from straight down towards the right of the picture; the torso turns from upright towards the right.
    The default stands and faces the camera. Lengths shrink where a limb points at the camera.
    """

    torso: float = 0
    thigh: Pair = (0, 0)
    shank: Pair = (0, 0)
    arm: Pair = (5, -5)
    forearm: Pair = (5, -5)
    profile: bool = False
    torso_length: float = 1
    thigh_length: Pair = (0.8, 0.8)
    shank_length: Pair = (0.75, 0.75)

    def draw(self, height: float = 300, hidden: tuple[str, ...] = ()) -> Float:
        """(17, 3) keypoints of a figure whose joints span `height` pixels upright; hidden joints get confidence 0.1."""
        shoulders, hips = (0.15, 0.1) if self.profile else (0.6, 0.4)
        torso = self.torso_length * _direction(180 - self.torso)
        head = torso + 0.4 * _direction(180 - self.torso)
        points = {name: head + 0.08 * np.array(offset) for name, offset in HEAD.items()}
        for i, (side, sign) in enumerate((("left", 1), ("right", -1))):  # facing us, their left is on our right
            points[f"{side}_shoulder"] = torso + np.array([sign * shoulders / 2, 0])
            points[f"{side}_elbow"] = points[f"{side}_shoulder"] + 0.62 * _direction(self.arm[i])
            points[f"{side}_wrist"] = points[f"{side}_elbow"] + 0.5 * _direction(self.forearm[i])
            points[f"{side}_hip"] = np.array([sign * hips / 2, 0])
            points[f"{side}_knee"] = points[f"{side}_hip"] + self.thigh_length[i] * _direction(self.thigh[i])
            points[f"{side}_ankle"] = points[f"{side}_knee"] + self.shank_length[i] * _direction(self.shank[i])
        xy = np.array([points[name] for name in COCO_KEYPOINTS]) * height / 2.95 + 3 * height
        confidence = [0.1 if name in hidden else 0.9 for name in COCO_KEYPOINTS]
        return np.column_stack([xy, confidence]).astype(np.float32)


HEAD: Mapping[str, Pair] = {
    "nose": (0, 1),
    "left_eye": (0.5, 0),
    "right_eye": (-0.5, 0),
    "left_ear": (1, 0.2),
    "right_ear": (-1, 0.2),
}


def _direction(degrees: float) -> Float:
    """Unit vector in the picture, y down, turned from straight down towards the right."""
    return np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])


FIGURES: dict[str, dict[str, Figure]] = {
    "standing": {
        "facing us": Figure(),
        "from the side": Figure(profile=True),
        "legs apart": Figure(thigh=(22, -22), shank=(22, -22)),
        "camera above": Figure(thigh_length=(0.65, 0.65), shank_length=(0.55, 0.55)),
        "feet a little apart, from the side": Figure(profile=True, thigh=(5, -5), shank=(5, -5)),
        "on a slope": Figure(shank_length=(0.75, 0.67)),
        "shading the eyes": Figure(arm=(100, -5), forearm=(135, -5)),
        "hand on the ear": Figure(arm=(40, -5), forearm=(195, -5)),
        "arms stretched out": Figure(arm=(90, -90), forearm=(90, -90)),
        "camera tilted": Figure(torso=12, thigh=(-12, -12), shank=(-12, -12)),
    },
    "walking": {
        "stride from the side": Figure(profile=True, thigh=(25, -18), shank=(20, -30)),
        "swinging leg": Figure(profile=True, thigh=(25, -5), shank=(-30, -5)),
        "short stride": Figure(profile=True, thigh=(12, -8), shank=(8, -12)),
        "both knees soft": Figure(profile=True, thigh=(15, 13), shank=(-12, -10)),
        "heel up, but not as a runner's": Figure(profile=True, thigh=(20, 0), shank=(-46, 0)),
        "towards us, one foot lifted": Figure(shank_length=(0.75, 0.59)),
    },
    "running": {
        "heel up": Figure(torso=10, profile=True, thigh=(20, 0), shank=(-75, -10), arm=(-40, 30), forearm=(60, 110)),
        "long stride": Figure(torso=15, profile=True, thigh=(-20, 25), shank=(-110, -5)),
        "knee high": Figure(torso=5, profile=True, thigh=(45, -10), shank=(-60, -20)),
    },
    "sitting": {
        "on a chair from the side": Figure(profile=True, thigh=(90, 85), shank=(0, 5)),
        "on a chair facing us": Figure(thigh_length=(0.25, 0.25)),
        "leaning to a desk": Figure(torso=30, profile=True, thigh=(90, 90), shank=(0, 0)),
        "tying a shoe": Figure(torso=60, profile=True, thigh=(90, 90), shank=(5, 5)),
        "legs stretched out": Figure(torso=-15, profile=True, thigh=(85, 80), shank=(50, 50)),
        "on the ground": Figure(profile=True, thigh=(140, 140), shank=(35, 35)),
        "on a bicycle, leaning a little": Figure(torso=22, profile=True, thigh=(60, 75), shank=(-20, -35)),
        "on a bicycle": Figure(torso=8, profile=True, thigh=(60, 75), shank=(-20, -35)),
    },
    "crouching": {
        "on the heels from the side": Figure(torso=25, profile=True, thigh=(110, 105), shank=(-35, -30)),
        "on the heels facing us": Figure(thigh=(110, -110), thigh_length=(0.5, 0.5), shank_length=(0.6, 0.6)),
        "half-crouch": Figure(torso=40, profile=True, thigh=(60, 55), shank=(-30, -35)),
        "on both knees": Figure(profile=True, thigh=(5, 0), shank=(-90, -90)),
        "on one knee": Figure(profile=True, thigh=(85, 0), shank=(0, -85)),
    },
    "bending_over": {
        "level back": Figure(torso=90, profile=True, arm=(0, 0), forearm=(0, 0)),
        "picking something up": Figure(torso=110, profile=True, thigh=(-5, -5), arm=(0, 0), forearm=(0, 0)),
        "half-way": Figure(torso=-55, profile=True),
        "towards us": Figure(torso_length=0.3, arm=(0, 0), forearm=(0, 0)),
    },
    "crawling": {
        "on hands and knees": Figure(
            torso=90, profile=True, thigh=(0, 0), shank=(-90, -90), arm=(0, 0), forearm=(0, 0)
        ),
        "moving a knee": Figure(
            torso=-80, profile=True, thigh=(-30, 25), shank=(85, 95), arm=(-10, 10), forearm=(0, 0)
        ),
        "low": Figure(torso=95, profile=True, thigh=(35, 30), shank=(-80, -85), arm=(20, 20), forearm=(10, 10)),
    },
    "lying_down": {
        "on the back": Figure(torso=90, profile=True, thigh=(-90, -90), shank=(-90, -90), arm=(-85, -95)),
        "knees drawn up": Figure(torso=-85, profile=True, thigh=(130, 125), shank=(60, 60)),
        "slantwise": Figure(torso=60, thigh=(-62, -58), shank=(-60, -65)),
        "arms overhead": Figure(torso=90, thigh=(-90, -90), shank=(-90, -90), arm=(90, 90), forearm=(90, 90)),
    },
    "reaching_up": {
        "one arm": Figure(arm=(170, -5), forearm=(175, -5)),
        "one arm while walking": Figure(
            profile=True, thigh=(25, -18), shank=(20, -30), arm=(-5, 150), forearm=(-5, 175)
        ),
        "a hand just above the head": Figure(arm=(105, -5), forearm=(142, -5)),
        "both arms": Figure(arm=(165, -165), forearm=(175, -175)),
        "climbing": Figure(profile=True, thigh=(80, 20), shank=(0, -20), arm=(160, 5), forearm=(170, 60)),
    },
}
CASES = [
    pytest.param(word, figure, id=f"{word}, {name}")
    for word, variants in FIGURES.items()
    for name, figure in variants.items()
]
LEGS = ("left_knee", "right_knee", "left_ankle", "right_ankle")
LEFT = tuple(name for name in COCO_KEYPOINTS if name.startswith("left"))
RIGHT = tuple(name for name in COCO_KEYPOINTS if name.startswith("right"))

figures = st.sampled_from([figure for variants in FIGURES.values() for figure in variants.values()])
#: Any tangle of joints on whole pixels, each absent, barely seen or certain.
tangles = st.lists(
    st.tuples(st.integers(-512, 512), st.integers(-512, 512), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=17,
    max_size=17,
).map(lambda rows: np.array(rows, np.float32))


@pytest.mark.parametrize("height", [20, 300, 2000])
@pytest.mark.parametrize(("word", "figure"), CASES)
def test_a_drawn_figure_gets_its_word_at_any_size(word: str, figure: Figure, height: float) -> None:
    assert classify_posture(figure.draw(height)).name == word


def test_every_word_but_hiding_and_unknown_is_drawn_in_three_ways() -> None:
    assert set(POSTURES) - set(FIGURES) == {"hiding", "unknown"}
    assert min(map(len, FIGURES.values())) >= 3


@pytest.mark.parametrize(("word", "figure"), CASES)
def test_alerts_follow_from_the_posture(word: str, figure: Figure) -> None:
    alerts = classify_posture(figure.draw()).alerts
    expected = {word, "suspicious_pose"} if word in SUSPICIOUS_POSTURES else set()
    assert set(alerts) - {"arms_raised"} == expected


def test_one_raised_wrist_reaches_up_and_two_raise_the_arms() -> None:
    assert classify_posture(FIGURES["reaching_up"]["one arm"].draw()).alerts == ("reaching_up", "suspicious_pose")
    both = classify_posture(FIGURES["reaching_up"]["both arms"].draw())
    assert both == Posture("reaching_up", ("arms_raised", "reaching_up", "suspicious_pose"))


def test_hands_above_the_head_of_somebody_lying_down_are_not_raised() -> None:
    assert "arms_raised" not in classify_posture(FIGURES["lying_down"]["arms overhead"].draw()).alerts


@pytest.mark.parametrize("hidden", [(*LEGS, "left_hip", "right_hip"), LEGS], ids=["no hips", "no legs"])
def test_arms_tell_even_where_the_legs_are_out_of_the_picture(hidden: tuple[str, ...]) -> None:
    figure = FIGURES["reaching_up"]["both arms"]
    assert classify_posture(figure.draw(hidden=hidden)).alerts[0] == "arms_raised"
    assert classify_posture(Figure().draw(hidden=hidden)) == Posture("unknown")


@pytest.mark.parametrize("name", ["one arm", "a hand just above the head"])
def test_a_hidden_face_does_not_hide_a_raised_wrist(name: str) -> None:
    assert classify_posture(FIGURES["reaching_up"][name].draw(hidden=tuple(HEAD))).name == "reaching_up"
    assert classify_posture(FIGURES["standing"]["shading the eyes"].draw(hidden=tuple(HEAD))).name == "standing"


@pytest.mark.parametrize("side", [LEFT, RIGHT], ids=["left hidden", "right hidden"])
@pytest.mark.parametrize("word", ["standing", "sitting", "crouching", "bending_over", "crawling", "lying_down"])
def test_the_visible_side_is_enough(word: str, side: tuple[str, ...]) -> None:
    first = next(iter(figure for figure in FIGURES[word].values() if word == "standing" or figure.profile))
    assert classify_posture(first.draw(hidden=side)).name == word


def test_an_open_leg_seen_alone_is_not_a_stride() -> None:
    figure = FIGURES["walking"]["stride from the side"]
    assert classify_posture(figure.draw(hidden=RIGHT)).name == "standing"


@pytest.mark.parametrize(
    ("word", "figure"),
    [
        ("standing", Figure()),
        ("standing", Figure(profile=True, thigh=(20, 20), thigh_length=(0.6, 0.6))),
        ("unknown", Figure(profile=True, thigh=(40, 40))),
        ("unknown", Figure(profile=True, thigh=(50, 50))),
        ("unknown", Figure(thigh_length=(0.25, 0.25))),
        ("sitting", Figure(profile=True, thigh=(75, 70))),
    ],
)
def test_without_ankles_an_upright_thigh_stands_a_level_one_sits_and_others_tell_nothing(
    word: str, figure: Figure
) -> None:
    assert classify_posture(figure.draw(hidden=("left_ankle", "right_ankle"))).name == word


@given(figures)
def test_without_knees_and_ankles_nothing_is_suspicious_but_a_raised_wrist(figure: Figure) -> None:
    assert classify_posture(figure.draw(hidden=LEGS)).name in {"unknown", "reaching_up"}


@given(figures, st.sets(st.sampled_from(COCO_KEYPOINTS)))
def test_hiding_joints_never_makes_an_ordinary_figure_suspicious(figure: Figure, hidden: set[str]) -> None:
    if not classify_posture(figure.draw()).is_suspicious:
        assert classify_posture(figure.draw(hidden=tuple(hidden))).alerts == ()


@given(figures, st.floats(0.05, 50))
def test_size_changes_nothing(figure: Figure, scale: float) -> None:
    keypoints = figure.draw()
    scaled = keypoints * np.array([scale, scale, 1], np.float32)
    assert classify_posture(scaled) == classify_posture(keypoints)


@given(figures, st.floats(-4000, 4000), st.floats(-4000, 4000))
def test_where_the_picture_was_cut_changes_nothing(figure: Figure, x: float, y: float) -> None:
    keypoints = figure.draw()
    assert classify_posture(keypoints + np.array([x, y, 0], np.float32)) == classify_posture(keypoints)


@given(figures, st.floats(0, 4000))
def test_mirroring_a_figure_changes_nothing(figure: Figure, width: float) -> None:
    keypoints = figure.draw()
    assert classify_posture(mirror(keypoints, width)) == classify_posture(keypoints)


@given(tangles, st.integers(-4, 5), st.integers(-3000, 3000), st.integers(-3000, 3000))
def test_size_place_and_mirroring_change_nothing_for_any_tangle(tangle: Float, power: int, x: int, y: int) -> None:
    moved = mirror(tangle + np.array([x, y, 0], np.float32), 640) * np.array([2.0**power, 2.0**power, 1], np.float32)
    assert classify_posture(moved) == classify_posture(tangle)


@given(tangles)
def test_any_tangle_gets_a_word_with_the_alerts_that_belong_to_it(tangle: Float) -> None:
    posture = classify_posture(tangle)
    assert posture.name != "hiding"
    raised = "arms_raised" in posture.alerts
    assert posture == Posture.of(posture.name, arms_raised=raised)
    assert not raised or posture.name == "reaching_up"


@given(
    # A hand that shades the eyes is nearer to the limit than this trembling.
    st.sampled_from([figure for name, figure in FIGURES["standing"].items() if name != "shading the eyes"]),
    st.integers(0, 2**32 - 1),
)
def test_a_standing_figure_that_trembles_is_not_suspicious(figure: Figure, seed: int) -> None:
    tremble = np.random.default_rng(seed).uniform(-4.5, 4.5, (17, 2))  # 1.5 % of the figure's 300 px to each side
    keypoints = figure.draw(300)
    keypoints[:, :2] += tremble.astype(np.float32)
    assert classify_posture(keypoints).name in {"standing", "walking"}


@given(figures, st.sets(st.integers(0, 16)), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 2))
def test_a_joint_that_is_not_finite_is_absent(figure: Figure, joints: set[int], value: float, column: int) -> None:
    broken, absent = figure.draw(), figure.draw()
    broken[list(joints), column] = value
    absent[list(joints), 2] = 0
    assert classify_posture(broken) == classify_posture(absent)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_joints_that_all_lie_on_one_point_are_unknown(confidence: float) -> None:
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:, 2] = confidence
    assert classify_posture(keypoints) == Posture("unknown")


def test_the_confidence_limit_decides_what_is_seen() -> None:
    keypoints = Figure().draw()
    keypoints[:, 2] = 0.4
    assert classify_posture(keypoints).name == "unknown"
    assert classify_posture(keypoints, min_confidence=0.4).name == "standing"


def test_hiding_said_by_a_track_carries_the_alerts_of_a_suspicious_posture() -> None:
    assert Posture.of("hiding") == Posture("hiding", ("hiding", "suspicious_pose"))
    assert Posture.of("hiding").is_suspicious


#: The words that a person gave to the labelled people of the COCO photographs, by annotation id. A skier who glides
#: and a batter in full swing have no word of their own: standing and walking are both right.
LABELLED = {
    442619: {"standing", "walking"},
    198196: {"sitting"},
    230195: {"sitting"},
    460541: {"standing", "walking", "running"},
    488308: {"standing"},
    1717641: {"crouching"},
    1724673: {"standing"},
    437295: {"standing", "walking"},
    467657: {"standing", "walking"},
    531914: {"standing", "walking"},
    533949: {"standing", "walking"},
    543117: {"standing", "walking"},
}


@pytest.mark.parametrize("person", LABELLED)
def test_people_labelled_in_photographs_get_the_word_a_person_gave_them(assets: Path, person: int) -> None:
    annotations = json.loads((assets / "data/pose/test_coco.json").read_text(encoding="utf-8"))["annotations"]
    joints = next(a["keypoints"] for a in annotations if a["id"] == person)
    assert classify_posture(np.array(joints, np.float32).reshape(17, 3)).name in LABELLED[person]
