"""ViTs under timm's names: the same network, told apart from what only looks like one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.vit import ViTPlan  # noqa: E402
from hearthwatch.networks.vit_timm import TIMM_EPS, transformers_names  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import Arrays, noise, outputs_of, worst  # noqa: E402
from test_vit import CONFIG, SMALL, tensors_of  # noqa: E402


def timm_tensors(plan: ViTPlan = SMALL) -> Arrays:
    """The seeded network of `test_vit` under timm's names: the rule of the converter, written the other way round."""
    theirs = dict(tensors_of(plan))
    named: Arrays = {
        "cls_token": theirs["vit.embeddings.cls_token"],
        "pos_embed": theirs["vit.embeddings.position_embeddings"],
    }
    for kind in ("weight", "bias"):
        named[f"patch_embed.proj.{kind}"] = theirs[f"vit.embeddings.patch_embeddings.projection.{kind}"]
        named[f"norm.{kind}"] = theirs[f"vit.layernorm.{kind}"]
        named[f"head.{kind}"] = theirs[f"classifier.{kind}"]
        for layer in range(plan.layers):
            at, to = f"vit.encoder.layer.{layer}", f"blocks.{layer}"
            parts = [theirs[f"{at}.attention.attention.{name}.{kind}"] for name in ("query", "key", "value")]
            named[f"{to}.attn.qkv.{kind}"] = np.concatenate(parts)
            named[f"{to}.attn.proj.{kind}"] = theirs[f"{at}.attention.output.dense.{kind}"]
            named[f"{to}.norm1.{kind}"] = theirs[f"{at}.layernorm_before.{kind}"]
            named[f"{to}.norm2.{kind}"] = theirs[f"{at}.layernorm_after.{kind}"]
            named[f"{to}.mlp.fc1.{kind}"] = theirs[f"{at}.intermediate.dense.{kind}"]
            named[f"{to}.mlp.fc2.{kind}"] = theirs[f"{at}.output.dense.{kind}"]
    return named


def plain_timm(tensors: Arrays, pixel_values: Float, heads: int) -> Float:
    """timm's `VisionTransformer` with a class token written once more, with numpy, from its own names."""
    t = {key: array.astype(np.float64) for key, array in tensors.items()}
    erf = np.vectorize(math.erf)

    def linear(x: Any, name: str) -> Any:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def normed(x: Any, name: str) -> Any:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    kernel = t["patch_embed.proj.weight"]
    side, width = kernel.shape[-1], len(kernel)
    answers = []
    for picture in pixel_values.astype(np.float64):
        rows, columns = picture.shape[1] // side, picture.shape[2] // side
        # (3, rows, side, columns, side) to one row of numbers a patch, in the order of the kernel's.
        cut = picture.reshape(3, rows, side, columns, side).transpose(1, 3, 0, 2, 4).reshape(rows * columns, -1)
        patches = cut @ kernel.reshape(width, -1).T + t["patch_embed.proj.bias"]
        x = np.concatenate([t["cls_token"][0], patches]) + t["pos_embed"][0]
        for layer in range(len({key.split(".")[1] for key in t if key.startswith("blocks.")})):
            at = f"blocks.{layer}"
            qkv = linear(normed(x, f"{at}.norm1"), f"{at}.attn.qkv")
            query, key, value = qkv.reshape(len(x), 3, heads, -1).transpose(1, 2, 0, 3)
            scores = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(width // heads))
            taken = scores / scores.sum(axis=-1, keepdims=True) @ value
            x = x + linear(taken.transpose(1, 0, 2).reshape(len(x), width), f"{at}.attn.proj")
            y = linear(normed(x, f"{at}.norm2"), f"{at}.mlp.fc1")
            x = x + linear(y * (1 + erf(y / np.sqrt(2))) / 2, f"{at}.mlp.fc2")
        answers.append(linear(normed(x, "norm")[0], "head"))
    return np.array(answers, np.float32)


def test_it_computes_what_timm_computes() -> None:
    network = build_network(timm_tensors(), config=CONFIG, file="a folder")
    assert (network.kind, network.input_size, network.output_names) == ("vit", (64, 64), ("logits",))
    x = noise(2, 64, 64)
    assert worst(outputs_of(network, x)[0], plain_timm(timm_tensors(), x, 4)) < 1e-4


def test_both_names_make_the_same_network() -> None:
    assert transformers_names(timm_tensors()).keys() == tensors_of().keys()
    ours = build_network(tensors_of(), config=CONFIG | {"layer_norm_eps": TIMM_EPS}, file="a folder")
    renamed = build_network(timm_tensors(), config=CONFIG, file="a folder")
    assert worst(outputs_of(ours, noise(2, 64, 64))[0], outputs_of(renamed, noise(2, 64, 64))[0]) == 0


def test_the_epsilon_is_timms_whatever_a_configuration_for_another_library_says() -> None:
    network = build_network(timm_tensors(), config=CONFIG | {"layer_norm_eps": 1e-12}, file="a folder")
    assert network.module.plan.eps == TIMM_EPS


def test_published_sizes_need_no_configuration() -> None:
    plan = ViTPlan(2, width=192, layers=1, heads=3, inner=64, grid=(2, 2), eps=TIMM_EPS)
    assert build_network(timm_tensors(plan), file="a.safetensors").module.plan == plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dist_token": np.zeros((1, 1, 32), np.float32)}, "dist_token unknown"),
        ({"reg_token": np.zeros((1, 4, 32), np.float32)}, "reg_token unknown"),
        ({"blocks.0.ls1.gamma": np.zeros(32, np.float32)}, r"blocks\.0\.ls1\.gamma unknown"),
        ({"fc_norm.weight": np.zeros(32, np.float32)}, r"fc_norm\.weight unknown"),
        ({"blocks.1.attn.qkv.weight": np.zeros((97, 32), np.float32)}, r"blocks\.1\.attn\.qkv\.weight unknown"),
        ({"blocks.1.attn.qkv.weight": np.zeros((99, 32), np.float32)}, r"query\.weight is \(33, 32\) and should be"),
        ({"blocks.1.attn.qkv.weight": np.zeros((), np.float32)}, r"blocks\.1\.attn\.qkv\.weight unknown"),
        ({"head.weight": None}, r"classifier\.weight is missing"),
    ],
)
def test_a_relative_with_other_parts_is_refused_by_their_names(change: Arrays, told: str) -> None:
    tensors = {key: array for key, array in (timm_tensors() | change).items() if array is not None}
    with pytest.raises(WeightsInvalid, match=told):
        build_network(tensors, config=CONFIG, file="a folder")
