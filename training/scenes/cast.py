"""Who and what is in a scene, by seed: random scenes, one person before two cameras, pairs, and the demo's evening."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from training.scenes.camera import Camera
from training.scenes.finish import COLOURS
from training.scenes.layout import Area, Layout
from training.scenes.plans import layout_of
from training.scenes.plates import plate_text
from training.scenes.props import HARMLESS
from training.scenes.skeleton import facing_camera, good_yaws
from training.scenes.spec import (
    ANIMALS,
    LIGHTS,
    PLACES,
    POSTURES,
    WEAPONS,
    AnimalSpec,
    PersonSpec,
    SceneSpec,
    VehicleSpec,
)
from training.scenes.vehicles import vehicle_size

Rng = np.random.Generator
#: Seeds and identities from which scenes are trained on, validated on and tested on: their first numbers.
SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}
IDENTITIES = {"train": (0, 10_000), "validation": (10_000, 20_000), "test": (20_000, 30_000)}

_LIGHT_SHARES = (0.27, 0.2, 0.2, 0.15, 0.18)
_EMPTY = 0.04
#: Shares of 0, 1, 2 … of them.
_PEOPLE, _VEHICLES, _CREATURES = (0.1, 0.36, 0.28, 0.16, 0.1), (0.34, 0.38, 0.2, 0.08), (0.58, 0.32, 0.1)
_HOLDS, _HARMLESS, _CARRIES = 0.45, 0.2, 0.15
#: The same of a window, where hands are what matters.
_CLOSE_PEOPLE, _CLOSE_VEHICLES, _CLOSE_HOLDS = (0.02, 0.28, 0.4, 0.3), (0.6, 0.4), 0.8
#: How often each kind of vehicle is tried, and where it stands.
_KINDS: dict[str, tuple[float, tuple[str, ...]]] = {
    "car": (0.38, ("road", "drive")),
    "van": (0.20, ("road", "drive")),
    "truck": (0.15, ("road", "drive")),
    "bus": (0.12, ("road",)),
    "bicycle": (0.15, ("road", "drive", "walk")),
}
#: Metres of ground around somebody, by posture.
_ROOM = {"running": 0.5, "sitting": 0.55, "crouching": 0.45, "crawling": 0.9, "lying_down": 1.0}


def random_spec(seed: int, size: tuple[int, int] = (1280, 720)) -> SceneSpec:
    """The random scene of a seed, for a picture of (width, height) pixels."""
    rng = np.random.default_rng([5, seed])
    place = PLACES[int(rng.integers(len(PLACES)))]
    light = LIGHTS[int(rng.choice(len(LIGHTS), p=_LIGHT_SHARES))]
    camera = _camera(rng, size)
    scene = SceneSpec(place, light, camera, seed=seed)
    if rng.random() < _EMPTY:
        return scene
    ground = _FreeGround.of(layout_of(place, seed), camera, rng)
    vehicles = [_vehicle(ground, rng) for _ in range(_count(rng, _VEHICLES))]
    people = [_person(ground, rng, seed) for _ in range(_count(rng, _PEOPLE))]
    animals = [_animal(ground, rng) for _ in range(_count(rng, _CREATURES))]
    return replace(
        scene,
        vehicles=tuple(v for v in vehicles if v),
        people=tuple(p for p in people if p),
        animals=tuple(a for a in animals if a),
    )


def window_spec(seed: int, size: tuple[int, int] = (320, 320), whole: int = 1280) -> SceneSpec:
    """A scene that is seen through a window of a picture, with people in it who mostly hold something.

    Args:
        seed: of everything.
        size: (width, height) of the window in pixels.
        whole: width of the picture that the window is the middle of.
    """
    rng = np.random.default_rng([11, seed])
    place = PLACES[int(rng.integers(len(PLACES)))]
    light = LIGHTS[int(rng.choice(len(LIGHTS), p=_LIGHT_SHARES))]
    wide = _camera(rng, (whole, whole * 9 // 16))
    # Mostly towards the chest of somebody at that distance; near ones are larger than the window.
    distance = float(rng.uniform(4, 13) if rng.random() < 0.85 else rng.uniform(13, 80))
    pitch = math.atan2(wide.height_m - 1.1, distance)
    scene = SceneSpec(place, light, replace(wide, width=size[0], height=size[1], pitch=pitch), seed=seed)
    ground = _FreeGround.of(layout_of(place, seed), scene.camera, rng)
    people = [_person(ground, rng, seed, _CLOSE_HOLDS, 0.5) for _ in range(_count(rng, _CLOSE_PEOPLE))]
    vehicles = [_vehicle(ground, rng) for _ in range(_count(rng, _CLOSE_VEHICLES))]
    return replace(scene, people=tuple(p for p in people if p), vehicles=tuple(v for v in vehicles if v))


def identity_scene(identity: int, view: int, camera: Literal[0, 1]) -> SceneSpec:
    """One person, large, before one of two cameras that differ in height, light and what is behind.

    Args:
        identity: who.
        view: which of many pictures; posture, yaw and place follow from it.
        camera: 0 or 1.
    """
    rng = np.random.default_rng([7, identity, view, camera])
    split = next(name for name, (low, high) in IDENTITIES.items() if low <= identity < high)
    lights = (
        (("day", 0.6), ("rain", 0.25), ("dusk", 0.15)) if camera == 0 else (("dusk", 0.4), ("night", 0.3), ("day", 0.3))
    )
    light = str(rng.choice([name for name, _ in lights], p=[share for _, share in lights]))
    height = float(rng.uniform(2.2, 2.6) if camera == 0 else rng.uniform(2.8, 3.5))
    posture = str(rng.choice(["standing", "walking", "running", "reaching_up"], p=[0.42, 0.42, 0.1, 0.06]))
    z = float(rng.uniform(4.0, 7.0))
    distance = math.hypot(z, height - 0.9)
    focal = 320 * float(rng.uniform(0.6, 0.76)) / 1.75 * distance
    place, scene_seed = PLACES[int(rng.integers(len(PLACES)))], SEEDS[split] + int(rng.integers(1_000_000))
    x = _unhidden(layout_of(place, scene_seed), z, 0.15, rng)
    person = PersonSpec(identity, posture, x, z, _yaw(posture, x, z, rng), seed=_seed(rng))
    return SceneSpec(
        place,
        light,
        Camera(256, 320, focal, height, math.atan2(height - 0.9, z) + float(rng.normal(0, 0.01))),
        (person,),
        seed=scene_seed,
    )


def pair_spec(seed: int, level: Literal["harmless", "threatening"], size: tuple[int, int] = (1280, 720)) -> SceneSpec:
    """One scene of a pair that are equal but for what its one person does and holds."""
    rng = np.random.default_rng([9, seed])
    place = PLACES[int(rng.integers(len(PLACES)))]
    light = str(rng.choice(["day", "dusk"]))
    height = float(rng.uniform(2.3, 2.9))
    z = float(rng.uniform(3.8, 5.2))
    camera = Camera(*size, size[0] * float(rng.uniform(0.75, 0.95)), height, math.atan2(height - 0.8, z))
    x = _unhidden(layout_of(place, seed), z, 1.2, rng)
    identity = IDENTITIES["test"][0] + int(rng.integers(10_000))
    quiet, weapon = str(rng.choice(["standing", "walking"])), str(rng.choice(WEAPONS))
    bad = str(rng.choice(["standing", "crouching", "walking"]))
    pose, carries = _seed(rng), "box" if rng.random() < 0.4 else None
    yaw, turned = _yaw(quiet, x, z, rng), facing_camera(x, z) + float(rng.uniform(0.8, 1.3))
    if level == "harmless":
        person = PersonSpec(identity, quiet, x, z, yaw, carries=carries, seed=pose)
    else:  # turned so that the hand that holds it is on the camera's side
        person = PersonSpec(identity, bad, x, z, turned, holds=weapon, seed=pose)
    return SceneSpec(place, light, camera, (person,), seed=seed)


def evening_spec() -> SceneSpec:
    """The demo's picture: at dusk somebody with a crowbar crouches beside a van on a drive; a cat is further away.

    It was chosen: the sample networks tell the story of one in 150 such scenes whole (docs/sample-weights.md).
    """
    camera = Camera(1280, 720, 1020.0, 2.5, 0.215)
    van = VehicleSpec("van", 1.45, 7.3, math.pi - 0.1, "white", "KL-204-BN", seed=3)
    person = PersonSpec(24_450, "crouching", -0.98, 5.01, 1.23, holds="crowbar", seed=564_306)
    cat = AnimalSpec("cat", -2.0, 5.92, 1.29, seed=94_409)
    return SceneSpec("drive", "dusk", camera, (person,), (van,), (cat,), seed=2_000_020)


@dataclass(slots=True)
class _FreeGround:
    """The ground of a layout, of which more and more is taken."""

    areas: Sequence[Area]
    camera: Camera
    rng: Rng
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, layout: Layout, camera: Camera, rng: Rng) -> _FreeGround:
        taken = [(item.x, item.z, item.radius) for item in layout.clutter if item.radius]
        taken += [(lamp.x, lamp.z, 0.2) for lamp in layout.lamps if lamp.post]
        return cls(layout.areas, camera, rng, taken)

    def area(self, uses: Sequence[str]) -> Area | None:
        fitting = [area for area in self.areas if area.use in uses and area.x2 > area.x1 and area.z2 > area.z1]
        return fitting[int(self.rng.integers(len(fitting)))] if fitting else None

    def spot(self, area: Area) -> tuple[float, float]:
        """A point of an area, near ones more often, as their pictures are larger."""
        z = area.z1 + (area.z2 - area.z1) * float(self.rng.random()) ** 1.6
        return float(self.rng.uniform(area.x1, area.x2)), z

    def sees(self, x: float, z: float, height: float, *, margin: float = 0.0) -> bool:
        """Whether the picture has the foot and the top of something; a margin lets it be cut off."""
        pixels, depth = self.camera.project(np.array([[x, 0, z], [x, height, z]], np.float32))
        width, tall = self.camera.width, self.camera.height
        across = ((pixels[:, 0] > (0.02 - margin) * width) & (pixels[:, 0] < (0.98 + margin) * width)).all()
        return bool(
            (depth > 1.0).all() and across and pixels[0, 1] < (1.0 + margin) * tall and pixels[1, 1] > -margin * tall
        )

    def take(self, circles: Sequence[tuple[float, float, float]]) -> bool:
        """Take these circles (x, z, radius) where none of them is taken yet."""
        for x, z, radius in circles:
            if any(math.hypot(x - a, z - b) < radius + r for a, b, r in self.taken):
                return False
        self.taken += circles
        return True


def _unhidden(layout: Layout, z: float, widest: float, rng: Rng) -> float:
    """An x within `widest` of the middle where nothing of the place stands before somebody, if there is one."""
    x = 0.0
    for _ in range(20):
        x = float(rng.uniform(-widest, widest))
        if not any(
            c.radius and 0.5 < c.z < z + 0.5 and abs(c.x - x * c.z / z) < c.radius + 0.45 for c in layout.clutter
        ):
            break
    return x


def _camera(rng: Rng, size: tuple[int, int]) -> Camera:
    width, height = size
    height_m = float(rng.uniform(2.2, 3.5))
    focal = max(size) * float(rng.uniform(0.55, 1.1))
    return Camera(width, height, focal, height_m, math.atan2(height_m, float(rng.uniform(5, 14))))


def _count(rng: Rng, shares: Sequence[float]) -> int:
    return int(rng.choice(len(shares), p=shares))


def _seed(rng: Rng) -> int:
    return int(rng.integers(1 << 30))


def _yaw(posture: str, x: float, z: float, rng: Rng, *, arms_raised: bool = False) -> float:
    """A yaw in which the posture can be told, nearly always."""
    spans = good_yaws(posture, arms_raised=arms_raised) if rng.random() < 0.92 else ((-math.pi, math.pi),)
    widths = np.array([high - low for low, high in spans])
    low, high = spans[int(rng.choice(len(spans), p=widths / widths.sum()))]
    return facing_camera(x, z) + float(rng.uniform(low, high))


def _identity(seed: int, rng: Rng) -> int:
    split = "test" if seed >= SEEDS["test"] else "validation" if seed >= SEEDS["validation"] else "train"
    return int(rng.integers(*IDENTITIES[split]))


def _person(
    ground: _FreeGround, rng: Rng, seed: int, armed: float = _HOLDS, cut_off: float = 0.12
) -> PersonSpec | None:
    posture = (*POSTURES, "arms_raised")[int(rng.integers(len(POSTURES) + 1))]
    raised = posture == "arms_raised"
    posture = "standing" if raised else posture
    holds = carries = None
    if rng.random() < armed:
        holds = str(rng.choice(HARMLESS if rng.random() < _HARMLESS else WEAPONS))
    elif posture in ("standing", "walking") and not raised and rng.random() < 2 * _CARRIES:
        carries = "box"
    room = _ROOM.get(posture, 0.38)
    cut = cut_off if rng.random() < 0.1 else 0.0
    for _ in range(40):
        area = ground.area(("walk", "drive"))
        if area is None:
            return None
        x, z = ground.spot(area)
        if ground.sees(x, z, 1.2, margin=cut) and ground.take([(x, z, room)]):
            yaw = _yaw(posture, x, z, rng, arms_raised=raised)
            return PersonSpec(_identity(seed, rng), posture, x, z, yaw, holds, carries, raised, _seed(rng))
    return None


def _vehicle(ground: _FreeGround, rng: Rng) -> VehicleSpec | None:
    kind = str(rng.choice(list(_KINDS), p=[share for share, _ in _KINDS.values()]))
    for _ in range(40):
        area = ground.area(_KINDS[kind][1])
        if area is None:
            return None
        turn = float(rng.normal(0, 0.09)) if rng.random() < 0.6 else float(rng.uniform(-1.1, 1.1))
        yaw = area.along + turn + (math.pi if rng.random() < 0.5 else 0.0)
        x, z = ground.spot(area)
        plate = None if kind == "bicycle" else plate_text(rng)
        colour = str(rng.choice(list(COLOURS)))
        spec = VehicleSpec(kind, x, z, yaw, colour, plate, _seed(rng))
        width, _, length = vehicle_size(spec)
        circles = _along(x, z, yaw, width, length)
        far_enough = min(cz - r for _, cz, r in circles) > 2.2
        if far_enough and ground.sees(x, z, 0.8, margin=0.1) and ground.take(circles):
            return spec
    return None


def _along(x: float, z: float, yaw: float, width: float, length: float) -> list[tuple[float, float, float]]:
    """Circles that cover a vehicle's footprint."""
    radius = width / 2 + 0.12
    reach = max(length / 2 - radius, 0)
    count = max(1, math.ceil(length / max(width, 0.4)))
    return [
        (x + step * math.sin(yaw), z - step * math.cos(yaw), radius)
        for step in np.linspace(-reach, reach, count).tolist()
    ]


def _animal(ground: _FreeGround, rng: Rng) -> AnimalSpec | None:
    kind = ANIMALS[int(rng.integers(len(ANIMALS)))]
    for _ in range(40):
        area = ground.area(("walk",))
        if area is None:
            return None
        x, z = ground.spot(area)
        if z < 12 and ground.sees(x, z, 0.4) and ground.take([(x, z, 0.35)]):
            return AnimalSpec(kind, x, z, float(rng.uniform(-math.pi, math.pi)), _seed(rng))
    return None
