"""ViTs under timm's names: the same network as under transformers', with queries, keys and values in one tensor.

Reference  timm's `VisionTransformer` with a class token (Apache-2.0; github.com/huggingface/pytorch-image-models).

Folders that look like transformers' hold such files: transformers knows none of the names, fills every layer at random
and goes on. Here they are renamed, or refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from hearthwatch.networks.weights import Tensors

#: Names that only this layout has all of.
TIMM_KEYS = frozenset({"cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"})
#: Of timm's layer norms. A config.json in transformers' words beside such a file says 1e-12, which nothing was trained
#: with.
TIMM_EPS = 1e-6
_STARTS: Mapping[str, str] = {
    "cls_token": "vit.embeddings.cls_token",
    "pos_embed": "vit.embeddings.position_embeddings",
    "patch_embed.proj.": "vit.embeddings.patch_embeddings.projection.",
    "norm.": "vit.layernorm.",
    "head.": "classifier.",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(norm1|norm2|attn\.proj|attn\.qkv|mlp\.fc1|mlp\.fc2)\.(weight|bias)")
_PARTS: Mapping[str, str] = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
#: In the order of their rows in timm's tensor.
_QUERY_KEY_VALUE = ("query", "key", "value")


def transformers_names(tensors: Tensors) -> Tensors:
    """Tensors of timm's `VisionTransformer` by the names that transformers has for them.

    A name that the network does not have stays as it is, so that the check of the names finds it.
    """
    renamed = {}
    for key, array in tensors.items():
        match = _BLOCK.fullmatch(key)
        if match is None:
            start = next((start for start in _STARTS if key.startswith(start)), "")
            renamed[_STARTS.get(start, "") + key.removeprefix(start)] = array
            continue
        layer, part, kind = match.groups()
        start = f"vit.encoder.layer.{layer}"
        if part in _PARTS:
            renamed[f"{start}.{_PARTS[part]}.{kind}"] = array
        elif array.ndim and len(array) % 3 == 0:
            for name, third in zip(_QUERY_KEY_VALUE, np.split(array, 3), strict=True):
                renamed[f"{start}.attention.attention.{name}.{kind}"] = third
        else:
            renamed[key] = array
    return renamed
