"""A pinhole camera above the ground.

World      metres; x to the right, y up, z forward; the ground is y = 0 and the camera stands at (0, height_m, 0).
Camera     its optical axis points along +z, turned down by `pitch`; depth is the distance along that axis.
Picture    u to the right, v down, in pixels; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Camera:
    """Where pictures are taken from.

    Attributes:
        width: of the picture, pixels.
        height: of the picture, pixels.
        focal: pixels; half the width is a field of view of 90 degrees.
        height_m: above the ground.
        pitch: radians; positive looks down.
    """

    width: int
    height: int
    focal: float
    height_m: float
    pitch: float

    @property
    def right(self) -> Float:
        """(3,) the picture's u axis in the world."""
        return np.array([1.0, 0.0, 0.0], np.float32)

    @property
    def down(self) -> Float:
        """(3,) the picture's v axis in the world."""
        return np.array([0.0, -math.cos(self.pitch), -math.sin(self.pitch)], np.float32)

    @property
    def forward(self) -> Float:
        """(3,) the optical axis in the world."""
        return np.array([0.0, -math.sin(self.pitch), math.cos(self.pitch)], np.float32)

    @property
    def position(self) -> Float:
        """(3,) in the world."""
        return np.array([0.0, self.height_m, 0.0], np.float32)

    def project(self, points: Float) -> tuple[Float, Float]:
        """(n, 3) world points to (n, 2) pixels and (n,) depths; pixels mean nothing where the depth is not above 0."""
        seen = self.to_camera(points)
        depth = seen[:, 2]
        scale = self.focal / np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        pixels = seen[:, :2] * scale[:, None] + np.array([self.width / 2, self.height / 2], np.float32)
        return pixels.astype(np.float32), depth

    def to_camera(self, points: Float) -> Float:
        """(n, 3) world points to right, down and depth, metres."""
        axes = np.stack([self.right, self.down, self.forward], axis=1)
        return np.asarray((np.asarray(points, np.float32) - self.position) @ axes, np.float32)

    def rays(self) -> Float:
        """(height, width, 3) world direction through each pixel's centre, of depth 1."""
        u = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.focal
        v = (np.arange(self.height, dtype=np.float32) + 0.5 - self.height / 2) / self.focal
        rays = self.forward + u[None, :, None] * self.right + v[:, None, None] * self.down
        return np.asarray(rays, np.float32)

    def positions(self, depth: Float) -> Float:
        """(height, width) depths to (height, width, 3) world points."""
        return self.rays() * depth[..., None] + self.position

    def on_ground(self, u: float, v: float) -> tuple[float, float]:
        """The (x, z) that a pixel below the horizon shows where nothing stands on the ground.

        Raises:
            ValueError: at or above the horizon.
        """
        ray = (
            self.forward
            + (u - self.width / 2) / self.focal * self.right
            + (v - self.height / 2) / self.focal * self.down
        )
        if ray[1] >= 0:
            raise ValueError(f"pixel ({u:g}, {v:g}) is not below the horizon")
        reach = self.height_m / -float(ray[1])
        return float(ray[0]) * reach, float(ray[2]) * reach

    def scaled(self, factor: float) -> Camera:
        """The same view on a grid that is finer by a factor."""
        width, height = round(self.width * factor), round(self.height * factor)
        return replace(self, width=width, height=height, focal=self.focal * width / self.width)
