"""SigLIP classifiers: arithmetic against a plainer account of it and against transformers, and what is refused."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.conversion import card_for  # noqa: E402
from hearthwatch.artifacts.checkpoint import read_checkpoint  # noqa: E402
from hearthwatch.errors import LoadFailed, WeightsInvalid  # noqa: E402
from hearthwatch.models.demographics import DemographicsAdapter  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.clip_layers import TransformerPlan  # noqa: E402
from hearthwatch.networks.export import export_onnx  # noqa: E402
from hearthwatch.networks.siglip import SIGLIP_KEY, SigLIP, SigLIPPlan, siglip_from_state_dict  # noqa: E402
from hearthwatch.runtimes.openvino import OpenVINOEngine  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import Arrays, Graph, noise, outputs_of, worst  # noqa: E402
from small_transformers import SIGLIP_CONFIG, SIGLIP_PLAN, siglip_config, siglip_tensors  # noqa: E402
from torch_by_hand import save_safetensors  # noqa: E402

#: Sides of the small network's input.
SIDE = SIGLIP_PLAN.input_size[0]


def test_the_vision_tower_of_siglip_base_has_the_published_number_of_parameters() -> None:
    """The published 92,884,224 (vision tower of google/siglip-base-patch16-224) less its pooling by attention."""
    base = SigLIPPlan(2, 14, 16, TransformerPlan(768, 12, 12, 3072, "gelu_pytorch_tanh", 1e-6))
    with torch.device("meta"):
        network = SigLIP(base)
    width = 768
    pooling = width + 4 * (width**2 + width) + 2 * width + 2 * width * 3072 + width + 3072
    assert sum(parameter.numel() for parameter in network.vision_model.parameters()) == 92_884_224 - pooling
    assert base.input_size == (224, 224)


@pytest.mark.parametrize("activation", ["gelu", "gelu_pytorch_tanh"])
def test_a_siglip_computes_what_the_papers_say(activation: str) -> None:
    tensors = siglip_tensors()
    network = build_network(tensors, config=siglip_config(hidden_act=activation), file="a folder")
    assert (network.kind, network.input_size, network.stride) == ("siglip", (SIDE, SIDE), 8)
    assert network.output_names == ("logits",)
    x = noise(2, SIDE, SIDE)
    assert worst(outputs_of(network, x)[0], plain_siglip(tensors, x, 2, activation)) < 1e-4


def plain_siglip(tensors: Arrays, pixel_values: Float, heads: int, activation: str) -> Float:
    """SigLIP's classifier written once more, with numpy, from tensors by name."""
    t = {key.removeprefix("vision_model."): array.astype(np.float64) for key, array in tensors.items()}
    erf = np.vectorize(math.erf)
    bends: dict[str, Any] = {
        "gelu": lambda v: v * (1 + erf(v / np.sqrt(2))) / 2,
        "gelu_pytorch_tanh": lambda v: v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))) / 2,
    }

    def linear(x: Any, name: str) -> Any:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def normed(x: Any, name: str) -> Any:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    kernel = t["embeddings.patch_embedding.weight"]
    side = kernel.shape[-1]
    answers = []
    for picture in pixel_values.astype(np.float64):
        rows, columns = picture.shape[1] // side, picture.shape[2] // side
        patches = [
            (kernel * picture[:, r * side : (r + 1) * side, c * side : (c + 1) * side]).sum(axis=(1, 2, 3))
            + t["embeddings.patch_embedding.bias"]
            for r in range(rows)
            for c in range(columns)
        ]
        x = np.stack(patches) + t["embeddings.position_embedding.weight"]
        for layer in range(SIGLIP_PLAN.transformer.layers):
            at = f"encoder.layers.{layer}"
            y = normed(x, f"{at}.layer_norm1")
            query, key, value = (np.split(linear(y, f"{at}.self_attn.{name}_proj"), heads, axis=1) for name in "qkv")
            taken = []
            for q, k, v in zip(query, key, value, strict=True):
                scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
                taken.append(scores / scores.sum(axis=1, keepdims=True) @ v)
            x = x + linear(np.concatenate(taken, axis=1), f"{at}.self_attn.out_proj")
            y = bends[activation](linear(normed(x, f"{at}.layer_norm2"), f"{at}.mlp.fc1"))
            x = x + linear(y, f"{at}.mlp.fc2")
        answers.append(linear(normed(x, "post_layernorm").mean(axis=0), "classifier"))
    return np.array(answers, np.float32)


def test_the_pooling_that_classifies_nothing_is_left_out() -> None:
    tensors = siglip_tensors()
    idle = {"vision_model.head.probe": np.zeros((1, 1, 16), np.float32), "vision_model.head.mlp.fc1.bias": np.zeros(8)}
    plain, more = (build_network(t, config=SIGLIP_CONFIG, file="a folder") for t in (tensors, tensors | idle))
    assert worst(outputs_of(plain, noise(1, SIDE, SIDE))[0], outputs_of(more, noise(1, SIDE, SIDE))[0]) == 0


