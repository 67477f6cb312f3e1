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
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.clip_layers import ACTIVATIONS, DEFAULT_EPSILON, Patches, Transformer, TransformerPlan
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
#: Width of a head of every CLIP of the paper, where the config does not count heads.
_HEAD_WIDTH = 64


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
    part = tower_config(config, "vision", file=file)
    kept = without_positions(tensors, _PREFIXES["vision"])
    plan = transformer_plan(part, "vision_model.encoder.layers.", kept, file=file)
    size, patch = image_side(part, kept, file=file)
    projection = rows(kept, "visual_projection.weight", file=file, network="CLIP")
    with torch.device("meta"):
        network = VisionTower(plan, size=size, patch=patch, projection=projection)
    fill(network, kept, file=file, network="CLIP's vision tower")
    return network


def text_from_state_dict(
    tensors: Tensors, config: Mapping[str, Any] | None, *, file: str, highest_ends: bool = False
) -> TextTower:
    """The text tower of a checkpoint, filled and ready to infer.

    Args:
        tensors: of the checkpoint.
        config: its config.json.
        file: for messages.
        highest_ends: the highest token of a text is its end, whatever the config says.

    Raises:
        WeightsInvalid: as `vision_from_state_dict`.
    """
    part = tower_config(config, "text", file=file)
    kept = without_positions(tensors, _PREFIXES["text"])
    plan = transformer_plan(part, "text_model.encoder.layers.", kept, file=file)
    end = whole(part, "eos_token_id", _DEFAULT_END, file)
    with torch.device("meta"):
        network = TextTower(
            plan,
            vocabulary=rows(kept, TEXT_KEY, file=file, network="CLIP"),
            length=rows(kept, "text_model.embeddings.position_embedding.weight", file=file, network="CLIP"),
            projection=rows(kept, "text_projection.weight", file=file, network="CLIP"),
            end=None if highest_ends or end == _LEGACY_END else end,
        )
    fill(network, kept, file=file, network="CLIP's text tower")
    return network


def tower_config(config: Mapping[str, Any] | None, tower: Tower, *, file: str) -> Mapping[str, Any]:
    """The config of one tower; what older files have beside it under `…_config_dict` wins, as in the reference.

    Raises:
        WeightsInvalid: there is no config.
    """
    if config is None:
        raise WeightsInvalid(f"{file} is a CLIP without config.json, which says how many heads its attention has")
    flat = config if f"{tower}_config" not in config else {}
    parts = [flat, config.get(f"{tower}_config"), config.get(f"{tower}_config_dict")]
    return {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}


def transformer_plan(
    part: Mapping[str, Any], start: str, tensors: Tensors, *, file: str, heads_key: str = "num_attention_heads"
) -> TransformerPlan:
    """A transformer's sizes, as the tensors have them and the config tells the rest.

    Args:
        part: the config of its tower.
        start: of the names of its layers, up to their numbers.
        tensors: of the checkpoint.
        file: for messages.
        heads_key: what the config calls the number of heads.

    Raises:
        WeightsInvalid: there is no such transformer, or the config does not fit it.
    """
    width = rows(tensors, f"{start}0.layer_norm1.weight", file=file, network="CLIP")
    layers = {key.removeprefix(start).partition(".")[0] for key in tensors if key.startswith(start)}
    heads = whole(part, heads_key, max(1, width // _HEAD_WIDTH), file)
    activation = str(part.get("hidden_act", "quick_gelu"))
    if activation not in ACTIVATIONS:
        raise WeightsInvalid(f"{file} has the activation {activation[:40]!r}; known are {', '.join(ACTIVATIONS)}")
    if width % heads:
        raise WeightsInvalid(f"{file} has {heads} heads in its config, which do not divide its width of {width}")
    inner = rows(tensors, f"{start}0.mlp.fc1.weight", file=file, network="CLIP")
    return TransformerPlan(width, len(layers), heads, inner, activation, epsilon_of(part, file))


def epsilon_of(part: Mapping[str, Any], file: str) -> float:
    """What a tower's layer norms add to the variance.

    Raises:
        WeightsInvalid: the config has another kind of value.
    """
    epsilon = part.get("layer_norm_eps", DEFAULT_EPSILON)
    if not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
        raise WeightsInvalid(f"{file} has the layer norm epsilon {str(epsilon)[:40]} in its config")
    return float(epsilon)


def image_side(part: Mapping[str, Any], tensors: Tensors, *, file: str) -> tuple[int, int]:
    """(pixels of a side of the picture, pixels of a side of a patch) of a vision tower.

    Raises:
        WeightsInvalid: they do not fit the tensors.
    """
    patches = tensors.get("vision_model.embeddings.patch_embedding.weight")
    positions = rows(tensors, "vision_model.embeddings.position_embedding.weight", file=file, network="CLIP")
    patch = int(patches.shape[-1]) if patches is not None and patches.ndim == 4 else 0
    size = whole(part, "image_size", CLIP_INPUT_SIZE[0], file)
    if patch < 1 or size % patch or (size // patch) ** 2 + 1 != positions:
        raise WeightsInvalid(
            f"{file} is no CLIP of {size} px: its patches of {patch} px and its {positions} positions do not fit"
        )
    return size, patch


def whole(part: Mapping[str, Any], key: str, default: int, file: str) -> int:
    """A whole number of a config.

    Raises:
        WeightsInvalid: another value, or one below 1.
    """
    value = part.get(key)
    if value is None:
        return default
    # Not isinstance: true and false are integers too.
    if type(value) is not int or value < 1:
        raise WeightsInvalid(f"{file}: {key} of its config is {str(value)[:40]!r}; a whole number from 1 is expected")
    return value


def without_positions(tensors: Tensors, starts: Sequence[str]) -> Tensors:
    """The tensors whose names begin so, but for the rows of numbers that older files have."""
    return {
        key: array for key, array in tensors.items() if key.startswith(tuple(starts)) and _POSITIONS.search(key) is None
    }


class _VisionModel(nn.Module):
    def __init__(self, plan: TransformerPlan, size: int, patch: int) -> None:
        super().__init__()
        self.embeddings = Patches(plan.width, size, patch)
        self.pre_layrnorm = nn.LayerNorm(plan.width, eps=plan.epsilon)  # the reference's spelling
        self.encoder = Transformer(plan, causal=False)
        self.post_layernorm = nn.LayerNorm(plan.width, eps=plan.epsilon)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(self.pre_layrnorm(self.embeddings(pixel_values)))
        return self.post_layernorm(tokens[:, 0])


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
