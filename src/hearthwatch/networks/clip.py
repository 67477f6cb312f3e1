"""CLIP: a vision tower and a text tower whose embeddings can be compared.

Paper      Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021
           (arXiv:2103.00020); section 2.4, and table 19 and 20 for the sizes. The vision tower is a Vision Transformer
           (Dosovitskiy et al. 2020, arXiv:2010.11929) with one more layer norm in front, the text tower a transformer
           with a causal mask (Radford et al. 2019).
Reference  transformers' `CLIPModel`, whose key names and config.json these modules have.
Input      vision: (N, 3, H, W) float32 RGB, CLIP's mean and std, H and W the config's `image_size`. text: (N, 77) token
           numbers, from the start token to the end token, then padding.
Output     (N, P) float32, not scaled to length 1: what the reference gives for `image_embeds` and `text_embeds` before
           it divides by the length.
Limits     Vision transformers only; the ResNet variants of the paper are other networks. Position embeddings are not
           interpolated to other sizes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.weights import Tensors, fill, rows

Tower = Literal["vision", "text"]

#: Names that only this layout has, by tower.
VISION_KEY = "vision_model.embeddings.class_embedding"
TEXT_KEY = "text_model.embeddings.token_embedding.weight"
#: (height, width) where the config states none.
CLIP_INPUT_SIZE = (224, 224)

_PREFIXES: Mapping[Tower, tuple[str, str]] = {
    "vision": ("vision_model.", "visual_projection."),
    "text": ("text_model.", "text_projection."),
}
#: Older files keep a row of ascending numbers beside the embeddings.
_POSITIONS = re.compile(r"\.position_ids$")
#: transformers wrote 2 into every config until 2023, whatever the end token was; then the highest token ends a text.
_LEGACY_END = 2
_DEFAULT_END = 49407
_DEFAULT_EPSILON = 1e-5
#: Width of a head of every CLIP of the paper, where the config does not count heads.
_HEAD_WIDTH = 64


def _quick_gelu(values: torch.Tensor) -> torch.Tensor:
    """An approximation of GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), with which OpenAI's CLIP was trained."""
    return values * torch.sigmoid(1.702 * values)


_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "quick_gelu": _quick_gelu,
    "gelu": functional.gelu,
}


@dataclass(frozen=True, slots=True)
class TransformerPlan:
    """A transformer's sizes.

    Attributes:
        width: numbers per token.
        layers: blocks.
        heads: of each block's attention; they divide the width.
        inner: width inside a block's two-layer network.
        activation: between the two layers, by transformers' name.
        epsilon: of the layer norms.
    """

    width: int
    layers: int
    heads: int
    inner: int
    activation: str = "quick_gelu"
    epsilon: float = _DEFAULT_EPSILON


class Transformer(nn.Module):
    """Blocks of attention and a two-layer network, each behind a layer norm and beside a shortcut."""

    def __init__(self, plan: TransformerPlan, *, causal: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Block(plan, causal=causal) for _ in range(plan.layers)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to the same."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class VisionTower(nn.Module):
    """Pictures to embeddings.

    Args:
        plan: of the transformer.
        size: pixels of a side of the picture.
        patch: pixels of a side of a patch.
        projection: numbers of an embedding.
    """

    def __init__(self, plan: TransformerPlan, *, size: int, patch: int, projection: int) -> None:
        super().__init__()
        self.vision_model = _VisionModel(plan, size, patch)
        self.visual_projection = nn.Linear(plan.width, projection, bias=False)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, size, size) to (N, projection)."""
        return self.visual_projection(self.vision_model(pixel_values))


class TextTower(nn.Module):
    """Token numbers to embeddings.

    Args:
        plan: of the transformer.
        vocabulary: how many token numbers there are.
        length: tokens of a text.
        projection: numbers of an embedding.
        end: the end token, whose place gives the embedding; None: the highest number of a text is it.
    """

    def __init__(
        self, plan: TransformerPlan, *, vocabulary: int, length: int, projection: int, end: int | None
    ) -> None:
        super().__init__()
        self.text_model = _TextModel(plan, vocabulary, length, end)
        self.text_projection = nn.Linear(plan.width, projection, bias=False)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(N, length) to (N, projection)."""
        return self.text_projection(self.text_model(input_ids))


