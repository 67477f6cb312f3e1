"""Light: what the drawn surfaces look like by day, at dusk, at night, in rain and to an infrared camera.

One pass over the buffers at the picture's own size: each pixel's colour times the light that reaches it, from the
sky, the sun, lamps and, for infrared, the camera itself; then shadows on the ground, wet ground, fog and rain. Values
are linear and have no upper end; `lens` exposes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.infrared import infrared
from training.scenes.places import Lamp
from training.scenes.shading import Surfaces, shadow, shed_by, strongest
from training.scenes.surfaces import RGB
from training.scenes.weather import SKIES, Sky, bloom, fog, paint_sky, streaks, wet


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
        return infrared(surfaces, lamps, rng, mirrors, eyes)
    sky = SKIES[light]
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
        wet(picture, surfaces, horizon, rng)
    paint_sky(picture, surfaces, sky, rng, overcast=overcast)
    if light == "rain" or rng.random() < 0.12:
        mist = horizon * np.float32(0.25) + np.array(sky.ambient, np.float32) * np.float32(0.75)
        fog(picture, surfaces.depth, mist, float(rng.uniform(35, 90)))
    bloom(picture)
    if light == "rain":
        streaks(picture, rng)
    return picture


def _levels(
    surfaces: Surfaces, sky: Sky, lamps: Sequence[Lamp], rng: np.random.Generator, *, overcast: bool
) -> list[Float]:
    """The light that reaches each pixel: one (h, w) array a channel."""
    nx, ny, nz = surfaces.normal
    contact = 1 - np.float32(0.65) * shadow(surfaces, None, blur=3.0, top=1.1)
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
        facing *= 1 - np.float32(0.85) * shadow(surfaces, towards, blur=1.0)
        _add(levels, facing, sky.sun)
    for number, lamp in enumerate(strongest(lamps)):
        shed = shed_by(surfaces, np.array(lamp.position, np.float32), lamp.power)
        if number == 0:
            shed *= 1 - np.float32(0.8) * shadow(surfaces, np.array(lamp.position, np.float32), blur=1.5, near=True)
        _add(levels, shed, lamp.colour)
    return levels


def _add(levels: list[Float], amount: Float, colour: RGB) -> None:
    for channel, share in enumerate(colour):
        levels[channel] += amount * np.float32(share)


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
    for lamp in strongest(lamps):
        position = np.array(lamp.position, np.float32)
        half = _unit(view + _unit(position - point))
        spot = np.clip((normal * half).sum(axis=1), 0, 1) ** 60
        fall = lamp.power / (((position - point) ** 2).sum(axis=1) + 1)
        picture[here] += (gloss * spot * fall)[:, None] * np.array(lamp.colour, np.float32)


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
