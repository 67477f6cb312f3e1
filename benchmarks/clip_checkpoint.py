"""Checkpoints of CLIP in Hugging Face's layout with seeded weights, of any size: no published one is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD

Array = np.ndarray[Any, np.dtype[np.float32]]
#: ln(100): where the training of every published CLIP ends.
LOGIT_SCALE = 4.6052


@dataclass(frozen=True)
class Tower:
    """A transformer's sizes."""

    width: int
    layers: int
    heads: int
    inner: int


@dataclass(frozen=True)
class Size:
    """A CLIP's sizes."""

    vision: Tower
    text: Tower
    side: int
    patch: int
    projection: int
    tokens: int
    activation: str = "quick_gelu"
    end: int | None = None


#: openai/clip-vit-large-patch14 (Radford et al. 2021, tables 19 and 20): 427.6 million weights.
VIT_L_14 = Size(Tower(1024, 24, 16, 4096), Tower(768, 12, 12, 3072), 224, 14, 768, 49408)
#: openai/clip-vit-base-patch32, and patrickjohncyh/fashion-clip, which was made of it: 151.3 million weights.
VIT_B_32 = Size(Tower(768, 12, 12, 3072), Tower(512, 12, 8, 2048), 224, 32, 512, 49408)


#: Characters that `byte_vocabulary` has a token for.
CHARACTERS = " !\"#$%&'()*+,-./0123456789:;<=>?@[]^_`abcdefghijklmnopqrstuvwxyz{|}~"


def byte_vocabulary(tokens: int | None = None) -> tuple[str, str]:
    """`vocab.json` and `merges.txt` of a tokeniser of single bytes, without a pair to join.

    Args:
        tokens: how many it has; those that are too many stand for nothing. None: as many as it needs.
    """
    written = [character.replace(" ", "\u0120") for character in CHARACTERS]
    names = [*written, *(f"{character}</w>" for character in written)]
    if tokens is not None:
        names += [f"\u2603{number}" for number in range(tokens - 2 - len(names))]
    names += ["<|startoftext|>", "<|endoftext|>"]
    return orjson.dumps({name: number for number, name in enumerate(names)}).decode(), "#version: 0.2\n"


def config(size: Size) -> dict[str, Any]:
    """config.json."""
    end = size.tokens - 1 if size.end is None else size.end

    def tower(sizes: Tower) -> dict[str, Any]:
        return {
            "hidden_size": sizes.width, "num_hidden_layers": sizes.layers, "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.inner, "hidden_act": size.activation, "layer_norm_eps": 1e-5,
            "projection_dim": size.projection,
        }  # fmt: skip

    vision = tower(size.vision) | {"image_size": size.side, "patch_size": size.patch, "num_channels": 3}
    text = tower(size.text) | {"vocab_size": size.tokens, "max_position_embeddings": 77}
    text |= {"bos_token_id": size.tokens - 2, "eos_token_id": end, "pad_token_id": size.tokens - 1}
    return {
        "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": size.projection,
        "vision_config": vision, "text_config": text, "logit_scale_init_value": 2.6592,
    }  # fmt: skip


def tensors(size: Size, seed: int = 7) -> dict[str, Array]:
    """Seeded weights of such sizes that nothing vanishes and different inputs have different answers."""
    random = np.random.default_rng(seed)
    made: dict[str, Array] = {}

    def matrix(key: str, *shape: int, scale: float | None = None) -> None:
        spread = (1 / float(np.prod(shape[1:]))) ** 0.5 if scale is None else scale
        made[key] = (random.standard_normal(shape, dtype=np.float32) * np.float32(spread)).astype(np.float32)

    def norm(key: str, width: int) -> None:
        made[f"{key}.weight"] = random.uniform(0.8, 1.2, width).astype(np.float32)
        matrix(f"{key}.bias", width, scale=0.05)

    def linear(key: str, outputs: int, inputs: int) -> None:
        matrix(f"{key}.weight", outputs, inputs)
        matrix(f"{key}.bias", outputs, scale=0.05)

    def transformer(start: str, sizes: Tower) -> None:
        for layer in range(sizes.layers):
            block = f"{start}.encoder.layers.{layer}"
            for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
                linear(f"{block}.self_attn.{name}", sizes.width, sizes.width)
            norm(f"{block}.layer_norm1", sizes.width)
            linear(f"{block}.mlp.fc1", sizes.inner, sizes.width)
            linear(f"{block}.mlp.fc2", sizes.width, sizes.inner)
            norm(f"{block}.layer_norm2", sizes.width)

    vision, text = size.vision, size.text
    made["logit_scale"] = np.array(LOGIT_SCALE, np.float32)
    matrix("text_model.embeddings.token_embedding.weight", size.tokens, text.width, scale=1.0)
    matrix("text_model.embeddings.position_embedding.weight", 77, text.width, scale=0.5)
    transformer("text_model", text)
    norm("text_model.final_layer_norm", text.width)
    matrix("vision_model.embeddings.class_embedding", vision.width, scale=0.5)
    matrix("vision_model.embeddings.patch_embedding.weight", vision.width, 3, size.patch, size.patch)
    matrix("vision_model.embeddings.position_embedding.weight", (size.side // size.patch) ** 2 + 1, vision.width,
           scale=0.5)  # fmt: skip
    norm("vision_model.pre_layrnorm", vision.width)
    transformer("vision_model", vision)
    norm("vision_model.post_layernorm", vision.width)
    matrix("visual_projection.weight", size.projection, vision.width)
    matrix("text_projection.weight", size.projection, text.width)
    return made


def preprocessor(size: Size) -> dict[str, Any]:
    """preprocessor_config.json, as openai/clip-vit-large-patch14 has it."""
    return {
        "crop_size": size.side, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(CLIP_MEAN), "image_std": list(CLIP_STD),
        "resample": 3, "size": size.side,
    }  # fmt: skip


def write_checkpoint(
    folder: Path,
    size: Size,
    weights: Mapping[str, Array] | None = None,
    *,
    files: tuple[str, str],
    without: tuple[str, ...] = (),
) -> Path:
    """A folder in Hugging Face's layout.

    Args:
        folder: made where it does not exist.
        size: of the network.
        weights: by name; None seeds them.
        files: `vocab.json` and `merges.txt`.
        without: files that are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = dict(zip(("vocab.json", "merges.txt"), files, strict=True))
    texts["config.json"] = orjson.dumps(config(size)).decode()
    texts["preprocessor_config.json"] = orjson.dumps(preprocessor(size)).decode()
    for name, text in texts.items():
        if name not in without:
            (folder / name).write_text(text, encoding="utf-8")
    save(folder / "model.safetensors", tensors(size) if weights is None else weights)
    return folder


def save(path: Path, weights: Mapping[str, Array]) -> None:
    """A safetensors file, written tensor by tensor: a large one is not held twice."""
    rows: dict[str, Any] = {}
    start = 0
    for name, array in weights.items():
        rows[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    header = orjson.dumps(rows)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for array in weights.values():
            file.write(np.ascontiguousarray(array).tobytes())