def vision_from_state_dict(tensors: Tensors, config: Mapping[str, Any] | None, *, file: str) -> VisionTower:
    """The vision tower of a checkpoint, filled and ready to infer.

    Raises:
        WeightsInvalid: a config that does not fit the tensors, or tensors that do not fit the network.
    """
    part = _part(config, "vision", file)
    plan, kept = _plan(part, "vision", tensors, file)
    patches = kept.get("vision_model.embeddings.patch_embedding.weight")
    positions = rows(kept, "vision_model.embeddings.position_embedding.weight", file=file, network="CLIP")
    patch = int(patches.shape[-1]) if patches is not None and patches.ndim == 4 else 0
    size = _whole(part, "image_size", CLIP_INPUT_SIZE[0], file)
    if patch < 1 or size % patch or (size // patch) ** 2 + 1 != positions:
        raise WeightsInvalid(
            f"{file} is no CLIP of {size} px: its patches of {patch} px and its {positions} positions do not fit"
        )
    projection = rows(kept, "visual_projection.weight", file=file, network="CLIP")
    with torch.device("meta"):
        network = VisionTower(plan, size=size, patch=patch, projection=projection)
    fill(network, kept, file=file, network="CLIP's vision tower")
    return network


def text_from_state_dict(tensors: Tensors, config: Mapping[str, Any] | None, *, file: str) -> TextTower:
    """The text tower of a checkpoint, filled and ready to infer.

    Raises:
        WeightsInvalid: as `vision_from_state_dict`.
    """
    part = _part(config, "text", file)
    plan, kept = _plan(part, "text", tensors, file)
    end = _whole(part, "eos_token_id", _DEFAULT_END, file)
    with torch.device("meta"):
        network = TextTower(
            plan,
            vocabulary=rows(kept, TEXT_KEY, file=file, network="CLIP"),
            length=rows(kept, "text_model.embeddings.position_embedding.weight", file=file, network="CLIP"),
            projection=rows(kept, "text_projection.weight", file=file, network="CLIP"),
            end=None if end == _LEGACY_END else end,
        )
    fill(network, kept, file=file, network="CLIP's text tower")
    return network


def _part(config: Mapping[str, Any] | None, tower: Tower, file: str) -> Mapping[str, Any]:
    """The config of one tower; what older files have beside it under `…_config_dict` wins, as in the reference."""
    if config is None:
        raise WeightsInvalid(f"{file} is a CLIP without config.json, which says how many heads its attention has")
    whole = config if f"{tower}_config" not in config else {}
    parts = [whole, config.get(f"{tower}_config"), config.get(f"{tower}_config_dict")]
    return {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}


def _plan(part: Mapping[str, Any], tower: Tower, tensors: Tensors, file: str) -> tuple[TransformerPlan, Tensors]:
    """The transformer's sizes, as the tensors have them and the config tells the rest; and the tower's own tensors."""
    kept = {
        key: array
        for key, array in tensors.items()
        if key.startswith(_PREFIXES[tower]) and _POSITIONS.search(key) is None
    }
    start = f"{tower}_model.encoder.layers."
    width = rows(kept, f"{start}0.layer_norm1.weight", file=file, network="CLIP")
    layers = {key.removeprefix(start).partition(".")[0] for key in kept if key.startswith(start)}
    heads = _whole(part, "num_attention_heads", max(1, width // _HEAD_WIDTH), file)
    activation = str(part.get("hidden_act", "quick_gelu"))
    epsilon = part.get("layer_norm_eps", _DEFAULT_EPSILON)
    if activation not in _ACTIVATIONS:
        raise WeightsInvalid(f"{file} has the activation {activation[:40]!r}; known are {', '.join(_ACTIVATIONS)}")
    if width % heads:
        raise WeightsInvalid(f"{file} has {heads} heads in its config, which do not divide its width of {width}")
    if not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
        raise WeightsInvalid(f"{file} has the layer norm epsilon {str(epsilon)[:40]} in its config")
    inner = rows(kept, f"{start}0.mlp.fc1.weight", file=file, network="CLIP")
    return TransformerPlan(width, len(layers), heads, inner, activation, float(epsilon)), kept


def _whole(part: Mapping[str, Any], key: str, default: int, file: str) -> int:
    value = part.get(key)
    if value is None:
        return default
    # Not isinstance: true and false are integers too.
    if type(value) is not int or value < 1:
        raise WeightsInvalid(f"{file}: {key} of its config is {str(value)[:40]!r}; a whole number from 1 is expected")
    return value


class _VisionModel(nn.Module):
    def __init__(self, plan: TransformerPlan, size: int, patch: int) -> None:
        super().__init__()
        self.embeddings = _Patches(plan.width, size, patch)
        self.pre_layrnorm = nn.LayerNorm(plan.width, eps=plan.epsilon)  # the reference's spelling
        self.encoder = Transformer(plan, causal=False)
        self.post_layernorm = nn.LayerNorm(plan.width, eps=plan.epsilon)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(self.pre_layrnorm(self.embeddings(pixel_values)))
        return self.post_layernorm(tokens[:, 0])


class _Patches(nn.Module):
    """Squares of a picture as tokens, behind one that stands for the whole."""

    def __init__(self, width: int, size: int, patch: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((size // patch) ** 2 + 1, width)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        whole = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([whole, patches], dim=1) + self.position_embedding.weight


class _TextModel(nn.Module):
    def __init__(self, plan: TransformerPlan, vocabulary: int, length: int, end: int | None) -> None:
        super().__init__()
        self.embeddings = _Tokens(plan.width, vocabulary, length)
        self.encoder = Transformer(plan, causal=True)
        self.final_layer_norm = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.end = end

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        tokens = self.final_layer_norm(self.encoder(self.embeddings(input_ids)))
        return torch.where(self._first_end(input_ids)[..., None], tokens, 0.0).sum(dim=1)

    def _first_end(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(N, L) true at the end token of each text, which padding may repeat.

        Not argmax: engines differ in which of several equal values they choose.
        """
        ids = input_ids.to(torch.int32)
        is_end = ids == (ids.amax(dim=1, keepdim=True) if self.end is None else self.end)
        earliest = torch.arange(ids.shape[1], 0, -1, dtype=torch.int32, device=ids.device) * is_end.to(torch.int32)
        return is_end & (earliest == earliest.amax(dim=1, keepdim=True))


class _Tokens(nn.Module):
    def __init__(self, width: int, vocabulary: int, length: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(length, width)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.token_embedding(input_ids) + self.position_embedding.weight[: input_ids.shape[1]]


class _Block(nn.Module):
    def __init__(self, plan: TransformerPlan, *, causal: bool) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.self_attn = _Attention(plan.width, plan.heads, causal=causal)
        self.layer_norm2 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.mlp = _TwoLayers(plan)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        return tokens + self.mlp(self.layer_norm2(tokens))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._split(project(tokens)) for project in (self.q_proj, self.k_proj, self.v_proj))
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out_proj(seen.transpose(1, 2).flatten(2))

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class _TwoLayers(nn.Module):
    def __init__(self, plan: TransformerPlan) -> None:
        super().__init__()
        self.fc1 = nn.Linear(plan.width, plan.inner)
        self.fc2 = nn.Linear(plan.inner, plan.width)
        self.activation = _ACTIVATIONS[plan.activation]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(tokens)))
