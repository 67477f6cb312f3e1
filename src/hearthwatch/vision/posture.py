"""What a person is doing, in one word, from the 17 joints of COCO.

Rules   A decision list (`_RULES`): the first rule that holds names the posture. Everything is measured in torso lengths
        and angles, so size, place in the picture and mirroring change nothing. A joint below the confidence limit
        does not exist; a leg that is not seen decides nothing; too little seen is `unknown`, never a suspicion.
Limits  One picture is a projection, and some postures share one. Thighs that point at the camera look short whether
        somebody sits or half-crouches: that is `sitting`, and crouching only where the hips are down at the knees.
        A cyclist in racing position crouches like a burglar, one with a leg down stands or walks. Somebody who lies
        along the line of sight looks upright. Kneeling has no word and is `crouching`, or `standing` where no ankle is
        seen. `running` is known by a shank folded behind, which part of a stride shows; running that looks like
        walking is `walking`, and walking with the legs closed is `standing`. `hiding` needs a track or an occlusion.
Checked By eye on 487 finds of YOLOv8n-pose, 40 px and taller, in street, station, COCO and weapon pictures, which also
        set the thresholds. `unknown` 82, nearly all hidden or cut off below the hips. Of 333 pedestrians none got a
        suspicious word. 43 who stand are `standing`; of 39 who walk 21 are `walking`, 18 `standing`. Of 19 who sit or
        ride with a thigh in view 14 are `sitting`, 1 `unknown`, 2 riders `standing` and `walking`, a racing cyclist
        `crouching`, and one with a hand in her hair `reaching_up`. The one who squats is `crouching`. In 92 street
        pictures turned on their side the network found 7 people with torso and leg: 5 `lying_down`, 1 `crawling`,
        1 `sitting`. Crawling, bending over and running were checked on drawn skeletons only.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, get_args

from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS

PostureName = Literal[
    "standing",
    "walking",
    "running",
    "sitting",
    "crouching",
    "bending_over",
    "crawling",
    "lying_down",
    "reaching_up",
    "hiding",
    "unknown",
]

#: Every posture word.
POSTURES: tuple[PostureName, ...] = get_args(PostureName)

#: The words that are alerts of their own and add `suspicious_pose`.
SUSPICIOUS_POSTURES: tuple[PostureName, ...] = ("crouching", "crawling", "lying_down", "hiding", "reaching_up")

#: A joint counts from here on. YOLOv8-pose's third number is a sigmoid trained on "COCO labelled this joint", so 0.5 is
#: "more likely there than not".
MIN_CONFIDENCE = 0.5

# Lengths are in torso lengths (shoulders to hips), angles in degrees. "Winter" is Winter, "Biomechanics and Motor
# Control of Human Movement", 4th edition 2009, figure 4.1 (after Drillis and Contini 1966), in statures: torso 0.288,
# thigh 0.245, shank 0.246, upper arm 0.186, hand 0.108, eyes to crown 0.064. "Measured" is what
# YOLOv8n-pose found on 322 upright pedestrians (617 whole legs) in pictures of MOT17, Market-1501 and a station hall.
_LEG_SEGMENT, _UPPER_ARM = 0.85, 0.65  # Winter
_SHOULDER_WIDTH = 0.70  # measured from the front 0.5 to 0.7; Winter's 0.90 is between the outer edges
_HEAD = 0.40  # eyes or ears above the shoulders; measured median
_REACH = 0.10  # wrist above eyes or ears; a hand of 0.37 on it ends above the crown, 0.22 over the eyes (Winter)
_EXTENDED_DROP = 0.90  # hip above ankle; measured 0.95 to 1.69, median 1.39; sitting on a chair leaves 0.85 (Winter)
_EXTENDED_KNEE = 120.0  # 180 is straight; measured 121 and more; seated people in the same kind of picture 75 to 105
_SHORT_THIGH = 0.60  # thigh over shank; measured 0.64 and more; less is a thigh that points at the camera
_UPRIGHT_THIGH, _LEVEL_THIGH = 30.0, 60.0  # from vertical, where no ankle is seen; in between nothing is said
_SEEN_THIGH = 0.45  # half a thigh: a shorter projection has no reliable direction
_BENT = 45.0  # from vertical, torso or shank; measured torsos lean by at most 36
_SUNK_SHOULDERS = 0.50  # shoulders above hips of somebody who bends towards the camera (by 60); measured 0.71 and more
_FLAT = 50.0  # from vertical: torso, thighs and whole body of somebody who lies; a deep bend's whole body has 45
# Measured on 43 pictures of people who stand still: knees 161 and more, legs seen from the side at most 10 apart,
# ankles at most 0.10 apart in height.
_FLEXED_KNEE, _STRIDE, _STEP, _PROFILE = 160.0, 15.0, 0.12, 0.50
_RUNNING_KNEE = 100.0  # swinging knees flex by 60 in walking, 90 and more in running (Novacheck 1998, Gait & Posture 7)
_LIFTED = 0.25  # folded leg's ankle above the other one
_SQUAT_KNEE = 55.0  # a squat flexes by 130 to 157 (Hemmerich et al. 2006, J. Orthop. Res. 24), a chair by about 90
_SQUAT_DROP, _KNEE_LEVEL = 0.65, 0.10  # hips above ankles, and above knees, of somebody who squats facing the camera
_CROUCH_LEAN = 30.0  # a half-crouch must bring the weight forward, over its own feet
_CROUCH_DROP = 1.10  # and its hips are lower than those of upright people; measured 1 % below 1.10
_GROUND = 0.15  # hips above ankles of somebody who sits on the ground; a squat on the heels keeps 0.3
_NEAR_GROUND = 0.35  # less than half a shank between knee and ankle, or knee and hand: on the same ground
_OFF_BALANCE = 0.15  # weight behind the ankles by more than a heel (Winter: 0.13): something else carries it
_SIDEWAYS_THIGH = 0.30  # knees beside the hips by this: seen from the side, so that forward has a direction


@dataclass(frozen=True, slots=True)
class Posture:
    """One person's posture.

    Attributes:
        name: one of `POSTURES`.
        alerts: `arms_raised` (both wrists above the head), the posture itself if it is suspicious, `suspicious_pose`.
    """

    name: PostureName
    alerts: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: PostureName, *, arms_raised: bool = False) -> Posture:
        """Give a posture the alerts that belong to its name; also for `hiding`, which a track finds."""
        suspicion = (name, "suspicious_pose") if name in SUSPICIOUS_POSTURES else ()
        return cls(name, (*(("arms_raised",) if arms_raised else ()), *suspicion))

    @property
    def is_suspicious(self) -> bool:
        return self.name in SUSPICIOUS_POSTURES


def classify_posture(keypoints: Float, *, min_confidence: float = MIN_CONFIDENCE) -> Posture:
    """Name a person's posture.

    Args:
        keypoints: (17, 3) x, y, confidence in picture pixels, COCO order. A joint with a value that is not finite
            counts as absent.
        min_confidence: joints below it count as absent.

    Returns:
        Never `hiding`; `unknown` where the joints seen do not tell. A wrist above the head of an upright person is
        `reaching_up`; both wrists add the alert `arms_raised`.
    """
    rows = zip(COCO_KEYPOINTS, keypoints.tolist(), strict=True)
    joints = {n: complex(x, y) for n, (x, y, c) in rows if c >= min_confidence and all(map(math.isfinite, (x, y, c)))}
    body = _measure(joints)
    if body is None:
        return Posture.of("unknown")
    name: PostureName = next((name for name, holds in _RULES if holds(body)), "unknown")
    return Posture.of(name, arms_raised=name == "reaching_up" and body.raised_wrists == 2)


@dataclass(frozen=True, slots=True)
class _Leg:
    """A leg whose hip and knee are seen, points as in `_Body`. What needs an unseen ankle is NaN: nothing compares."""

    hip: complex
    knee: complex
    ankle: complex | None

    @property
    def thigh(self) -> complex:
        return self.knee - self.hip

    @property
    def shank(self) -> complex:
        return complex(math.nan, math.nan) if self.ankle is None else self.ankle - self.knee

    @property
    def drop(self) -> float:
        """Hip above ankle."""
        return (self.thigh + self.shank).imag

    @property
    def knee_angle(self) -> float:
        """180 is straight; NaN also where a segment is too short to have a direction."""
        if not min(abs(self.thigh), abs(self.shank)) >= 0.1:
            return math.nan
        return 180 - abs(math.degrees(cmath.phase(self.thigh * self.shank.conjugate())))

    @property
    def is_extended(self) -> bool:
        """Straight down as far as it is seen: such a leg carries an upright body."""
        if self.ankle is None:
            return _tilt(self.thigh) <= _UPRIGHT_THIGH and abs(self.thigh) >= _SEEN_THIGH
        straight = self.drop >= _EXTENDED_DROP and self.knee_angle >= _EXTENDED_KNEE
        return straight and abs(self.thigh) >= _SHORT_THIGH * abs(self.shank)


@dataclass(frozen=True, slots=True)
class _Body:
    """A person in torso lengths around the middle of the hips, which is 0.

    Points are complex numbers: real to the right, imaginary down, as in the picture. Without hips there is no torso
    and no leg; only the arms can tell something then.

    Attributes:
        shoulders: their middle; None without hips.
        in_profile: both shoulders are seen and nearly in line.
        legs: those whose hip and knee are seen.
        wrists: those seen.
        raised_wrists: how many of them are above the head.
    """

    shoulders: complex | None
    in_profile: bool
    legs: tuple[_Leg, ...]
    wrists: tuple[complex, ...]
    raised_wrists: int

    @property
    def lean(self) -> float:
        """Torso from upright: 90 is level, 180 head down; NaN without a torso."""
        return math.nan if self.shoulders is None else _tilt(-self.shoulders)

    @property
    def has_extended_leg(self) -> bool:
        return any(leg.is_extended for leg in self.legs)

    @property
    def whole_legs(self) -> list[_Leg]:
        return [leg for leg in self.legs if leg.ankle is not None]


def _lying_down(body: _Body) -> bool:
    """Torso and whole body level; the thighs too, or drawn up."""
    if body.shoulders is None or not body.legs:
        return False
    ends = _mean([leg.knee if leg.ankle is None else leg.ankle for leg in body.legs])
    flat = all(_FLAT <= _tilt(line) <= 180 - _FLAT for line in (-body.shoulders, ends - body.shoulders))
    return flat and all(_tilt(leg.thigh) >= _FLAT for leg in body.legs)


def _crawling(body: _Body) -> bool:
    """Torso level, on a knee, and the lower hand (if one is seen) on the same ground."""
    knee = max((leg.knee.imag for leg in body.legs), default=0.0)
    hand = max((wrist.imag for wrist in body.wrists), default=knee)
    return body.lean >= _FLAT and _kneels(body) and hand >= knee - _NEAR_GROUND


def _bending_over(body: _Body) -> bool:
    """Bent across the view, or towards the camera: the shoulders sink then."""
    if body.shoulders is None or not body.has_extended_leg:
        return False
    return body.lean >= _BENT or -body.shoulders.imag < _SUNK_SHOULDERS


def _reaching_up(body: _Body) -> bool:
    return body.raised_wrists > 0 and not body.lean >= _BENT


def _running(body: _Body) -> bool:
    """Knee rule: one shank folded up behind while the other leg carries."""
    return any(
        swing.knee_angle <= _RUNNING_KNEE
        and _tilt(swing.shank) >= _BENT  # a cyclist's upper knee is folded too, but over an upright shank
        and stance.is_extended
        and stance.drop - swing.drop >= _LIFTED
        for swing, stance in permutations(body.legs, 2)
    )


def _walking(body: _Body) -> bool:
    """Swinging a leg, or legs open as seen from the side (from the front they may just be apart)."""
    if not body.has_extended_leg or len(body.whole_legs) < 2:
        return False
    left, right = (leg.thigh + leg.shank for leg in body.whole_legs)
    strides = body.in_profile and abs(math.degrees(cmath.phase(left * right.conjugate()))) >= _STRIDE
    return strides or abs((left - right).imag) >= _STEP or any(leg.knee_angle <= _FLEXED_KNEE for leg in body.legs)


def _standing(body: _Body) -> bool:
    return body.has_extended_leg


def _crouching(body: _Body) -> bool:
    """Low, and carried by one's own feet or knees. One leg seen alone may kneel or run: its ground is not known."""
    if not body.whole_legs or _is_seated(body):
        return False
    return _squats(body) or (_kneels(body) and len(body.whole_legs) == 2)


