"""Draws a person: a body of limbs and tubes around a skeleton, dressed as its look says.

Lengths are in statures unless they say metres, so that a tall person is a larger copy of a short one; girth widens what
is flesh. Small features of the face are drawn only where they are large enough to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.vision.image import Float
from training.scenes import props
from training.scenes.canvas import Canvas, Paint
from training.scenes.cloths import cloth_of
from training.scenes.looks import Colour, Garment, Look, look_of
from training.scenes.postures import pose_of
from training.scenes.shapes import Ring, block, tube
from training.scenes.skeleton import HALF_HIPS, Skeleton, stand_up
from training.scenes.spec import WEAPONS, PersonSpec

#: A torso from the crotch to the neck: how far up (0 hips, 1 shoulders), half its width, half its depth, how far ahead.
_TORSO = np.array(
    [
        (-0.26, 0.074, 0.050, -0.004),
        (-0.10, 0.098, 0.064, -0.006),
        (0.05, 0.103, 0.067, -0.006),
        (0.25, 0.091, 0.060, 0.000),
        (0.45, 0.084, 0.056, 0.004),
        (0.70, 0.096, 0.063, 0.004),
        (0.88, 0.104, 0.058, 0.000),
        (1.00, 0.092, 0.046, -0.002),
        (1.06, 0.052, 0.036, -0.004),
    ],
    np.float32,
)
_HEMS = {"jacket": -0.20, "hoodie": -0.16, "coat": -0.16, "sweater": -0.10, "hi-vis vest": -0.16, "shirt": -0.10}
_LOOSE = {"jacket": 1.14, "hoodie": 1.13, "coat": 1.14, "sweater": 1.07, "hi-vis vest": 1.12, "shirt": 1.04}
_HEIGHTS = (0.25, 0.50, 0.72, 0.90, 1.0, 1.06)
_SIDES = (("left", 1.0), ("right", -1.0))
#: Faces whose head is smaller than this many pixels of the buffers have no features.
_FACE_PX = 11.0


@dataclass(frozen=True, slots=True)
class DrawnPerson:
    """A person on the canvas.

    Attributes:
        owner: of body, clothes and bag.
        weapon_owner: of the weapon in the hand.
        joints: (17, 3) world, COCO's order.
        other_owners: of the seat, the box, a harmless thing in the hand.
    """

    owner: int
    weapon_owner: int | None
    joints: Float
    other_owners: tuple[int, ...] = ()


def draw_person(canvas: Canvas, spec: PersonSpec) -> DrawnPerson:
    """Draw somebody with what is held, carried and sat upon."""
    look = look_of(spec.identity)
    skeleton = stand_up(pose_of(spec), look.stature, x=spec.x, z=spec.z, yaw=spec.yaw)
    body = _Body(canvas, skeleton, look, spec.identity, canvas.owner())
    body.draw()
    rng = np.random.default_rng([0xB0D1, spec.seed])
    held = props.draw_held(canvas, skeleton, spec.holds, rng) if spec.holds else None
    others = [held] if held is not None and spec.holds not in WEAPONS else []
    if spec.carries:
        others.append(props.draw_box(canvas, skeleton, rng))
    if skeleton.seat:
        others.append(props.draw_seat(canvas, skeleton, spec.yaw, rng))
    weapon = held if spec.holds in WEAPONS else None
    return DrawnPerson(body.owner, weapon, skeleton.coco, tuple(others))


@dataclass(frozen=True, slots=True)
class _Body:
    canvas: Canvas
    skeleton: Skeleton
    look: Look
    identity: int
    owner: int

    def draw(self) -> None:
        self._legs()
        self._torso()
        self._arms()
        self._head()
        self._bag()

    def _at(self, joint: str) -> Float:
        return self.skeleton.joints[joint]

    def _limb(self, start: Float, end: Float, radii: tuple[float, float], paint: Paint) -> None:
        s = self.skeleton.stature
        self.canvas.limb(start, end, radii[0] * s, radii[1] * s, paint, self.owner)

    def _segment(self, a: str, b: str, part: tuple[float, float], radii: tuple[float, float], paint: Paint) -> None:
        """A limb over a part of a bone, 0 at `a` and 1 at `b`."""
        start, end = self._at(a), self._at(b)
        self._limb(start + part[0] * (end - start), start + part[1] * (end - start), radii, paint)

    def _shows(self, frame: Float) -> bool:
        """Whether the camera sees anything of a frame's front."""
        way = self.canvas.view.position - self._at("head")
        return float(frame[2] @ way) > -0.4 * float(np.linalg.norm(way))

    # Legs

    def _legs(self) -> None:
        look, g = self.look, self.look.girth
        cloth, skin = _cloth(look.lower.colour), _skin(look.skin)
        tight = {"leggings": 0.96, "jeans": 1.06, "trousers": 1.14}.get(look.lower.kind, 1.0)
        for side, _ in _SIDES:
            hip, knee, ankle = f"{side}_hip", f"{side}_knee", f"{side}_ankle"
            if look.lower.kind in {"shorts", "skirt"}:
                self._segment(hip, knee, (0.0, 1.0), (0.042 * g, 0.032 * g), skin)
                self._calf(knee, ankle, g, skin)
                if look.lower.kind == "shorts":
                    self._segment(hip, knee, (0.0, 0.74), (0.045 * g, 0.046 * g), cloth)
            else:
                self._segment(hip, knee, (0.0, 1.0), (0.044 * g, 0.035 * g * tight), cloth)
                if look.lower.kind == "leggings":
                    self._calf(knee, ankle, g, cloth)
                else:
                    self._segment(knee, ankle, (0.0, 0.97), (0.036 * g * tight, 0.029 * tight), cloth)
                if look.lower.pattern == "side-striped":
                    self._side_stripe(side, tight * g)
            self._shoe(side)
        if look.lower.kind == "skirt":
            self._skirt(0.92, 0.062, look.lower)
        if look.upper.kind == "coat":
            self._skirt(0.62, 0.060, look.upper)

    def _calf(self, knee: str, ankle: str, g: float, paint: Paint) -> None:
        self._segment(knee, ankle, (0.0, 0.32), (0.031 * g, 0.034 * g), paint)
        self._segment(knee, ankle, (0.32, 1.0), (0.034 * g, 0.021 * g), paint)

    def _side_stripe(self, side: str, g: float) -> None:
        out = self.skeleton.hips[0] * (1 if side == "left" else -1) * self.skeleton.stature
        hip, knee, ankle = (self._at(f"{side}_{joint}") for joint in ("hip", "knee", "ankle"))
        paint = _cloth(self.look.lower.second)
        self._limb(hip + 0.049 * g * out, knee + 0.031 * g * out, (0.010, 0.009), paint)
        self._limb(knee + 0.031 * g * out, ankle + 0.022 * out, (0.009, 0.009), paint)

    def _shoe(self, side: str) -> None:
        shoes = self.look.shoes
        paint, s = _cloth(shoes.colour, gloss=0.15), self.skeleton.stature
        ankle, heel, toe = (self._at(f"{side}_{joint}") for joint in ("ankle", "heel", "toe"))
        sole = (ankle - heel) / max(float(np.linalg.norm(ankle - heel)), 1e-6)
        lift = 0.010 * s * sole
        self._limb(heel + lift, toe + lift * 0.6, (0.024, 0.019), paint)
        self._limb(ankle - 0.004 * s * sole, toe + 0.25 * (ankle - toe), (0.026, 0.021), paint)
        if shoes.kind == "boots":
            self._segment(f"{side}_ankle", f"{side}_knee", (0.0, 0.38), (0.030, 0.036), paint)

    def _skirt(self, share: float, radius: float, garment: Garment) -> None:
        """From the hips over both thighs, down to a share of them."""
        s, g, frame = self.skeleton.stature, self.look.girth, self.skeleton.hips
        rings = []
        for part in (share, share / 2, 0.0):
            left, right = (
                self._at(f"{side}_hip") + part * (self._at(f"{side}_knee") - self._at(f"{side}_hip"))
                for side, _ in _SIDES
            )
            down = (left + right) / 2 - self._at("pelvis")
            length = float(np.linalg.norm(down))
            ahead = frame[2] if length < 1e-6 else np.cross(frame[0], down / length)
            ahead = ahead if float(ahead @ (frame[2] + frame[1])) > 0 else -ahead
            apart = left - right
            across = abs(float(apart @ frame[0])) / 2 + radius * (0.8 + 0.3 * part) * g * s
            deep = abs(float(apart @ ahead)) / 2 + radius * (1.05 + 0.25 * part) * g * s
            rings.append(Ring.of((left + right) / 2, across * frame[0], deep * ahead))
        self._cloth_tube(rings, garment, (0.0, 0.6))

    # Torso

    def _rings(self, heights: Sequence[float], loose: Sequence[float], *, hangs: bool = False) -> list[Ring]:
        """Rings of the torso; between hips and chest they follow the bend of the spine, or hang from the hips."""
        s, look = self.skeleton.stature, self.look
        pelvis, top = self._at("pelvis"), self._at("shoulders")
        hips, chest, length = self.skeleton.hips, self.skeleton.chest, float(np.linalg.norm(top - pelvis))
        rings = []
        for height, wider in zip(heights, loose, strict=True):
            level = max(height, 0.05) if hangs else height
            width, depth, ahead = (float(np.interp(level, _TORSO[:, 0], _TORSO[:, i])) for i in (1, 2, 3))
            blend = float(np.clip((height + 0.1) / 0.6, 0.0, 1.0))
            left, front = ((1 - blend) * hips[i] + blend * chest[i] for i in (0, 2))
            left = left / np.linalg.norm(left)
            front = front - float(front @ left) * left
            front = front / np.linalg.norm(front)
            broad = 1 + (look.broad - 1) * float(np.clip((height - 0.3) * 2, 0.0, 1.0))
            up = hips[1] if height < 0 else (top - pelvis) / length
            centre = pelvis + height * length * up + ahead * s * front
            grown = wider * (1 + (look.girth - 1) * (1.2 if 0.0 < height < 0.6 else 0.8))
            # Bones do not grow with the flesh around them.
            half = HALF_HIPS + (width - HALF_HIPS) * grown if level < 1 else width
            rings.append(Ring.of(centre, half * broad * s * left, depth * grown**1.2 * s * front))
        return rings

    def _torso(self) -> None:
        look, upper = self.look, self.look.upper
        hem, loose = _HEMS.get(upper.kind, -0.04), _LOOSE.get(upper.kind, 1.04)
        lower = self._rings((-0.26, -0.12, hem + 0.08, 0.16), (1.0, 1.0, 0.97, 0.92))
        tube(self.canvas, lower, _cloth(look.lower.colour), self.owner)
        heights = (hem, *_HEIGHTS)
        self._cloth_tube(self._rings(heights, [loose + 0.05, *[loose] * len(_HEIGHTS)], hangs=True), upper)
        chest, s = self.skeleton.chest, self.skeleton.stature
        sleeve = self._sleeve if look.sleeves or upper.kind != "t-shirt" else _skin(look.skin)
        for side, sign in _SIDES:  # from the shoulder up to the neck
            neck = self._at("shoulders") + s * (sign * 0.034 * chest[0] + 0.006 * chest[1])
            self._limb(self._at(f"{side}_shoulder"), neck, (0.034 * loose * look.girth**0.5, 0.030), sleeve)
        if upper.kind in {"jacket", "hoodie", "coat", "shirt"}:
            neck = self._at("shoulders") + 0.020 * s * chest[1]
            self._limb(neck + 0.012 * s * chest[0], neck - 0.012 * s * chest[0], (0.035, 0.035), self._sleeve)

    def _cloth_tube(self, rings: Sequence[Ring], garment: Garment, heights: tuple[float, float] = (0.0, 1.0)) -> None:
        cloth = cloth_of(garment, self.identity)
        tube(self.canvas, rings, Paint((0.5, 0.5, 0.5), grain=0.06), self.owner, cloth=cloth, heights=heights)

    @property
    def _sleeve(self) -> Paint:
        upper = self.look.upper
        return _cloth(self.look.lower.colour if upper.kind == "hi-vis vest" else upper.colour)

    # Arms

    def _arms(self) -> None:
        look, g = self.look, self.look.girth**0.8
        skin, sleeve = _skin(look.skin), self._sleeve
        thick = {"jacket": 1.25, "hoodie": 1.2, "coat": 1.25, "sweater": 1.14}.get(look.upper.kind, 1.1)
        for side, _ in _SIDES:
            shoulder, elbow, wrist = f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"
            if look.sleeves < 1:
                self._segment(shoulder, elbow, (0.0, 1.0), (0.029 * g, 0.023 * g), skin)
                self._segment(elbow, wrist, (0.0, 1.0), (0.023 * g, 0.015), skin)
            if look.sleeves:
                upper_part = 1.0 if look.sleeves == 1 else 0.62
                self._segment(shoulder, elbow, (0.0, upper_part), (0.031 * thick * g, 0.026 * thick * g), sleeve)
            if look.sleeves == 1:
                self._segment(elbow, wrist, (0.0, 0.96), (0.026 * thick * g, 0.018 * thick), sleeve)
                self._cuffs(side, thick * g)
            self._hand(side)

    def _cuffs(self, side: str, g: float) -> None:
        """Stripes go on along the sleeve."""
        upper = self.look.upper
        if upper.pattern not in {"striped", "banded"} or upper.kind == "hi-vis vest":
            return
        paint = _cloth(upper.second)
        for part in (0.35, 0.75) if upper.pattern == "striped" else (0.6,):
            radius = (0.031 - 0.005 * part) * g + 0.001
            self._segment(f"{side}_shoulder", f"{side}_elbow", (part, part + 0.12), (radius, radius), paint)
        for part in (0.15, 0.55) if upper.pattern == "striped" else ():
            radius = (0.026 - 0.008 * part) * g + 0.001
            self._segment(f"{side}_elbow", f"{side}_wrist", (part, part + 0.14), (radius, radius), paint)

    def _hand(self, side: str) -> None:
        look = self.look
        paint = _skin(look.skin) if look.gloves is None else _cloth(look.gloves)
        wrist, hand = self._at(f"{side}_wrist"), self._at(f"{side}_hand")
        self._limb(wrist, hand, (0.014, 0.020), paint)
        along = (hand - wrist) * 0.55
        self._limb(hand, hand + along, (0.018, 0.011), paint)
        thumb = np.asarray(hand + 0.4 * along + 0.6 * np.cross(self.skeleton.chest[0], along), np.float32)
        self._limb(hand, thumb, (0.010, 0.008), paint)

    # Head

    def _skull(self, aside: float, up: float, ahead: float) -> Float:
        """A point of the head: to the own left, above the shoulders, ahead of the neck."""
        s, frame = self.skeleton.stature, self.skeleton.skull
        place = np.array([aside, up - 0.118, ahead - 0.010], np.float32) * s
        return np.asarray(self._at("head") + place @ frame, np.float32)

    def _ball(self, centre: tuple[float, float, float], radius: float, paint: Paint) -> None:
        point = self._skull(*centre)
        self._limb(point, point, (radius, radius), paint)

    def _bar(
        self,
        start: tuple[float, float, float],
        end: tuple[float, float, float],
        radii: tuple[float, float],
        paint: Paint,
    ) -> None:
        self._limb(self._skull(*start), self._skull(*end), radii, paint)

    def _head(self) -> None:
        look, skin = self.look, _skin(self.look.skin)
        self._limb(self._at("neck"), self._skull(0, 0.085, -0.006), (0.034, 0.031), skin)
        self._bar((0, 0.132, 0.003), (0, 0.082, 0.020), (0.050, 0.035), skin)
        self._bar((0, 0.118, 0.052), (0, 0.101, 0.060), (0.006, 0.010), _skin(_dimmed(look.skin, 0.85)))
        depth = float(self.canvas.view.to_camera(self._at("head")[None])[0, 2])
        size = 0.12 * look.stature * self.canvas.view.focal / max(depth, 0.3)
        if size >= _FACE_PX and self._shows(self.skeleton.skull):
            self._face()
        covered = look.hood or (look.hat is not None and look.hat.kind == "headscarf")
        if not covered:
            self._hair()
        if look.hood or look.hat is not None:
            self._hat()

    def _face(self) -> None:
        look = self.look
        dark = _flat(_dimmed(look.hair, 0.6))
        for side in (1, -1):
            self._ball((side * 0.051, 0.115, 0.002), 0.0105, _skin(look.skin))
            self._ball((side * 0.018, 0.119, 0.0465), 0.0085, _flat((0.85, 0.84, 0.82)))
            self._ball((side * 0.018, 0.119, 0.0515), 0.0052, _flat((0.08, 0.06, 0.05)))
            self._bar((side * 0.009, 0.133, 0.052), (side * 0.028, 0.132, 0.045), (0.0035, 0.003), dark)
        if look.beard:
            self._bar((0, 0.074, 0.025), (0, 0.090, 0.012), (0.035, 0.044), _flat(look.hair, 0.2))
            self._bar((-0.016, 0.090, 0.050), (0.016, 0.090, 0.050), (0.006, 0.006), _flat(look.hair, 0.2))
        self._bar((-0.014, 0.082, 0.051), (0.014, 0.082, 0.051), (0.0045, 0.0045), _flat((0.48, 0.16, 0.15)))
        if look.glasses:
            glass = _flat((0.03, 0.03, 0.04), gloss=0.6)
            for side in (1, -1):
                self._bar((side * 0.011, 0.119, 0.055), (side * 0.025, 0.119, 0.052), (0.011, 0.011), glass)
                self._bar((side * 0.030, 0.121, 0.048), (side * 0.051, 0.121, 0.004), (0.003, 0.003), glass)
            self._bar((-0.012, 0.121, 0.058), (0.012, 0.121, 0.058), (0.003, 0.003), glass)

    def _hair(self) -> None:
        style, paint = self.look.hair_style, _flat(self.look.hair, 0.22)
        if style == "bald":
            return
        if style == "crop":
            self._ball((0, 0.138, -0.003), 0.0500, paint)
            return
        if style == "curls":
            for aside, up, ahead in ((0, 0.152, 0.004), (0.026, 0.138, -0.008), (-0.026, 0.138, -0.008)):
                self._ball((aside, up, ahead), 0.049, paint)
            self._ball((0, 0.120, -0.022), 0.052, paint)
            return
        self._ball((0, 0.147, 0.000), 0.0485, paint)
        self._bar((0, 0.132, -0.010), (0, 0.105, -0.014), (0.0505, 0.042), paint)
        if style == "bun":
            self._ball((0, 0.168, -0.050), 0.024, paint)
        if style == "long":
            self._bar((0, 0.120, -0.016), (0, 0.015, -0.030), (0.050, 0.042), paint)
            for side in (1, -1):
                self._bar((side * 0.040, 0.128, 0.004), (side * 0.043, 0.030, 0.010), (0.018, 0.014), paint)

    def _hat(self) -> None:
        look = self.look
        if look.hood or look.hat is None:
            paint = _cloth(look.upper.colour)
            self._ball((0, 0.134, -0.008), 0.0585, paint)
            self._bar((0, 0.120, -0.014), (0, 0.030, -0.016), (0.058, 0.054), paint)
            return
        kind, paint = look.hat.kind, _cloth(look.hat.colour)
        if kind == "headscarf":
            self._ball((0, 0.138, -0.006), 0.0560, paint)
            self._bar((0, 0.110, -0.012), (0, 0.020, -0.006), (0.056, 0.052), paint)
        elif kind == "helmet":
            glossy = _cloth(look.hat.colour, gloss=0.5)
            self._bar((0, 0.150, 0.010), (0, 0.148, -0.014), (0.054, 0.056), glossy)
            self._bar((0, 0.192, 0.020), (0, 0.192, -0.030), (0.016, 0.016), _cloth(look.hat.second))
        else:
            self._ball((0, 0.150, -0.001), 0.0525 if kind == "cap" else 0.0545, paint)
            self._ball((0, 0.140, -0.010), 0.0515, paint)
        if kind == "cap":
            self._brim((0.040, 0.036), (0.030, 0.105), 0.152, paint)
        elif kind == "hat":
            axes = 0.088 * look.stature * self.skeleton.skull
            self.canvas.face(Ring(self._skull(0, 0.156, 0), axes[0], axes[2]).points, paint, self.owner)
            self._bar((0, 0.160, 0), (0, 0.186, 0), (0.050, 0.040), paint)
            self._bar((0, 0.161, 0), (0, 0.166, 0), (0.051, 0.050), _cloth(look.hat.second))
        elif kind == "beanie":
            self._ball((0, 0.205, -0.004), 0.018, _cloth(look.hat.second))

    def _brim(self, near: tuple[float, float], far: tuple[float, float], up: float, paint: Paint) -> None:
        corners = [(near[0], near[1]), (far[0], far[1]), (-far[0], far[1]), (-near[0], near[1])]
        points = [self._skull(aside, up - 0.12 * (ahead - near[1]), ahead) for aside, ahead in corners]
        self.canvas.face(np.array(points, np.float32), paint, self.owner)

    # Bag

    def _bag(self) -> None:
        bag, s, chest = self.look.bag, self.skeleton.stature, self.skeleton.chest
        if bag is None:
            return
        paint = _cloth(bag.colour)
        shoulders, ahead = self._at("shoulders"), 0.075 * self.look.girth
        if bag.kind == "backpack":
            centre = shoulders + s * (-0.125 * chest[1] - (ahead + 0.035) * chest[2])
            block(self.canvas, centre, chest, (0.165 * s, 0.24 * s, 0.085 * s), paint, self.owner)
            top = centre + 0.115 * s * chest[1]
            self._limb(top + 0.05 * s * chest[0], top - 0.05 * s * chest[0], (0.036, 0.036), paint)
            pocket = centre + s * (-0.05 * chest[1] - 0.048 * chest[2])
            pocket_paint = _cloth(bag.second if bag.pattern == "two-tone" else _dimmed(bag.colour, 0.7))
            block(self.canvas, pocket, chest, (0.12 * s, 0.10 * s, 0.03 * s), pocket_paint, self.owner)
            for _, side in _SIDES if self._shows(chest) else ():
                high = shoulders + s * (side * 0.058 * chest[0] + 0.022 * chest[1])
                front = shoulders + s * (side * 0.066 * chest[0] - 0.05 * chest[1] + ahead * chest[2])
                low = shoulders + s * (side * 0.088 * chest[0] - 0.16 * chest[1] + 0.03 * chest[2])
                self._limb(high, front, (0.012, 0.011), paint)
                self._limb(front, low, (0.011, 0.010), paint)
        else:
            high = shoulders + s * (0.055 * chest[0] + 0.024 * chest[1])
            hip = self._at("right_hip") + s * (-0.075 * self.look.girth * chest[0] + 0.01 * chest[1])
            for sign in (1.0, -1.0):
                out = sign * ahead * 1.05 * s * chest[2]
                middle = high * 0.5 + hip * 0.5 + out
                self._limb(high, middle, (0.009, 0.009), paint)
                self._limb(middle, hip, (0.009, 0.009), paint)
            axes = self.skeleton.hips[[2, 1, 0]]
            block(self.canvas, hip - 0.06 * s * axes[1], axes, (0.17 * s, 0.12 * s, 0.05 * s), paint, self.owner)


def _cloth(colour: Colour, *, gloss: float = 0.0) -> Paint:
    return Paint(colour, grain=0.07, gloss=gloss)


def _skin(colour: Colour) -> Paint:
    return Paint(colour, grain=0.03, gloss=0.08)


def _flat(colour: Colour, grain: float = 0.03, *, gloss: float = 0.0) -> Paint:
    return Paint(colour, grain=grain, gloss=gloss)


def _dimmed(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
