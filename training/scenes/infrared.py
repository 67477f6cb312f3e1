"""What an infrared camera sees by its own light."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.places import Lamp
from training.scenes.shading import Surfaces, shadow, shed_by, strongest
from training.scenes.weather import bloom


def infrared(
    surfaces: Surfaces,
    lamps: Sequence[Lamp],
    rng: np.random.Generator,
    mirrors: Sequence[int],
    eyes: Sequence[tuple[float, float, float]],
) -> Float:
    """Grey, lit from the camera: bright and flat in the near, dark behind; cloth shows other shades than to the eye."""
    power = float(rng.uniform(25, 60))
    shed = shed_by(surfaces, surfaces.camera.position, power)
    height, width = shed.shape
    across = ((np.arange(width, dtype=np.float32) + 0.5) / width - np.float32(rng.uniform(0.44, 0.56)))[None, :]
    down = ((np.arange(height, dtype=np.float32) + 0.5) / height - np.float32(rng.uniform(0.44, 0.56)))[:, None]
    shed *= np.float32(0.35) + np.exp(-(across**2 + down**2) * np.float32(rng.uniform(4, 9)))
    for lamp in strongest(lamps)[:1]:
        shed += shed_by(surfaces, np.array(lamp.position, np.float32), lamp.power)
    shed += np.float32(0.03)
    shed *= 1 - np.float32(0.5) * shadow(surfaces, None, blur=3.0, top=0.8)
    grey = _infrared_grey(surfaces, rng) * shed
    grey += surfaces.glow * np.float32(0.6)
    grey[np.isinf(surfaces.depth)] = np.float32(rng.uniform(0.0, 0.012))
    if len(mirrors):
        grey += np.isin(surfaces.ids, mirrors) * (surfaces.albedo.mean(axis=2) * np.float32(1.5) * np.minimum(shed, 2))
    for u, v, depth in eyes:
        spot = max(0.7, 0.012 * surfaces.camera.focal / depth)
        _spot(grey, u, v, spot, min(power / depth**2, 3.0))
    picture = np.repeat(grey[..., None], 3, axis=2)
    bloom(picture)
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
