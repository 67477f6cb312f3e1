"""Drawing with a depth buffer: flat faces and rounded limbs, each pixel with its colour, normal, depth and owner.

Nothing here knows of light: the buffers say what a surface is, and `light` says how it looks. What lies behind
something nearer is not drawn, but remembered, so that how much of a thing is hidden is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.boxes import Box
from training.scenes.camera import Camera, Float

#: Nothing nearer than this is drawn, metres: a lens stands before it.
NEAR_M = 0.3
#: Pixels of the buffers a pixel of the outlines that reach beyond the picture by its own size on each side.
_COARSE = 4
#: Fractional bits of polygon corners, and how far outside the picture one may lie before they overflow.
_SHIFT = 4
_FAR_PX = 1e6

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """What a surface looks like.

    Attributes:
        colour: of the surface itself, RGB, 0..1.
        texture: (h, w, 3) or (h, w, 1), multiplied with the colour; on a face of four corners its first row lies along
            the first edge; elsewhere it is not used.
        glow: 0..1, how much the surface shines by itself.
        grain: amplitude of the noise on the colour.
        gloss: 0..1, how much it mirrors.
    """

    colour: tuple[float, float, float]
    texture: Float | None = None
    glow: float = 0.0
    grain: float = 0.04
    gloss: float = 0.0


def yaw_matrix(yaw: float) -> Float:
    """Turn things that face the camera (towards -z): `points @ yaw_matrix(yaw)` for (n, 3) points.

    Positive angles turn the front to the picture's right.
    """
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


@dataclass(slots=True)
class _Patch:
    """A rectangle of the buffers, and which of its pixels a primitive covers, with its depth there."""

    rows: slice
    columns: slice
    inside: Mask
    depth: Float


@dataclass(slots=True)
class Canvas:
    """Buffers of a picture's size times `oversample`.

    Attributes:
        camera: of the finished picture.
        rng: of the grain.
        oversample: buffer pixels a picture pixel, on each axis.
        albedo: (H, W, 3) 0..1 RGB.
        normal: (H, W, 3) unit, world; 0 where there is sky.
        depth: (H, W) metres; infinite where there is sky.
        glow: (H, W) 0..1.
        gloss: (H, W) 0..1.
        ids: (H, W) owners; 0 is the place.
    """

    camera: Camera
    rng: np.random.Generator
    oversample: float = 1.5
    view: Camera = field(init=False)
    albedo: Float = field(init=False, repr=False)
    normal: Float = field(init=False, repr=False)
    depth: Float = field(init=False, repr=False)
    glow: Float = field(init=False, repr=False)
    gloss: Float = field(init=False, repr=False)
    ids: npt.NDArray[np.int16] = field(init=False, repr=False)
    _whole: dict[int, Mask] = field(init=False, repr=False, default_factory=dict)
    _outline: dict[int, npt.NDArray[np.uint8]] = field(init=False, repr=False, default_factory=dict)
    _directions: Float = field(init=False, repr=False)
    _noise: Float = field(init=False, repr=False)
    _owners: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.view = self.camera.scaled(self.oversample)
        shape = (self.view.height, self.view.width)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.depth = np.full(shape, np.inf, np.float32)
        self.glow = np.zeros(shape, np.float32)
        self.gloss = np.zeros(shape, np.float32)
        self.ids = np.zeros(shape, np.int16)
        self._directions = self.view.rays().astype(np.float32)
        self._noise = self.rng.standard_normal(shape, np.float32)

    def owner(self) -> int:
        """A number for a new thing."""
        self._owners += 1
        return self._owners

    def face(self, corners: Float, paint: Paint, owner: int = 0) -> None:
        """A flat convex polygon.

        Args:
            corners: (n, 3) world points in order around it; either winding.
            paint: a texture needs four corners.
            owner: whose it is.
        """
        corners = np.asarray(corners, np.float32)
        kept = _in_front(corners, self.view)
        if len(kept) < 3:
            return
        pixels, _ = self.view.project(kept)
        if owner:
            self._outline_polygon(pixels, owner)
        patch = self._polygon(pixels)
        normal = _normal(corners, self.view)
        if patch is None or normal is None:
            return
        plane = float(normal @ (corners[0] - self.view.position))
        slope = self._rays(patch) @ normal
        # A plane's distance along a ray: exact for each pixel, where interpolating the corners' depths would not be.
        with np.errstate(divide="ignore", invalid="ignore"):
            patch.depth = np.where(np.abs(slope) > 1e-9, plane / slope, np.inf).astype(np.float32)
        patch.inside &= patch.depth > 0
        # A pixel on the edge of a face that is seen edge-on lies beside it, where its plane may be metres away.
        reach = self.view.to_camera(kept)[:, 2]
        patch.depth = np.clip(patch.depth, reach.min(), reach.max())
        colour = self._colour(patch, paint)
        if paint.texture is not None and len(corners) == 4:
            colour = colour * self._texture(patch, corners, paint.texture)
        self._put(patch, colour, np.broadcast_to(normal, colour.shape), paint, owner)

    def limb(
        self,
        start: Sequence[float] | Float,
        end: Sequence[float] | Float,
        start_radius: float,
        end_radius: float,
        paint: Paint,
        owner: int = 0,
    ) -> None:
        """A rounded limb between two points, a ball where they are equal; radii in metres."""
        ends = np.array([start, end], np.float32)
        radii = np.array([start_radius, end_radius], np.float32)
        pixels, depth = self.view.project(ends)
        if (depth < NEAR_M).any():
            return
        spread = radii * self.view.focal / depth
        if owner:
            self._outline_limb(pixels, spread, owner)
        patch = self._around(pixels, spread)
        if patch is None:
            return
        u, v = self._grid(patch)
        axis = pixels[1] - pixels[0]
        length = float(np.hypot(*axis))
        along = ((u - pixels[0, 0]) * axis[0] + (v - pixels[0, 1]) * axis[1]) / max(length * length, 1e-6)
        along = np.clip(along, 0.0, 1.0)
        offset_u, offset_v = u - pixels[0, 0] - along * axis[0], v - pixels[0, 1] - along * axis[1]
        radius = spread[0] + (spread[1] - spread[0]) * along
        offset_u, offset_v = offset_u / radius, offset_v / radius
        square = offset_u**2 + offset_v**2
        patch.inside = square <= 1.0
        bulge = np.sqrt(np.maximum(1.0 - square, 0.0))
        inverse = 1 / depth[0] + (1 / depth[1] - 1 / depth[0]) * along  # straight lines are straight in 1 / depth
        metres = radii[0] + (radii[1] - radii[0]) * along
        patch.depth = (1 / inverse - bulge * metres).astype(np.float32)
        normal = (
            offset_u[..., None] * self.view.right
            + offset_v[..., None] * self.view.down
            - bulge[..., None] * self.view.forward
        )
        self._put(patch, self._colour(patch, paint), normal.astype(np.float32), paint, owner)

    def box(
        self,
        centre: Sequence[float] | Float,
        size: Sequence[float],
        yaw: float,
        paint: Paint | Mapping[str, Paint],
        owner: int = 0,
    ) -> None:
        """A block on its bottom's centre.

        Args:
            centre: (3,) world, of the bottom.
            size: width, height and length in metres; its front faces the camera at yaw 0.
            yaw: radians.
            paint: of all faces, or of `front`, `back`, `left`, `right` and `top`, as seen by somebody who looks at its
                front; a face that has none is not drawn.
            owner: whose it is.
        """
        width, height, length = size
        x, z = width / 2, length / 2
        corners = {
            "front": [(-x, height, -z), (x, height, -z), (x, 0, -z), (-x, 0, -z)],
            "back": [(x, height, z), (-x, height, z), (-x, 0, z), (x, 0, z)],
            "left": [(-x, height, z), (-x, height, -z), (-x, 0, -z), (-x, 0, z)],
            "right": [(x, height, -z), (x, height, z), (x, 0, z), (x, 0, -z)],
            "top": [(-x, height, z), (x, height, z), (x, height, -z), (-x, height, -z)],
        }
        turn, place = yaw_matrix(yaw), np.asarray(centre, np.float32)
        for name, points in corners.items():
            painted = paint if isinstance(paint, Paint) else paint.get(name)
            if painted is not None:
                self.face(np.array(points, np.float32) @ turn + place, painted, owner)

    def mask(self, *owners: int) -> Mask:
        """(H, W) where one of them can be seen."""
        return np.isin(self.ids, owners)

    def visible(self, *owners: int) -> float:
        """Share of their own pixels that nothing else hides and no edge of the picture cuts off, 0..1."""
        whole = [self._whole[owner] for owner in owners if owner in self._whole]
        if not whole:
            return 0.0
        unhidden = _share(self.mask(*owners), np.logical_or.reduce(whole))
        outline = np.maximum.reduce([self._outline[owner] for owner in owners if owner in self._outline])
        height, width = (side // _COARSE for side in self.ids.shape)
        return unhidden * _share(outline[height : 2 * height, width : 2 * width], outline)

    def label_box(self, *owners: int) -> Box | None:
        """The box, in picture pixels, around what can be seen of them; None where nothing can."""
        seen = self.mask(*owners)
        columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
        if not len(columns):
            return None
        across, up = self.camera.width / self.view.width, self.camera.height / self.view.height
        left, right = columns[0] * across, (columns[-1] + 1) * across
        return Box(float(left), float(rows[0] * up), float(right), float((rows[-1] + 1) * up))

    def _polygon(self, pixels: Float) -> _Patch | None:
        if len(pixels) < 3:
            return None
        patch = self._rectangle(pixels.min(axis=0), pixels.max(axis=0))
        if patch is None:
            return None
        filled = patch.inside.astype(np.uint8)
        _fill(filled, pixels - np.array([patch.columns.start + 0.5, patch.rows.start + 0.5], np.float32))
        patch.inside = filled.astype(bool)
        return patch

    def _around(self, pixels: Float, spread: Float) -> _Patch | None:
        return self._rectangle((pixels - spread[:, None]).min(axis=0), (pixels + spread[:, None]).max(axis=0))

    def _rectangle(self, low: Float, high: Float) -> _Patch | None:
        left, top = max(math.floor(low[0]), 0), max(math.floor(low[1]), 0)
        right, bottom = min(math.ceil(high[0]) + 1, self.view.width), min(math.ceil(high[1]) + 1, self.view.height)
        if right <= left or bottom <= top:
            return None
        shape = (bottom - top, right - left)
        return _Patch(slice(top, bottom), slice(left, right), np.zeros(shape, bool), np.zeros(shape, np.float32))

    def _grid(self, patch: _Patch) -> tuple[Float, Float]:
        """(1, w) and (h, 1) pixel centres."""
        u = np.arange(patch.columns.start, patch.columns.stop, dtype=np.float32) + np.float32(0.5)
        v = np.arange(patch.rows.start, patch.rows.stop, dtype=np.float32) + np.float32(0.5)
        return u[None, :], v[:, None]

    def _rays(self, patch: _Patch) -> Float:
        return self._directions[patch.rows, patch.columns]

    def _colour(self, patch: _Patch, paint: Paint) -> Float:
        grain = self._noise[patch.rows, patch.columns, None] * paint.grain
        return np.asarray(np.array(paint.colour, np.float32) * (1.0 + grain), np.float32)

    def _texture(self, patch: _Patch, corners: Float, texture: Float) -> Float:
        """The texture as the face shows it: a homography of the face's own plane, so that perspective is right."""
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        # Corners of a trapezium form no parallelogram: its texture is cut by the slanted edges.
        solve = np.linalg.pinv(np.stack([across, down], axis=1)).T.astype(np.float32)
        place = (self._rays(patch) @ solve) * np.where(patch.inside, patch.depth, 0)[..., None]
        return _sampled(texture, place + (self.view.position - corners[0]) @ solve, patch.inside)

    def _put(self, patch: _Patch, colour: Float, normal: Float, paint: Paint, owner: int) -> None:
        if owner:
            if owner not in self._whole:
                self._whole[owner] = np.zeros(self.ids.shape, bool)
            self._whole[owner][patch.rows, patch.columns] |= patch.inside
        depth = self.depth[patch.rows, patch.columns]
        drawn = patch.inside & (patch.depth < depth) & (patch.depth > NEAR_M)
        if not drawn.any():
            return
        here = (patch.rows, patch.columns)
        np.copyto(depth, patch.depth, where=drawn)
        np.copyto(self.albedo[here], np.clip(colour, 0, 1), where=drawn[..., None])
        np.copyto(self.normal[here], normal, where=drawn[..., None])
        self.glow[here][drawn] = paint.glow
        self.gloss[here][drawn] = paint.gloss
        self.ids[here][drawn] = owner

    def _coarse(self, pixels: Float, owner: int) -> tuple[npt.NDArray[np.uint8], Float]:
        """The outline of an owner, three pictures wide and high, and pixels in it."""
        height, width = (side // _COARSE for side in self.ids.shape)
        if owner not in self._outline:
            self._outline[owner] = np.zeros((3 * height, 3 * width), np.uint8)
        outline = self._outline[owner]
        return outline, (pixels / _COARSE + np.array([width, height])).astype(np.float32)

    def _outline_polygon(self, pixels: Float, owner: int) -> None:
        _fill(*self._coarse(pixels, owner))

    def _outline_limb(self, pixels: Float, spread: Float, owner: int) -> None:
        outline, ends = self._coarse(pixels, owner)
        axis = ends[1] - ends[0]
        across = np.array([-axis[1], axis[0]], np.float32) / max(float(np.hypot(*axis)), 1e-6)
        sides = [ends[i] + sign * across * spread[i] / _COARSE for i, sign in ((0, 1), (1, 1), (1, -1), (0, -1))]
        _fill(outline, np.array(sides, np.float32))
        for (x, y), radius in zip(np.clip(ends, -_FAR_PX, _FAR_PX).tolist(), (spread / _COARSE).tolist(), strict=True):
            cv2.circle(outline, (round(x), round(y)), max(round(radius), 0), 1, cv2.FILLED)


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> float:
    """Pixels of one as a share of those of the other."""
    return int(np.count_nonzero(part)) / max(int(np.count_nonzero(whole)), 1)


def _fill(buffer: npt.NDArray[np.uint8], pixels: Float) -> None:
    """A convex polygon in pixels whose first one's centre is 0."""
    corners = np.clip(pixels, -_FAR_PX, _FAR_PX)
    cv2.fillConvexPoly(buffer, np.round(corners * (1 << _SHIFT)).astype(np.int32), 1, cv2.LINE_8, _SHIFT)


def _in_front(corners: Float, view: Camera) -> Float:
    """The part of a polygon that lies before the lens (Sutherland and Hodgman 1974, one plane)."""
    depth = view.to_camera(corners)[:, 2] - NEAR_M
    if (depth >= 0).all():
        return corners
    kept: list[Float] = []
    for index in range(len(corners)):
        here, there = corners[index - 1], corners[index]
        a, b = float(depth[index - 1]), float(depth[index])
        if (a >= 0) != (b >= 0):
            kept.append(here + (there - here) * (a / (a - b)))
        if b >= 0:
            kept.append(there)
    return np.array(kept, np.float32).reshape(-1, 3)


def _normal(corners: Float, view: Camera) -> Float | None:
    """(3,) unit normal of a plane, on the side that is seen; None where the corners span none."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    length = float(np.linalg.norm(normal))
    if length < 1e-12:
        return None
    normal = (normal / length).astype(np.float32)
    return normal if float(normal @ (view.position - corners[0])) >= 0 else -normal


def _sampled(texture: Float, place: Float, inside: Mask) -> Float:
    """A texture at (h, w, 2) places, 0..1 across it, shrunk first where the picture is coarser than the texture."""
    sides = [texture.shape[1], texture.shape[0]]
    for number, axis in enumerate((1, 0)):
        seen = inside[:, 1:] if axis else inside[1:]
        steps = np.abs(np.diff(place[..., number], axis=axis))[seen] * sides[number]
        step = float(np.median(steps)) if steps.size else 1.0
        sides[number] = max(round(sides[number] / max(step, 1.0)), 1)
    width, height = sides
    if (height, width) != texture.shape[:2]:
        texture = np.asarray(cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    points = np.clip(place * np.array(sides, np.float32) - np.float32(0.5), -1.0, max(sides)).astype(np.float32)
    across, down = np.ascontiguousarray(points[..., 0]), np.ascontiguousarray(points[..., 1])
    shown = cv2.remap(texture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shown[..., None] if shown.ndim == 2 else shown, np.float32)