def _sitting(body: _Body) -> bool:
    """Bent legs that do not crouch; without ankles only a thigh that lies level across the view tells."""
    if body.whole_legs:
        return not _kneels(body) and _mean([leg.thigh + leg.shank for leg in body.whole_legs]).imag >= -_GROUND
    return any(_tilt(leg.thigh) >= _LEVEL_THIGH and abs(leg.thigh) >= _SEEN_THIGH for leg in body.legs)


#: In this order: the first that holds is the posture.
_RULES: tuple[tuple[PostureName, Callable[[_Body], bool]], ...] = (
    ("lying_down", _lying_down),
    ("crawling", _crawling),
    ("bending_over", _bending_over),
    ("reaching_up", _reaching_up),
    ("running", _running),
    ("walking", _walking),
    ("standing", _standing),
    ("crouching", _crouching),
    ("sitting", _sitting),
)


def _kneels(body: _Body) -> bool:
    """Standing with a thigh on a knee that is as low as the ankles."""
    ground = max((leg.drop for leg in body.whole_legs), default=math.nan)
    return any(
        _tilt(leg.thigh) <= _BENT and abs(leg.thigh) >= _SEEN_THIGH and ground - leg.thigh.imag <= _NEAR_GROUND
        for leg in body.legs
    )


def _squats(body: _Body) -> bool:
    """Knees folded up, or hips down between them, or a half-crouch: leaning over bent knees."""
    drop = _mean([leg.thigh + leg.shank for leg in body.whole_legs]).imag
    hips_at_knees = _mean([leg.thigh for leg in body.whole_legs]).imag <= _KNEE_LEVEL and drop <= _SQUAT_DROP
    folded = any(leg.knee_angle <= _SQUAT_KNEE for leg in body.legs)
    leans = body.lean >= _CROUCH_LEAN and any(leg.knee_angle <= _EXTENDED_KNEE for leg in body.legs)
    return folded or hips_at_knees or (leans and drop <= _CROUCH_DROP)