def test_what_the_configuration_leaves_out_is_transformers_default() -> None:
    plan = SigLIPPlan(3, 2, 8, TransformerPlan(24, 1, 12, 32, "gelu_pytorch_tanh", 1e-6))
    assert siglip_from_state_dict(siglip_tensors(plan), {"vision_config": {}}).plan == plan
    assert siglip_from_state_dict(siglip_tensors(plan), {}).plan == plan


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (None, "a folder is a SigLIP classifier without its config.json"),
        (siglip_config(num_attention_heads=3), "width 16 has 3 heads: impossible"),
        (siglip_config(num_attention_heads="2"), "num_attention_heads = '2'"),
        (siglip_config(num_attention_heads=True), "num_attention_heads = 'True'"),
        (siglip_config(hidden_act="swish"), "hidden_act = 'swish'; allowed: quick_gelu or gelu"),
        (siglip_config(layer_norm_eps=0), "layer_norm_eps = '0'"),
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_named(config: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(WeightsInvalid, match=told):
        build_network(siglip_tensors(), config=config, file="a folder")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classifier.weight": None}, "classifier.weight is missing"),
        ({"classifier.bias": None}, r"classifier\.bias missing"),
        ({"vision_model.post_layernorm.weight": None}, r"post_layernorm\.weight missing"),
        ({"vision_model.encoder.layers.0.mlp.fc1.weight": None}, "mlp.fc1.weight is missing"),
        ({"vision_model.embeddings.position_embedding.weight": np.zeros((15, 16), np.float32)}, "15 positions are no"),
        ({"vision_model.embeddings.position_embedding.weight": None}, "position_embedding.weight is missing"),
        ({"vision_model.embeddings.patch_embedding.weight": np.zeros((16, 192), np.float32)}, r"\(16, 192\), not"),
        ({"vision_model.embeddings.patch_embedding.weight": np.zeros((16, 3, 8, 4), np.float32)}, "not .width, 3"),
        ({"vision_model.embeddings.patch_embedding.weight": None}, r"is \(\), not"),
        ({"vision_model.encoder.layers.0.mlp.fc2.weight": np.zeros((16, 9), np.float32)}, r"\(16, 9\) and should be"),
        ({"text_model.embeddings.token_embedding.weight": np.zeros((9, 16), np.float32)}, "token_embedding.weight unk"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: Arrays, told: str) -> None:
    tensors = {key: array for key, array in (siglip_tensors() | change).items() if array is not None}
    with pytest.raises(WeightsInvalid, match=told):
        build_network(tensors, config=SIGLIP_CONFIG, file="a folder")


def test_a_siglip_that_compares_pictures_with_texts_is_no_clip_and_no_classifier() -> None:
    tensors = {key: array for key, array in siglip_tensors().items() if not key.startswith("classifier.")}
    tensors["text_model.embeddings.token_embedding.weight"] = np.zeros((9, 16), np.float32)
    with pytest.raises(WeightsInvalid, match=r"no SigLIP classifier: its tensor classifier\.weight is missing"):
        build_network(tensors, config=SIGLIP_CONFIG, file="a folder")


def test_its_card_does_not_call_it_a_clip(tmp_path: Path) -> None:
    assert SIGLIP_KEY in siglip_tensors()
    save_safetensors(tmp_path / "model.safetensors", siglip_tensors())
    (tmp_path / "config.json").write_text(json.dumps(SIGLIP_CONFIG))
    card = card_for(read_checkpoint(tmp_path), DemographicsAdapter)
    assert card.network is None
    assert card.input is not None
    assert card.input.size == (SIDE, SIDE)


@pytest.mark.slow
def test_it_exports_with_a_dynamic_batch_and_answers_alike(tmp_path: Path) -> None:
    network = build_network(siglip_tensors(), config=SIGLIP_CONFIG, file="a folder")
    path = tmp_path / "network.onnx"
    export_onnx(network, path, input_name="pixel_values", output_names=["logits"], size=(SIDE, SIDE))
    for graph in (Graph(path), Graph(path, OpenVINOEngine())):
        for batch in (1, 3):
            pixel_values = noise(batch, SIDE, SIDE)
            np.testing.assert_allclose(
                graph(pixel_values)[0], outputs_of(network, pixel_values)[0], rtol=1e-4, atol=1e-3
            )
    with pytest.raises(LoadFailed, match=f"the network takes {SIDE} x {SIDE} px and no other size"):
        export_onnx(network, path, input_name="x", output_names=["logits"], size=(SIDE + 8, SIDE + 8))


# Beside transformers


@pytest.mark.slow
def test_transformers_own_network_gives_the_same_logits(tmp_path: Path) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is the reference here and not among the project's requirements"
    )
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 80}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(5)
        config = transformers.SiglipConfig(vision_config=sizes | {"image_size": 64, "patch_size": 16}, num_labels=5)
        network = transformers.SiglipForImageClassification(config).eval()
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "position_embedding.weight")):
                torch.nn.init.normal_(parameter, 0.0, 0.3)
        network.save_pretrained(tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    assert any(key.startswith("vision_model.head.") for key in checkpoint.tensors)
    ours = build_network(checkpoint.tensors, config=checkpoint.config, file="a folder")
    x = noise(3, 64, 64)
    with torch.inference_mode():
        theirs = network(torch.from_numpy(x)).logits.numpy()
    assert worst(outputs_of(ours, x)[0], theirs) < 1e-5
