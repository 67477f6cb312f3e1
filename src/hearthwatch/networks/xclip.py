"""X-CLIP: a clip of several frames, compared with sentences that the clip itself changes.

Paper      Ni et al.: Expanding Language-Image Pretrained Models for General Video Recognition, ECCV 2022
           (arXiv:2208.02816). Section 3.2: frames exchange messages between the layers of CLIP's vision transformer,
           and one more transformer reads the frames in their order. Section 3.3: each sentence looks at what the clip
           shows, and takes a little of it.
Reference  transformers' `XCLIPModel` (Apache-2.0), whose key names and config.json these modules have.
Input      (F, 3, H, W) float32 RGB, the F frames of one clip in their order; and (T, P) float32, the texts as the text
           tower gives them, not scaled to length 1. F is the checkpoint's own number.
Output     (1, P) of the clip and (T, P) of the texts as the clip changed them, not scaled to length 1: `video_embeds`
           and `text_embeds` of the reference before it divides by the length.
Limits     One clip at a time: its frames are the batch. The text tower is CLIP's (`networks.clip`); whatever the config
           says, its highest token ends a text, as in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.clip import epsilon_of, image_side, tower_config, transformer_plan, whole, without_positions
from hearthwatch.networks.clip_layers import (
    ACTIVATIONS,
    Attention,
    Block,
    Patches,
    Transformer,
    TransformerPlan,
)
from hearthwatch.networks.weights import Tensors, fill, rows

#: A name that only this layout has; everything of CLIP is there as well.
XCLIP_KEY = "mit.position_embedding"

_STARTS = ("vision_model.", "visual_projection.", "mit.", "prompts_")
#: The layers of the prompts' two-layer network are that many times as wide as an embedding (section 3.3's reference).
_PROMPT_WIDENING = 4
_DEFAULT_PROMPT_HEADS = 8


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """Sizes of what changes the texts.

    Attributes:
        width: numbers of an embedding.
        layers: how often a text looks at the clip.
        heads: of the attention; they divide the width.
        activation: of the two-layer network, by transformers' name.
        epsilon: of the layer norms of the texts.
    """

    width: int
    layers: int
    heads: int
    activation: str
    epsilon: float


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """Sizes of the whole.

    Attributes:
        vision: the transformer that looks at each frame.
        order: the transformer that reads the frames in their order; its width is that of an embedding.
        prompt: what changes the texts.
        frames: of a clip.
        size: pixels of a side of a frame.
        patch: pixels of a side of a patch.
    """

    vision: TransformerPlan
    order: TransformerPlan
    prompt: PromptPlan
    frames: int
    size: int
    patch: int


class XCLIP(nn.Module):
    """The video tower with what changes the texts."""

    def __init__(self, plan: ClipPlan) -> None:
        super().__init__()
        width, projection = plan.vision.width, plan.prompt.width
        self.plan = plan
        self.vision_model = _FrameModel(plan)
        self.visual_projection = nn.Linear(width, projection, bias=False)
        self.mit = _FramesInOrder(plan)
        self.prompts_visual_layernorm = nn.LayerNorm(width, eps=plan.vision.epsilon)
        self.prompts_visual_projection = nn.Parameter(torch.zeros(width, projection))
        self.prompts_generator = _PromptGenerator(plan.prompt, plan.vision.epsilon)

    def forward(self, pixel_values: torch.Tensor, text_features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(frames, 3, size, size) and (T, P) to (1, P) and (T, P)."""
        wholes, patches = self.vision_model(pixel_values)
        video = self.mit(self.visual_projection(wholes)[None])
        # The mean over the frames before the projection: the same numbers, for a share of the work.
        seen = self.prompts_visual_layernorm(patches).mean(dim=0, keepdim=True) @ self.prompts_visual_projection
        texts = text_features[None]
        return video, (texts + self.prompts_generator(texts, seen))[0]


def xclip_from_state_dict(tensors: Tensors, config: Mapping[str, Any] | None, *, file: str) -> XCLIP:
    """The video tower of a checkpoint, filled and ready to infer.

    Raises:
        WeightsInvalid: a config that does not fit the tensors, or tensors that do not fit the network.
    """
    part = tower_config(config, "vision", file=file)
    kept = without_positions(tensors, _STARTS)
    size, patch = image_side(part, kept, file=file)
    order = transformer_plan(part, "mit.encoder.layers.", kept, file=file, heads_key="mit_num_attention_heads")
    plan = ClipPlan(
        vision=transformer_plan(part, "vision_model.encoder.layers.", kept, file=file),
        order=order,
        prompt=_prompt_plan(config or {}, kept, file),
        frames=_frames(part, kept, file),
        size=size,
        patch=patch,
    )
    if order.width != plan.prompt.width:
        raise WeightsInvalid(
            f"{file} is no X-CLIP: its frames are read in order as {order.width} numbers, and its embeddings have "
            f"{plan.prompt.width}"
        )
    with torch.device("meta"):
        network = XCLIP(plan)
    fill(network, kept, file=file, network="X-CLIP")
    return network


def _frames(part: Mapping[str, Any], tensors: Tensors, file: str) -> int:
    """How many frames a clip has: as many as the checkpoint has places for."""
    places = tensors[XCLIP_KEY].shape
    stated = whole(part, "num_frames", places[1] if len(places) == 3 else 0, file)
    if len(places) != 3 or places[1] != stated:
        raise WeightsInvalid(f"{file} is no X-CLIP of {stated} frames: its tensor {XCLIP_KEY} is {places}")
    return stated