def _is_seated(body: _Body) -> bool:
    """On the ground; or, from the side, with the weight so far behind the feet that a seat must carry it."""
    knees = _mean([leg.knee for leg in body.whole_legs])
    feet = knees + _mean([leg.shank for leg in body.whole_legs])
    if feet.imag < _GROUND:
        return True
    # Centre of mass from Winter's table 4.1: head, arms and trunk are 0.678 of the mass, 0.626 of the torso above the
    # hips; both thighs 0.2, near their middle; shanks and feet 0.12, between knees and ankles.
    weight = 0.678 * 0.626 * (body.shoulders or 0) + 0.2 * knees / 2 + 0.12 * (knees + feet) / 2
    ahead = (feet - weight).real * math.copysign(1.0, knees.real)
    return abs(knees.real) >= _SIDEWAYS_THIGH and ahead > _OFF_BALANCE


_SIDES = ("left", "right")
_EYES_AND_EARS = COCO_KEYPOINTS[1:5]
#: Segments whose true length we know. A projection only shortens, so the one that seems longest gives the scale.
_BODY_SEGMENTS = (
    ("shoulders", "hips", 1.0),
    *((f"{side}_hip", f"{side}_knee", _LEG_SEGMENT) for side in _SIDES),
    *((f"{side}_knee", f"{side}_ankle", _LEG_SEGMENT) for side in _SIDES),
)
_ARM_SEGMENTS = (
    ("left_shoulder", "right_shoulder", _SHOULDER_WIDTH),
    *((f"{side}_shoulder", f"{side}_elbow", _UPPER_ARM) for side in _SIDES),
)


