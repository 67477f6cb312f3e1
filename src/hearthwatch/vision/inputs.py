"""`InputSpec`: how pictures become one network input, as data with the origin of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["NCHW", "NHWC"]
Color = Literal["RGB", "BGR"]
DType = Literal["float32", "uint8"]
Resize = Literal["squash", "letterbox", "aspect", "crop", "box"]
Interpolation = Literal["linear", "antialias", "bicubic"]

#: Mean and standard deviation of ImageNet in RGB order for values in 0..1 (He et al. 2016 and every torchvision model).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One network input: value = (pixel * scale - mean) / std, per channel in the order of `color`.

    Attributes:
        name: the graph's input tensor.
        size: (height, width) in pixels; the largest that there is, where `resize` is `aspect`.
        layout: order of the axes.
        color: order of the channels.
        dtype: element type of the tensor.
        scale: factor on the pixel, before mean and std (1/255 brings 0..255 to 0..1).
        mean: per channel, in the order of `color`.
        std: likewise.
        resize: `squash` ignores the aspect; `letterbox` keeps it and pads to the size; `aspect` keeps it and gives each
            picture an input of its own size, as large as fits into `size`, for graphs that take any; `crop` brings the
            shorter side to the size and takes the middle of the longer one (CLIP's, and transformers'); `box` shows the
            box that is asked about with some of its surroundings at the aspect of `size` (`vision.subject`).
        interpolation: `linear` looks at 2 x 2 pixels (OpenCV's, what YOLO exporters do); `antialias` widens the filter
            when it shrinks (Pillow's bilinear, what torchvision's transforms do); `bicubic` is Pillow's.
        multiple: with `aspect`, both sides are multiples of it (a vision transformer's patch).
        crop_share: with `crop`, the share of the shorter side that is taken too; 0.875 cuts a sixteenth off every side.
        origins: field name to where its value came from (explicit, card, metadata, preprocessor, model default).
    """

    name: str
    size: tuple[int, int]
    layout: Layout = "NCHW"
    color: Color = "RGB"
    dtype: DType = "float32"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Resize = "squash"
    interpolation: Interpolation = "linear"
    multiple: int = 1
    crop_share: float = 1.0
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


def preprocessing_name(spec: InputSpec, usual: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    """What makes two preprocessings the same, as a word: size, resize, filter; the rest where it is not as usual.

    Args:
        spec: of the input.
        usual: mean and std that need no word, of values in 0..1.
    """
    height, width = spec.size
    side = str(height) if height == width else f"{height}x{width}"
    parts = [side, spec.resize, spec.interpolation]
    if (spec.mean, spec.std) != usual:
        parts.append(",".join(f"{value:.4g}" for value in (*spec.mean, *spec.std)))
    if spec.scale != 1 / 255:
        parts.append(f"scale{spec.scale:.4g}")
    if spec.color != "RGB":
        parts.append(spec.color)
    return "-".join(parts)
