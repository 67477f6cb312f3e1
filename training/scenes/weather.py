"""Sky, fog, rain and what they do to the ground; each changes a linear picture in place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.shading import Surfaces
from training.scenes.surfaces import RGB, SIDE, octaves


@dataclass(frozen=True, slots=True)
class Sky:
    """Ranges from which a light is drawn; colours are linear."""

    ambient: RGB
    zenith: RGB
    horizon: RGB
    sun: RGB
    elevation: tuple[float, float]
    overcast: float = 0.0


SKIES = {
    "day": Sky((0.34, 0.38, 0.44), (0.25, 0.45, 0.85), (0.75, 0.82, 0.90), (1.25, 1.15, 1.0), (0.45, 1.15), 0.25),
    "dusk": Sky((0.13, 0.14, 0.21), (0.07, 0.09, 0.26), (0.75, 0.36, 0.20), (0.42, 0.20, 0.09), (0.10, 0.28), 0.3),
    "night": Sky((0.014, 0.017, 0.028), (0.004, 0.006, 0.014), (0.030, 0.028, 0.036), (0.0, 0.0, 0.0), (0.5, 1.0)),
    "rain": Sky((0.42, 0.44, 0.47), (0.40, 0.43, 0.47), (0.58, 0.60, 0.62), (0.10, 0.10, 0.10), (0.8, 1.2), 1.0),
}


def wet(picture: Float, surfaces: Surfaces, horizon: Float, rng: np.random.Generator) -> None:
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


def paint_sky(picture: Float, surfaces: Surfaces, sky: Sky, rng: np.random.Generator, *, overcast: bool) -> None:
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


def fog(picture: Float, depth: Float, colour: Float, reach: float) -> None:
    share = (1 - np.exp(-np.minimum(depth, 300) / np.float32(reach)))[..., None] * np.float32(0.85)
    picture *= 1 - share
    picture += share * colour


def bloom(picture: Float) -> None:
    """Light that scatters in the lens around what is very bright."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(width // 8, 1), max(height // 8, 1)), interpolation=cv2.INTER_AREA)
    bright = np.maximum(small - np.float32(0.9), 0)
    if bright.max() <= 0:
        return
    spread = cv2.GaussianBlur(bright, (0, 0), max(width / 8 / 40, 0.8))
    picture += cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(0.6)


def streaks(picture: Float, rng: np.random.Generator) -> None:
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
