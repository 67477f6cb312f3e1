"""Maps of where each joint may be, to joints: the highest point of each map, to a fraction of a cell.

The fraction is that of distribution-aware decoding (Zhang et al. 2020, "DARK", arXiv:1910.06278): near its top a map
looks like a Gaussian, whose logarithm is a parabola, so one step of Newton's method from the highest cell leads there.
In the coordinates of unbiased processing (Huang et al. 2020, "UDP", arXiv:1911.07524) cells and pixels are points: the
first and the last column of a map lie on the first and the last column of the network's input.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float, Ids

#: The blur before the step, which takes out the dents of a network's maps: transformers' processor has this kernel
#: and this sigma (mmpose's default is 17 cells, its configurations for 64 x 48 maps say 11).
_KERNEL, _SIGMA = 11, 0.8
#: What the logarithm is taken of, so that it exists: the same processor's bounds.
_LEAST, _MOST = 0.001, 50.0
#: Keeps a flat map's second derivatives from being 0.
_EPSILON = float(np.finfo(np.float32).eps)
#: Cells that the step may have in each direction. The top of a Gaussian is never more than half a cell from its highest
#: cell, and a blurred one not much more; a longer step comes from a map that has no top, and leads anywhere.
_LONGEST_STEP = 2.0


def decode_heatmaps(heatmaps: Float) -> Float:
    """The joint of each map.

    Args:
        heatmaps: (N, K, h, w) of N persons, h and w at least 1; about 1 at a joint, about 0 elsewhere.

    Returns:
        (N, K, 3) float32: x and y in cells (0 to w - 1, 0 to h - 1), and the height of the map there.
    """
    persons, joints, height, width = heatmaps.shape
    flat = heatmaps.reshape(persons, joints, height * width)
    place = flat.argmax(axis=2)
    rows, columns = place // width, place % width
    heights = np.take_along_axis(flat, place[..., None], axis=2)[..., 0]
    peaks = np.stack([columns, rows, heights], axis=2).astype(np.float32)
    if persons and joints:
        peaks[..., :2] += _steps(heatmaps, rows, columns)
    return peaks


def _steps(heatmaps: Float, rows: Ids, columns: Ids) -> Float:
    """(N, K, 2) x and y from the highest cells to the tops."""
    logs = np.stack([np.log(np.clip(_blurred(maps), _LEAST, _MOST)) for maps in heatmaps])
    around = np.pad(logs, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    person, joint = np.ogrid[: heatmaps.shape[0], : heatmaps.shape[1]]

    def at(right: int, down: int) -> npt.NDArray[np.float64]:
        return np.asarray(around[person, joint, rows + 1 + down, columns + 1 + right], np.float64)

    middle = at(0, 0)
    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    across = at(1, 0) - 2 * middle + at(-1, 0) + _EPSILON
    down = at(0, 1) - 2 * middle + at(0, -1) + _EPSILON
    both = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * middle - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = np.stack([both * slope_y - down * slope_x, both * slope_x - across * slope_y], axis=2)
        step /= (across * down - both**2)[..., None]
    usable = np.all(np.abs(step) <= _LONGEST_STEP, axis=2, keepdims=True)
    return np.where(usable, step, 0.0).astype(np.float32)


def _blurred(maps: Float) -> Float:
    """(K, h, w) blurred, each by itself."""
    channels = np.ascontiguousarray(np.moveaxis(maps, 0, 2))
    blurred = cv2.GaussianBlur(channels, (_KERNEL, _KERNEL), _SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.moveaxis(np.asarray(blurred, np.float32).reshape(channels.shape), 2, 0)
