"""Light: what the drawn surfaces look like by day, at dusk, at night, in rain and to an infrared camera.

One pass over the buffers at the picture's own size: each pixel's colour times the light that reaches it, from the
sky, the sun, lamps and, for infrared, the camera itself; then shadows on the ground, wet ground, fog and rain. Values
are linear and have no upper end; `lens` exposes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float
from training.scenes.camera import Camera
from training.scenes.canvas import Canvas
from training.scenes.places import Lamp
from training.scenes.surfaces import RGB, SIDE, octaves

#: At most so many lamps are reckoned with: those that shed most light where people are.
MOST_LAMPS = 3
#: The ground on which shadows are kept: metres a cell, and how far it reaches.
_CELL_M, _REACH_M = 0.06, 24.0
#: Things lower than this cast no shadow, metres.
_LOW_M = 0.07


@dataclass(frozen=True, slots=True, eq=False)
class Surfaces:
    """The buffers of a canvas at the size of its picture, with the world position of each pixel.

    Attributes:
        albedo: (h, w, 3) linear.
        normal: nx, ny, nz, each (h, w); shorter than 1 at edges.
        x: (h, w) world; likewise y and z. 0 where there is sky.
        depth: (h, w) metres; infinite where there is sky.
        glow: (h, w).
        gloss: (h, w).
        ids: (h, w).
        ground: (h, w) where the ground is seen.
        camera: the picture's.
    """

    albedo: Float
    normal: tuple[Float, Float, Float]
    x: Float
    y: Float
    z: Float
    depth: Float
    glow: Float
    gloss: Float
    ids: npt.NDArray[np.int16]
    ground: npt.NDArray[np.bool_]
    camera: Camera


@dataclass(frozen=True, slots=True)
class _Sky:
    """Ranges from which a light is drawn; colours are linear."""

    ambient: RGB
    zenith: RGB
    horizon: RGB
    sun: RGB
    elevation: tuple[float, float]
    overcast: float = 0.0


_SKIES = {
    "day": _Sky((0.34, 0.38, 0.44), (0.25, 0.45, 0.85), (0.75, 0.82, 0.90), (1.25, 1.15, 1.0), (0.45, 1.15), 0.25),
    "dusk": _Sky((0.13, 0.14, 0.21), (0.07, 0.09, 0.26), (0.75, 0.36, 0.20), (0.42, 0.20, 0.09), (0.10, 0.28), 0.3),
    "night": _Sky((0.014, 0.017, 0.028), (0.004, 0.006, 0.014), (0.030, 0.028, 0.036), (0.0, 0.0, 0.0), (0.5, 1.0)),
    "rain": _Sky((0.42, 0.44, 0.47), (0.40, 0.43, 0.47), (0.58, 0.60, 0.62), (0.10, 0.10, 0.10), (0.8, 1.2), 1.0),
}


def surfaces_of(canvas: Canvas) -> Surfaces:
    """The finished buffers of a canvas at picture size: colours averaged, depths and owners of the middle one."""
    camera = canvas.camera
    size = (camera.width, camera.height)
    albedo = _mean(canvas.albedo, size)
    albedo *= albedo  # painted colours are as the eye sees them; their squares are near enough to linear light
    nx, ny, nz = (np.asarray(axis, np.float32) for axis in cv2.split(_mean(canvas.normal, size)))
    depth = _middle(canvas.depth, size)
    u = ((np.arange(camera.width, dtype=np.float32) + 0.5 - camera.width / 2) / camera.focal)[None, :]
    v = ((np.arange(camera.height, dtype=np.float32) + 0.5 - camera.height / 2) / camera.focal)[:, None]
    reach = np.where(np.isfinite(depth), depth, np.float32(0))
    y = camera.height_m + reach * (camera.forward[1] + v * camera.down[1])
    return Surfaces(
        albedo=albedo,
        normal=(nx, ny, nz),
        x=reach * u,
        y=y,
        z=reach * (camera.forward[2] + v * camera.down[2]),
        depth=depth,
        glow=_mean(canvas.glow, size),
        gloss=_mean(canvas.gloss, size),
        ids=_middle(canvas.ids, size),
        ground=(y < 0.02) & (ny > 0.9) & (reach > 0),
        camera=camera,
    )


def light_up(
    surfaces: Surfaces,
    light: str,
    lamps: Sequence[Lamp],
    rng: np.random.Generator,
    *,
    mirrors: Sequence[int] = (),
    eyes: Sequence[tuple[float, float, float]] = (),
) -> Float:
    """The picture that reaches the lens: (h, w, 3) linear; three equal channels for infrared.

    Args:
        surfaces: what is drawn.
        light: of LIGHTS.
        lamps: that are lit.
        rng: of the sun's place, clouds, rain and so on.
        mirrors: owners that throw infrared light back to where it came from: plates.
        eyes: u, v and depth of eyes that are seen; they do so too.
    """
    if light == "infrared":
        return _infrared(surfaces, lamps, rng, mirrors, eyes)
    sky = _SKIES[light]
    overcast = light == "rain" or rng.random() < sky.overcast
    levels = _levels(surfaces, sky, lamps, rng, overcast=overcast)
    albedo = surfaces.albedo
    if light == "rain":
        albedo = np.where(surfaces.ground[..., None], albedo * np.float32(0.55), albedo)
    picture = albedo * cv2.merge(levels)
    horizon = np.array(sky.horizon, np.float32) * np.float32(0.8 if overcast else 1.0)
    _shine(picture, surfaces, lamps, horizon)
    picture += (surfaces.glow * np.float32(1.6))[..., None] * albedo
    if light == "rain":
        _wet(picture, surfaces, horizon, rng)
    _paint_sky(picture, surfaces, sky, rng, overcast=overcast)
    if light == "rain" or rng.random() < 0.12:
        mist = horizon * np.float32(0.25) + np.array(sky.ambient, np.float32) * np.float32(0.75)
        _fog(picture, surfaces.depth, mist, float(rng.uniform(35, 90)))
    _bloom(picture)
    if light == "rain":
        _streaks(picture, rng)
    return picture


def _levels(
    surfaces: Surfaces, sky: _Sky, lamps: Sequence[Lamp], rng: np.random.Generator, *, overcast: bool
) -> list[Float]:
    """The light that reaches each pixel: one (h, w) array a channel."""
    nx, ny, nz = surfaces.normal
    contact = 1 - np.float32(0.65) * _shadow(surfaces, None, blur=3.0, top=1.1)
    dome = (np.float32(0.68) + np.float32(0.32) * ny) * contact
    azimuth, elevation = float(rng.uniform(-math.pi, math.pi)), float(rng.uniform(*sky.elevation))
    towards = np.array(
        [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)],
        np.float32,
    )
    lift = 1.5 if overcast and sky.sun[0] > 0.3 else 1.0
    levels = [dome * np.float32(channel * lift) for channel in sky.ambient]
    if not overcast and max(sky.sun) > 0:
        facing = np.maximum(nx * towards[0] + ny * towards[1] + nz * towards[2], 0)
        facing *= 1 - np.float32(0.85) * _shadow(surfaces, towards, blur=1.0)
        _add(levels, facing, sky.sun)
    for number, lamp in enumerate(_strongest(lamps)):
        shed = _shed(surfaces, np.array(lamp.position, np.float32), lamp.power)
        if number == 0:
            shed *= 1 - np.float32(0.8) * _shadow(surfaces, np.array(lamp.position, np.float32), blur=1.5, near=True)
        _add(levels, shed, lamp.colour)
    return levels


def _add(levels: list[Float], amount: Float, colour: RGB) -> None:
    for channel, share in enumerate(colour):
        levels[channel] += amount * np.float32(share)


def _strongest(lamps: Sequence[Lamp]) -> list[Lamp]:
    def at_people(lamp: Lamp) -> float:
        x, _, z = lamp.position
        return lamp.power / (x * x + (z - 5) ** 2 + 4)

    return sorted(lamps, key=at_people, reverse=True)[:MOST_LAMPS]


def _shed(surfaces: Surfaces, position: Float, power: float) -> Float:
    """The light of a lamp at each pixel; a little reaches round corners."""
    dx, dy, dz = position[0] - surfaces.x, position[1] - surfaces.y, position[2] - surfaces.z
    square = dx * dx + dy * dy + dz * dz + np.float32(0.7)
    nx, ny, nz = surfaces.normal
    facing = (nx * dx + ny * dy + nz * dz) / np.sqrt(square)
    return np.maximum(facing * np.float32(0.85) + np.float32(0.15), 0) * (np.float32(power) / square)


def _shadow(
    surfaces: Surfaces, source: Float | None, blur: float, top: float = math.inf, *, near: bool = False
) -> Float:
    """0..1, how much of a light the seen things keep from the ground.

    What is seen is thrown on the ground along the light, into a map of the ground, and read back where ground is
    seen. The far sides of things are not known, which a blur hides.

    Args:
        surfaces: what is drawn.
        source: a direction towards the light, a position with `near`, or None for straight above.
        blur: cells of the map.
        top: what is higher casts none.
        near: the source is a position.
    """
    step = (slice(None, None, 2), slice(None, None, 2))
    x, y, z = surfaces.x[step], surfaces.y[step], surfaces.z[step]
    casts = (y > _LOW_M) & (y < min(top, 6.0)) & (z > 0.3) & (z < _REACH_M)
    if near and source is not None:
        casts &= y < source[1] - 0.1
    x, y, z = x[casts], y[casts], z[casts]
    if source is not None and near:
        stretch = source[1] / (source[1] - y)
        x, z = source[0] + (x - source[0]) * stretch, source[2] + (z - source[2]) * stretch
    elif source is not None:
        x, z = x - y * source[0] / source[1], z - y * source[2] / source[1]
    side = round(_REACH_M / _CELL_M)
    columns = np.round(x / _CELL_M + side / 2).astype(np.int32)
    rows = np.round(z / _CELL_M).astype(np.int32)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    cells = np.zeros((side, side), np.float32)
    cells[rows[inside], columns[inside]] = 1
    closed = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    blurred = cv2.GaussianBlur(closed, (0, 0), blur)
    scale = np.float32(1 / _CELL_M)
    read = cv2.remap(
        blurred, surfaces.x * scale + np.float32(side / 2), surfaces.z * scale, cv2.INTER_LINEAR, borderValue=0
    )
    shadow: Float = np.where(surfaces.ground, np.minimum(read * np.float32(1.4), 1), np.float32(0))
    return shadow


def _shine(picture: Float, surfaces: Surfaces, lamps: Sequence[Lamp], horizon: Float) -> None:
    """Glossy surfaces mirror the sky, more so at a slant, and lamps as spots."""
    rows, columns = np.nonzero(surfaces.gloss > 0.02)
    if not len(rows):
        return
    here = (rows, columns)
    gloss = surfaces.gloss[here]
    normal = np.stack([axis[here] for axis in surfaces.normal], axis=1)
    point = np.stack([surfaces.x[here], surfaces.y[here], surfaces.z[here]], axis=1)
    view = _unit(surfaces.camera.position - point)
    slant = 1 - np.clip((normal * view).sum(axis=1), 0, 1)
    up = np.clip(normal[:, 1] * 0.5 + 0.5, 0, 1)
    picture[here] += (gloss * (0.05 + 0.4 * slant**3) * up)[:, None] * horizon
    for lamp in _strongest(lamps):
        position = np.array(lamp.position, np.float32)
        half = _unit(view + _unit(position - point))
        spot = np.clip((normal * half).sum(axis=1), 0, 1) ** 60
        fall = lamp.power / (((position - point) ** 2).sum(axis=1) + 1)
        picture[here] += (gloss * spot * fall)[:, None] * np.array(lamp.colour, np.float32)


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _wet(picture: Float, surfaces: Surfaces, horizon: Float, rng: np.random.Generator) -> None:
    """Water on the ground mirrors the sky at a slant, puddles more."""
    pools = np.clip(octaves(rng, 5, 4) * np.float32(1.2), 0, 1)
    per_metre = np.float32(SIDE / 14)
    seen = cv2.remap(
        pools, surfaces.x * per_metre, surfaces.z * per_metre, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    distance = np.sqrt(surfaces.x**2 + surfaces.z**2 + np.float32(surfaces.camera.height_m**2))
    slant = 1 - surfaces.camera.height_m / distance
    share = np.where(surfaces.ground, slant**2 * (np.float32(0.15) + np.float32(0.3) * seen), 0)[..., None]
    picture *= 1 - share
    picture += share * horizon


def _paint_sky(picture: Float, surfaces: Surfaces, sky: _Sky, rng: np.random.Generator, *, overcast: bool) -> None:
    empty = np.isinf(surfaces.depth)
    bottom = int(np.flatnonzero(empty.any(axis=1)).max(initial=-1)) + 1
    if not bottom:
        return
    camera = surfaces.camera
    v = (np.arange(bottom, dtype=np.float32) + 0.5 - camera.height / 2) / camera.focal
    rise = np.clip(np.sin(-np.arctan(v) - camera.pitch), 0, 1)[:, None]
    share = np.sqrt(rise) * np.float32(0.4 if overcast else 1.0)
    colours = np.array(sky.horizon, np.float32) * (1 - share) + np.array(sky.zenith, np.float32) * share
    clouds = cv2.resize(octaves(rng, 3, 4), (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)[:bottom]
    cover = np.clip(clouds * np.float32(0.5) + np.float32(0.2), 0, 1)[..., None] * np.float32(0.6)
    white = np.float32(np.mean(sky.horizon) * 1.1)
    painted = colours[:, None, :] * (1 - cover) + white * cover
    np.copyto(picture[:bottom], painted, where=empty[:bottom, :, None])


def _fog(picture: Float, depth: Float, colour: Float, reach: float) -> None:
    share = (1 - np.exp(-np.minimum(depth, 300) / np.float32(reach)))[..., None] * np.float32(0.85)
    picture *= 1 - share
    picture += share * colour


def _bloom(picture: Float) -> None:
    """Light that scatters in the lens around what is very bright."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(width // 8, 1), max(height // 8, 1)), interpolation=cv2.INTER_AREA)
    bright = np.maximum(small - np.float32(0.9), 0)
    if bright.max() <= 0:
        return
    spread = cv2.GaussianBlur(bright, (0, 0), max(width / 8 / 40, 0.8))
    picture += cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(0.6)


