"""What a scene consists of, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes.camera import Camera

PLACES = ("porch", "drive", "street")
LIGHTS = ("day", "dusk", "night", "rain", "infrared")
#: Words of `hearthwatch.vision.posture` that a single person alone can show.
POSTURES = (
    "standing",
    "walking",
    "running",
    "sitting",
    "crouching",
    "bending_over",
    "crawling",
    "lying_down",
    "reaching_up",
)
WEAPONS = ("knife", "gun", "bat", "crowbar")
VEHICLES = ("car", "van", "truck", "bus", "bicycle")
ANIMALS = ("cat", "dog")


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """One person.

    Attributes:
        identity: build, skin, hair and clothes follow from it alone.
        posture: of POSTURES.
        x: metres to the right.
        z: metres away.
        yaw: radians about the vertical; 0 faces the camera, positive turns to the picture's right.
        holds: of WEAPONS, or a word for a harmless thing in `props`; None: nothing.
        carries: "box", or None.
        arms_raised: both hands above the head.
        seed: of what varies within the posture.
    """

    identity: int
    posture: str
    x: float
    z: float
    yaw: float
    holds: str | None = None
    carries: str | None = None
    arms_raised: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class VehicleSpec:
    """One vehicle; its proportions and marks follow from the seed. Yaw 0 faces the camera."""

    kind: str
    x: float
    z: float
    yaw: float
    colour: str
    plate: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AnimalSpec:
    """One animal; breed, colour and pose follow from the seed. Yaw 0 faces the camera."""

    kind: str
    x: float
    z: float
    yaw: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """Everything that a picture follows from: equal specs give equal bytes.

    Attributes:
        place: of PLACES.
        light: of LIGHTS.
        camera: its picture size is that of the result.
        people: in no order.
        vehicles: in no order.
        animals: in no order.
        seed: of the place's details, the light and the lens.
    """

    place: str
    light: str
    camera: Camera
    people: tuple[PersonSpec, ...] = ()
    vehicles: tuple[VehicleSpec, ...] = ()
    animals: tuple[AnimalSpec, ...] = ()
    seed: int = 0
