"""The camera's lens, sensor and encoder: from linear light to the bytes that a camera would have sent, decoded."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Sensor:
    """Ranges by light: mean brightness after the curve, and noise of one standard deviation; both of 0..1."""

    brightness: tuple[float, float]
    noise: tuple[float, float]
    quality: tuple[int, int] = (45, 95)
    shake: float = 0.1


_SENSORS = {
    "day": _Sensor((0.36, 0.52), (0.003, 0.015)),
    "dusk": _Sensor((0.30, 0.46), (0.008, 0.028)),
    "night": _Sensor((0.16, 0.32), (0.014, 0.045), (35, 90), 0.2),
    "rain": _Sensor((0.36, 0.52), (0.006, 0.022)),
    "infrared": _Sensor((0.26, 0.42), (0.010, 0.040), (35, 90), 0.2),
}


def expose(linear: Float, light: str, rng: np.random.Generator) -> UInt8:
    """Linear light to a picture: (h, w, 3) float32 to uint8 RGB. Nothing is moved, so labels stay exact."""
    sensor = _SENSORS[light]
    picture = _focus(linear, sensor, rng)
    if light != "infrared":
        picture *= _white_balance(rng)
    picture *= _vignette(picture.shape[0], picture.shape[1], float(rng.uniform(0, 0.45)))[..., None]
    picture = _curve(picture, float(rng.uniform(*sensor.brightness)), float(rng.uniform(0.0, 0.35)))
    if light != "infrared":
        _saturate(picture, float(rng.uniform(0.75, 1.15)))
    _add_noise(picture, float(rng.uniform(*sensor.noise)), rng, grey=light == "infrared")
    if rng.random() < 0.35:
        picture += np.float32(rng.uniform(0.2, 0.7)) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    pixels = np.clip(picture * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return _compressed(pixels, int(rng.integers(*sensor.quality)), grey=light == "infrared")


def _focus(linear: Float, sensor: _Sensor, rng: np.random.Generator) -> Float:
    """Optical blur, and now and then that of a shake. The larger the picture, the more pixels it covers."""
    scale = (linear.shape[0] / 720) ** 0.5
    picture = np.asarray(cv2.GaussianBlur(linear, (0, 0), max(float(rng.uniform(0.3, 0.9)) * scale, 0.2)), np.float32)
    if rng.random() < sensor.shake:
        length = max(round(float(rng.uniform(2, 6)) * scale), 2)
        kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
        angle = float(rng.uniform(0, np.pi))
        dx, dy = round(length / 2 * np.cos(angle)), round(length / 2 * np.sin(angle))
        cv2.line(kernel, (length - dx, length - dy), (length + dx, length + dy), 1.0, 1)
        picture = np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)
    return picture


def _white_balance(rng: np.random.Generator) -> Float:
    warmth, tint = float(rng.normal(0, 0.06)), float(rng.normal(0, 0.03))
    return np.exp(np.array([warmth, tint, -warmth])).astype(np.float32)


def _vignette(height: int, width: int, strength: float) -> Float:
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    return 1 - np.float32(strength / 2) * (across + down)


def _curve(linear: Float, brightness: float, contrast: float) -> Float:
    """Square root and a soft shoulder, exposed so that the mean brightness comes out."""
    sample = np.sqrt(np.maximum(linear[::8, ::8].mean(axis=2), 0))
    # One very bright lamp must not turn all the rest black.
    level = float(np.minimum(sample, np.quantile(sample, 0.97)).mean())
    gain = np.float32((brightness / max(level, 1e-4)) ** 2)
    picture = np.sqrt(np.maximum(linear * gain, 0))
    over = np.maximum(picture - np.float32(0.65), 0)
    picture = np.minimum(picture, np.float32(0.65)) + np.float32(0.35) * over / (over + np.float32(0.35))
    smooth = picture * picture * (3 - 2 * picture)
    return picture + np.float32(contrast) * (smooth - picture)


def _saturate(picture: Float, factor: float) -> None:
    grey = picture.mean(axis=2, keepdims=True)
    picture *= np.float32(factor)
    picture += grey * np.float32(1 - factor)


def _add_noise(picture: Float, amount: float, rng: np.random.Generator, *, grey: bool) -> None:
    """Noise of brightness by pixels, of colour in larger grains; even, as light's own is after the square root."""
    height, width = picture.shape[:2]
    picture += (rng.standard_normal((height, width), np.float32) * np.float32(amount))[..., None]
    if not grey:
        grains = rng.standard_normal((height // 3 + 1, width // 3 + 1, 3), np.float32) * np.float32(amount)
        picture += cv2.resize(grains, (width, height), interpolation=cv2.INTER_LINEAR)


def _compressed(pixels: UInt8, quality: int, *, grey: bool) -> UInt8:
    bgr = pixels[..., 0] if grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"OpenCV did not encode a picture of {pixels.shape[1]} x {pixels.shape[0]} px")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise RuntimeError("OpenCV did not decode what it had encoded")
    return np.ascontiguousarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