def _streaks(picture: Float, rng: np.random.Generator) -> None:
    """Drops that fall through the picture while it is taken."""
    height, width = picture.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    count = int(rng.integers(60, 260))
    lean = float(rng.uniform(-0.25, 0.25))
    starts = rng.uniform(0, (width, height), (count, 2))
    lengths = rng.uniform(0.02, 0.07, count) * height
    shades = rng.integers(60, 255, count)
    for (x, y), length, shade in zip(starts, lengths, shades, strict=True):
        end = (round(x + lean * length), round(y + length))
        cv2.line(layer, (round(x), round(y)), end, int(shade), 1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(layer, (0, 0), max(height / 1000, 0.4)).astype(np.float32)
    picture += (soft * np.float32(float(rng.uniform(0.25, 0.7)) * float(picture.mean()) / 255))[..., None]


def _infrared(
    surfaces: Surfaces,
    lamps: Sequence[Lamp],
    rng: np.random.Generator,
    mirrors: Sequence[int],
    eyes: Sequence[tuple[float, float, float]],
) -> Float:
    """Grey, lit from the camera: bright and flat in the near, dark behind; cloth shows other shades than to the eye."""
    power = float(rng.uniform(25, 60))
    shed = _shed(surfaces, surfaces.camera.position, power)
    height, width = shed.shape
    across = ((np.arange(width, dtype=np.float32) + 0.5) / width - np.float32(rng.uniform(0.44, 0.56)))[None, :]
    down = ((np.arange(height, dtype=np.float32) + 0.5) / height - np.float32(rng.uniform(0.44, 0.56)))[:, None]
    shed *= np.float32(0.35) + np.exp(-(across**2 + down**2) * np.float32(rng.uniform(4, 9)))
    for lamp in _strongest(lamps)[:1]:
        shed += _shed(surfaces, np.array(lamp.position, np.float32), lamp.power)
    shed += np.float32(0.03)
    shed *= 1 - np.float32(0.5) * _shadow(surfaces, None, blur=3.0, top=0.8)
    grey = _infrared_grey(surfaces, rng) * shed
    grey += surfaces.glow * np.float32(0.6)
    grey[np.isinf(surfaces.depth)] = np.float32(rng.uniform(0.0, 0.012))
    if len(mirrors):
        grey += np.isin(surfaces.ids, mirrors) * (surfaces.albedo.mean(axis=2) * np.float32(1.5) * np.minimum(shed, 2))
    for u, v, depth in eyes:
        spot = max(0.7, 0.012 * surfaces.camera.focal / depth)
        _spot(grey, u, v, spot, min(power / depth**2, 3.0))
    picture = np.repeat(grey[..., None], 3, axis=2)
    _bloom(picture)
    return picture


def _infrared_grey(surfaces: Surfaces, rng: np.random.Generator) -> Float:
    """Each thing has its own way from colours to shades: black cloth is often light, leaves always."""
    owners = int(surfaces.ids.max()) + 1
    weights = rng.dirichlet((1.5, 1.5, 1.5), owners).astype(np.float32)
    least = rng.uniform(0, 0.3, owners).astype(np.float32)
    weights[0], least[0] = (0.4, 0.5, 0.1), 0.03
    red, green, blue = cv2.split(surfaces.albedo)
    table = (weights * (1 - least[:, None]) * rng.uniform(0.7, 1.3, (owners, 1))).astype(np.float32)
    ids = surfaces.ids
    grey = red * table[ids, 0] + green * table[ids, 1] + blue * table[ids, 2] + least[ids]
    leaves = np.clip(green - np.maximum(red, blue), 0, 1) * (ids == 0)
    return grey + leaves * np.float32(2.0)


def _spot(grey: Float, u: float, v: float, radius: float, level: float) -> None:
    reach = math.ceil(3 * radius)
    top, left = max(round(v) - reach, 0), max(round(u) - reach, 0)
    part = grey[top : round(v) + reach + 1, left : round(u) + reach + 1]
    if not part.size:
        return
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    square = (rows + 0.5 - v) ** 2 + (columns + 0.5 - u) ** 2
    part += (level * np.exp(-square / (2 * radius**2))).astype(np.float32)


def _mean(buffer: Float, size: tuple[int, int]) -> Float:
    return np.asarray(cv2.resize(buffer, size, interpolation=cv2.INTER_AREA), np.float32)


def _middle(buffer: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    return cv2.resize(buffer, size, interpolation=cv2.INTER_NEAREST_EXACT)