def _prompt_plan(config: Mapping[str, Any], tensors: Tensors, file: str) -> PromptPlan:
    width = rows(tensors, "visual_projection.weight", file=file, network="X-CLIP")
    start = "prompts_generator.decoder."
    layers = {key.removeprefix(start).partition(".")[0] for key in tensors if key.startswith(start)}
    heads = whole(config, "prompt_num_attention_heads", _DEFAULT_PROMPT_HEADS, file)
    activation = str(config.get("prompt_hidden_act", "quick_gelu"))
    if activation not in ACTIVATIONS:
        raise WeightsInvalid(f"{file} has the activation {activation[:40]!r}; known are {', '.join(ACTIVATIONS)}")
    if width % heads:
        raise WeightsInvalid(f"{file} has {heads} heads in its prompts, which do not divide its width of {width}")
    return PromptPlan(width, len(layers), heads, activation, epsilon_of(tower_config(config, "text", file=file), file))


class _FrameModel(nn.Module):
    def __init__(self, plan: ClipPlan) -> None:
        super().__init__()
        width, epsilon = plan.vision.width, plan.vision.epsilon
        self.embeddings = Patches(width, plan.size, plan.patch)
        self.pre_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(_FrameBlock(plan) for _ in range(plan.vision.layers))})
        self.post_layernorm = nn.LayerNorm(width, eps=epsilon)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(F, 3, H, W) to what stands for each frame, (F, width), and its patches, (F, patches, width)."""
        tokens = self.pre_layernorm(self.embeddings(pixel_values))
        for layer in self.encoder["layers"]:
            tokens = layer(tokens)
        return self.post_layernorm(tokens[:, 0]), tokens[:, 1:]


class _FrameBlock(Block):
    """A layer of CLIP in front of which the frames exchange one message each (section 3.2, cross-frame attention)."""

    def __init__(self, plan: ClipPlan) -> None:
        super().__init__(plan.vision, causal=False)
        width = plan.vision.width
        self.message_fc = nn.Linear(width, width)
        self.message_ln = nn.LayerNorm(width, eps=plan.vision.epsilon)
        self.message_attn = Attention(width, plan.vision.heads, causal=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(F, L, width) to the same."""
        message = self.message_fc(tokens[:, 0])[None]  # the frames as one row of tokens
        message = message + self.message_attn(self.message_ln(message))
        told = torch.cat([tokens, message.transpose(0, 1)], dim=1)
        told = told + self.self_attn(self.layer_norm1(told))
        tokens = told[:, :-1]  # a message lasts for one layer
        return tokens + self.mlp(self.layer_norm2(tokens))


class _FramesInOrder(nn.Module):
    """The multi-frame integration transformer."""

    def __init__(self, plan: ClipPlan) -> None:
        super().__init__()
        self.position_embedding = nn.Parameter(torch.zeros(1, plan.frames, plan.order.width))
        self.encoder = Transformer(plan.order, causal=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(1, F, P) to (1, P)."""
        return (self.encoder(frames + self.position_embedding) + frames).mean(dim=1)


class _PromptGenerator(nn.Module):
    """What a clip adds to the texts (section 3.3, video-specific prompting)."""

    def __init__(self, plan: PromptPlan, visual_epsilon: float) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(plan.width, eps=visual_epsilon)
        self.decoder = nn.ModuleList([_PromptLayer(plan) for _ in range(plan.layers)])
        self.alpha = nn.Parameter(torch.zeros(plan.width))

    def forward(self, texts: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(1, T, P) and (1, patches, P) to (1, T, P)."""
        seen = self.layernorm(seen)
        for layer in self.decoder:
            texts = layer(texts, seen)
        return self.alpha * texts


class _PromptLayer(nn.Module):
    def __init__(self, plan: PromptPlan) -> None:
        super().__init__()
        self.cross_attn = _CrossAttention(plan)
        self.norm1 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.norm3 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        inner = plan.width * _PROMPT_WIDENING
        # By the numbers that the reference's row of layers has: activation and dropout are 1 and 2.
        self.mlp = nn.ModuleDict({"0": nn.Linear(plan.width, inner), "3": nn.Linear(inner, plan.width)})
        self.activation = ACTIVATIONS[plan.activation]

    def forward(self, texts: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        texts = texts + self.cross_attn(self.norm1(texts), seen)
        return texts + self.mlp["3"](self.activation(self.mlp["0"](self.norm3(texts))))


class _CrossAttention(nn.Module):
    """Each text looks at what the clip shows."""

    def __init__(self, plan: PromptPlan) -> None:
        super().__init__()
        self.heads = plan.heads
        self.k_proj = nn.Linear(plan.width, plan.width, bias=False)
        self.v_proj = nn.Linear(plan.width, plan.width, bias=False)
        self.q_proj = nn.Linear(plan.width, plan.width, bias=False)
        self.proj = nn.Linear(plan.width, plan.width)

    def forward(self, texts: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for tokens in (self.q_proj(texts), self.k_proj(seen), self.v_proj(seen))
        )
        looked = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(looked.transpose(1, 2).flatten(2))
