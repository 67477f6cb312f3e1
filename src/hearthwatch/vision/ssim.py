"""Structural similarity of two grey pictures (Wang, Bovik, Sheikh, Simoncelli 2004, IEEE Trans. Image Processing 13).

In every window brightness, contrast and structure are compared; 1 is the same, 0 has nothing in common, below 0 is the
negative. Windows are Gaussian, 11 x 11 px with sigma 1.5, and only those that lie wholly inside count, as in the
authors' own program.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float64]

#: Sides of a window in pixels, and its sigma (section III.C).
WINDOW, SIGMA = 11, 1.5
#: Pixels at each side that are the middle of no whole window.
MARGIN = WINDOW // 2
#: For values of 0..255, with the paper's K1 = 0.01 and K2 = 0.03: they keep the ratios apart from 0 / 0.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim_map(first: npt.ArrayLike, second: npt.ArrayLike) -> Grey:
    """The similarity around each pixel.

    Args:
        first: (h, w) of 0..255, at least 11 x 11.
        second: likewise, of the same shape.

    Returns:
        (h - 10, w - 10) in -1..1; its upper left value is that around pixel (5, 5).

    Raises:
        ValueError: different shapes, or no whole window.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.shape != y.shape or x.ndim != 2 or min(x.shape) < WINDOW:
        raise ValueError(f"pictures of {x.shape} and {y.shape}; both must be one shape, {WINDOW} x {WINDOW} or larger")
    mean_x, mean_y = _mean(x), _mean(y)
    variances = _mean(x * x) - mean_x**2 + _mean(y * y) - mean_y**2
    covariance = _mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    # Rounding leaves an even picture a variance of -1e-12 or so; the clip takes it out of the answer.
    return np.clip(luminance * (2 * covariance + _C2) / (variances + _C2), -1.0, 1.0)


def informative(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Around which pixels at least one of the two shows something: (h - 10, w - 10).

    Elsewhere both variances are below the paper's C2, 58.5 grey levels squared: SSIM is then near 1 whatever is seen,
    and two bare skies are alike. Pictures as for `ssim_map`.
    """
    variances = [_mean(x * x) - _mean(x) ** 2 for x in (np.asarray(first, np.float64), np.asarray(second, np.float64))]
    return np.maximum(*variances) >= _C2


def ssim(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Mean of `ssim_map`, in -1..1; raises as it does."""
    return float(ssim_map(first, second).mean())


def _mean(values: Grey) -> Grey:
    """Weighted mean of each whole window."""
    smooth = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)
    return np.asarray(smooth, np.float64)[MARGIN:-MARGIN, MARGIN:-MARGIN]
