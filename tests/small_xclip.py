"""A tiny X-CLIP with seeded weights, and the real base-patch16 zero-shot's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from benchmarks import clip_checkpoint
from benchmarks.clip_checkpoint import Array, Size, Tower, byte_vocabulary, save

from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD

BYTES = len(orjson.loads(byte_vocabulary()[0]))


@dataclass(frozen=True)
class ClipSize:
    """An X-CLIP's sizes.

    Attributes:
        clip: of the two towers.
        frames: of a clip.
        order_layers: of the transformer that reads the frames in order.
        order_heads: of its attention.
        prompt_layers: how often a text looks at the clip.
        prompt_heads: of that attention.
    """

    clip: Size
    frames: int
    order_layers: int = 1
    order_heads: int = 8
    prompt_layers: int = 2
    prompt_heads: int = 8


TINY = ClipSize(Size(Tower(48, 2, 4, 96), Tower(32, 2, 4, 64), 32, 8, 24, BYTES), 5, order_heads=4, prompt_heads=2)
#: microsoft/xclip-base-patch16-zero-shot: 194.9 million weights, 32 frames.
BASE_16 = ClipSize(Size(Tower(768, 12, 12, 3072), Tower(512, 12, 8, 2048), 224, 16, 512, 49408), 32)


def config(size: ClipSize) -> dict[str, Any]:
    """config.json."""
    made = clip_checkpoint.config(size.clip) | {
        "model_type": "xclip", "architectures": ["XCLIPModel"], "prompt_layers": size.prompt_layers,
        "prompt_num_attention_heads": size.prompt_heads, "prompt_alpha": 0.1, "prompt_hidden_act": size.clip.activation,
    }  # fmt: skip
    made["vision_config"] |= {
        "num_frames": size.frames, "mit_hidden_size": size.clip.projection,
        "mit_intermediate_size": 4 * size.clip.projection, "mit_num_hidden_layers": size.order_layers,
        "mit_num_attention_heads": size.order_heads,
    }  # fmt: skip
    return made


def tensors(size: ClipSize, seed: int = 11) -> dict[str, Array]:
    """Those of a CLIP of this size, and what makes it an X-CLIP."""
    random = np.random.default_rng(seed)
    made = {key.replace("pre_layrnorm", "pre_layernorm"): array for key, array in
            clip_checkpoint.tensors(size.clip).items()}  # fmt: skip
    vision, width = size.clip.vision, size.clip.projection

    draw = _Drawing(made, random)
    draw.frames(vision)
    draw.order(width, size.order_layers, size.frames)
    draw.prompts(vision.width, width, size.prompt_layers)
    return made


class _Drawing:
    """Seeded tensors, added to those that there are."""

    def __init__(self, made: dict[str, Array], random: np.random.Generator) -> None:
        self.made, self.random = made, random

    def frames(self, vision: Tower) -> None:
        """What frames tell each other."""
        for layer in range(vision.layers):
            block = f"vision_model.encoder.layers.{layer}"
            self.linear(f"{block}.message_fc", vision.width, vision.width)
            self.norm(f"{block}.message_ln", vision.width)
            self.attention(f"{block}.message_attn", vision.width)

    def order(self, width: int, layers: int, frames: int) -> None:
        """What reads the frames in their order."""
        self.normal("mit.position_embedding", 1, frames, width, scale=0.5)
        for layer in range(layers):
            block = f"mit.encoder.layers.{layer}"
            self.attention(f"{block}.self_attn", width)
            self.norm(f"{block}.layer_norm1", width)
            self.linear(f"{block}.mlp.fc1", 4 * width, width)
            self.linear(f"{block}.mlp.fc2", width, 4 * width)
            self.norm(f"{block}.layer_norm2", width)

    def prompts(self, seen: int, width: int, layers: int) -> None:
        """What a clip changes a text by."""
        self.norm("prompts_visual_layernorm", seen)
        self.normal("prompts_visual_projection", seen, width, scale=seen**-0.5)
        self.norm("prompts_generator.layernorm", width)
        for layer in range(layers):
            block = f"prompts_generator.decoder.{layer}"
            for name in ("k_proj", "v_proj", "q_proj"):
                self.linear(f"{block}.cross_attn.{name}", width, width, bias=False)
            self.linear(f"{block}.cross_attn.proj", width, width)
            self.norm(f"{block}.norm1", width)
            self.norm(f"{block}.norm3", width)
            self.linear(f"{block}.mlp.0", 4 * width, width)
            self.linear(f"{block}.mlp.3", width, 4 * width)
        self.made["prompts_generator.alpha"] = self.random.uniform(0.05, 0.5, width).astype(np.float32)

    def normal(self, key: str, *shape: int, scale: float) -> None:
        drawn = self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        self.made[key] = drawn.astype(np.float32)

    def norm(self, key: str, numbers: int) -> None:
        self.made[f"{key}.weight"] = self.random.uniform(0.8, 1.2, numbers).astype(np.float32)
        self.normal(f"{key}.bias", numbers, scale=0.05)

    def linear(self, key: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        self.normal(f"{key}.weight", outputs, inputs, scale=inputs**-0.5)
        if bias:
            self.normal(f"{key}.bias", outputs, scale=0.05)

    def attention(self, key: str, numbers: int) -> None:
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            self.linear(f"{key}.{name}", numbers, numbers)


def write_checkpoint(
    folder: Path,
    size: ClipSize = TINY,
    weights: dict[str, Array] | None = None,
    *,
    files: tuple[str, str] | None = None,
    without: tuple[str, ...] = (),
    changes: dict[str, Any] | None = None,
) -> Path:
    """A folder in Hugging Face's layout, with a tokeniser of single bytes where none is given.

    Args:
        folder: made where it does not exist.
        size: of the network.
        weights: by name; None seeds them.
        files: `vocab.json` and `merges.txt`.
        without: files that are left out.
        changes: of config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = dict(zip(("vocab.json", "merges.txt"), files or byte_vocabulary(), strict=True))
    texts["config.json"] = orjson.dumps(config(size) | (changes or {})).decode()
    texts["preprocessor_config.json"] = orjson.dumps({
        "do_center_crop": True, "do_normalize": True, "do_resize": True, "feature_extractor_type":
        "VideoMAEFeatureExtractor", "image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD), "resample": 2,
        "size": size.clip.side,
    }).decode()  # fmt: skip
    for name, text in texts.items():
        if name not in without:
            (folder / name).write_text(text, encoding="utf-8")
    save(folder / "model.safetensors", tensors(size) if weights is None else weights)
    return folder
