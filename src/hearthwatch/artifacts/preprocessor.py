"""Hugging Face's `preprocessor_config.json`: how a checkpoint's own processor makes pictures into its input.

Three kinds of processor are told apart by what their files say: to a size whatever the aspect (ViT's and SigLIP's),
the shorter side to a size and the middle of the longer one (CLIP's; ConvNeXt's, which ResNets have, leaves out an edge
as well), and to multiples of a patch with the aspect kept (DPT's). Files written before 2022 say `size` as one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from hearthwatch.artifacts.card import CardInput, first_problem
from hearthwatch.errors import WeightsInvalid

PREPROCESSOR_FILE = "preprocessor_config.json"
#: PIL's numbers of the filters that an `InputSpec` knows.
_FILTERS = {2: "antialias", 3: "bicubic"}
_SQUASHING = ("ViTImageProcessor", "ViTFeatureExtractor", "SiglipImageProcessor")
#: Of ConvNeXt's processor: what it keeps where the file does not say, and the size from which it keeps all.
_CONVNEXT_SHARE, _CONVNEXT_WHOLE_PX = 224 / 256, 384


def read_preprocessor(path: Path) -> dict[str, Any]:
    """The fields of an `InputSpec` that the file states; none where there is no file.

    Raises:
        WeightsInvalid: it is no such file, or says what no card may say.
    """
    if not path.is_file():
        return {}
    try:
        config = orjson.loads(path.read_bytes())
        stated = _placing(config) | _arithmetic(config)
        # What a card may not say (a std of 0, a side of a million pixels), this file may not either.
        return CardInput.model_validate(stated).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise WeightsInvalid(f"{path}: {first_problem(error)}") from error
    except (orjson.JSONDecodeError, AttributeError, TypeError, OSError) as error:
        raise WeightsInvalid(f"{path} is not a preprocessor file: {error}") from error


def _arithmetic(config: Mapping[str, Any]) -> dict[str, Any]:
    stated: dict[str, Any] = {}
    if config.get("do_rescale", True) and "rescale_factor" in config:
        stated["scale"] = config["rescale_factor"]
    if config.get("do_normalize", True) and {"image_mean", "image_std"} <= config.keys():
        stated["mean"], stated["std"] = config["image_mean"], config["image_std"]
    return stated


def _placing(config: Mapping[str, Any]) -> dict[str, Any]:
    """Size, resize and filter."""
    stated = _resizing(config)
    if stated and config.get("resample") in _FILTERS:
        stated["interpolation"] = _FILTERS[config["resample"]]
    return stated


def _resizing(config: Mapping[str, Any]) -> dict[str, Any]:
    size = config.get("size")
    if config.get("keep_aspect_ratio"):
        sides = _sides(size)
        return {"resize": "aspect", "multiple": config.get("ensure_multiple_of", 1)} | (
            {"size": sides} if sides else {}
        )
    if _is_convnext(config) and (shortest := _shortest(size)) is not None:
        if shortest >= _CONVNEXT_WHOLE_PX:
            return {"resize": "squash", "size": (shortest, shortest)}
        share = config.get("crop_pct") or _CONVNEXT_SHARE
        return {"resize": "crop", "size": (shortest, shortest), "crop_share": share}
    if config.get("do_center_crop"):
        return _cropping(config)
    sides = _sides(size)
    if sides is None:
        return {}
    # Only of these is it known that a size alone means squashing: exporters of detectors write such files as well.
    return {"size": sides} | ({"resize": "squash"} if _kind(config).startswith(_SQUASHING) else {})


def _cropping(config: Mapping[str, Any]) -> dict[str, Any]:
    """CLIP's way. Nothing where what is cut from is not told, or is smaller than what is cut."""
    shortest, cut = _shortest(config.get("size")), _sides(config.get("crop_size"))
    if shortest is None or cut is None or cut[0] != cut[1] or shortest < cut[0]:
        return {}
    return {"resize": "crop", "size": cut} | ({"crop_share": cut[0] / shortest} if shortest > cut[0] else {})


def _is_convnext(config: Mapping[str, Any]) -> bool:
    return "crop_pct" in config or "ConvNext" in _kind(config)


def _kind(config: Mapping[str, Any]) -> str:
    return str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")


def _sides(size: Any) -> tuple[Any, Any] | None:
    """Height and width."""
    if isinstance(size, Mapping):
        return (size["height"], size["width"]) if {"height", "width"} <= size.keys() else None
    return None if size is None else (size, size)


def _shortest(size: Any) -> int | None:
    """What the shorter side becomes."""
    side = size.get("shortest_edge") if isinstance(size, Mapping) else size
    return side if type(side) is int and side > 0 else None