def _measure(joints: Mapping[str, complex]) -> _Body | None:
    """None without a shoulder, or without a segment that gives the scale."""
    joints = {**joints, **_middles(joints)}
    has_hips = "hips" in joints
    segments = _BODY_SEGMENTS if has_hips else _ARM_SEGMENTS
    lengths = [abs(joints[a] - joints[b]) / true for a, b, true in segments if a in joints and b in joints]
    unit = max(lengths, default=0.0)
    if "shoulders" not in joints or unit == 0:
        return None
    origin = joints["hips" if has_hips else "shoulders"]
    points = {name: (point - origin) / unit for name, point in joints.items()}
    wrists = tuple(points[f"{side}_wrist"] for side in _SIDES if f"{side}_wrist" in points)
    guess = points["shoulders"].imag - (_HEAD if has_hips else math.inf)  # the scale of arms alone is too rough for it
    head = min((points[n].imag for n in _EYES_AND_EARS if n in points), default=guess)
    both_shoulders = {"left_shoulder", "right_shoulder"} <= points.keys()
    return _Body(
        shoulders=points["shoulders"] if has_hips else None,
        in_profile=both_shoulders and abs(points["left_shoulder"] - points["right_shoulder"]) < _PROFILE,
        legs=tuple(
            _Leg(points[f"{side}_hip"], points[f"{side}_knee"], points.get(f"{side}_ankle"))
            for side in _SIDES
            if {f"{side}_hip", f"{side}_knee"} <= points.keys()
        ),
        wrists=wrists,
        raised_wrists=sum(wrist.imag < head - _REACH for wrist in wrists if head < points["shoulders"].imag),
    )


def _middles(joints: Mapping[str, complex]) -> dict[str, complex]:
    """Middle of the shoulders and of the hips; the one that is seen stands for both."""
    pairs = {part: [joints[f"{s}_{part}"] for s in _SIDES if f"{s}_{part}" in joints] for part in ("shoulder", "hip")}
    return {f"{part}s": _mean(seen) for part, seen in pairs.items() if seen}


def _tilt(vector: complex) -> float:
    """Degrees from straight down, 0 to 180, to either side."""
    return math.degrees(math.atan2(abs(vector.real), vector.imag))


def _mean(points: Sequence[complex]) -> complex:
    return sum(points) / len(points)
