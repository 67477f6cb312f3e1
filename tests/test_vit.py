"""ViT: published sizes, arithmetic against a plainer account of it and against transformers, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.conversion import convert  # noqa: E402
from hearthwatch.errors import LoadFailed, WeightsInvalid  # noqa: E402
from hearthwatch.models.demographics import DemographicsAdapter  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.export import export_onnx  # noqa: E402
from hearthwatch.networks.vit import ViT, ViTPlan, vit_from_state_dict  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import Arrays, noise, outputs_of, seeded, worst  # noqa: E402
from torch_by_hand import save_safetensors  # noqa: E402

SMALL = ViTPlan(5, width=32, layers=2, heads=4, inner=48, grid=(4, 4))
CONFIG: dict[str, Any] = {"num_attention_heads": 4, "image_size": 64}


def tensors_of(plan: ViTPlan = SMALL) -> Arrays:
    """Seeded, with a class token, positions and biases that do something."""
    tensors = seeded(ViT(plan))
    random = np.random.default_rng(3)
    for key, array in tensors.items():
        if key.endswith(("bias", "cls_token", "position_embeddings")):
            array[...] = random.normal(0, 0.3, array.shape)
    return tensors


@pytest.mark.parametrize(
    ("plan", "published"),
    [
        (ViTPlan(1000), 86_567_656),
        (ViTPlan(1000, 1024, 24, 16, 4096), 304_326_632),
        (ViTPlan(1000, 768, 12, 12, 3072, (7, 7), 32), 88_224_232),
    ],
    ids=["B/16", "L/16", "B/32"],
)
def test_a_vit_has_the_published_number_of_parameters(plan: ViTPlan, published: int) -> None:
    with torch.device("meta"):
        network = ViT(plan)
    assert sum(parameter.numel() for parameter in network.parameters()) == published
    assert plan.input_size == (224, 224)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_a_vit_computes_what_the_paper_says(activation: str) -> None:
    tensors = tensors_of()
    network = build_network(tensors, config=CONFIG | {"hidden_act": activation}, file="a folder")
    assert (network.kind, network.input_size, network.stride) == ("vit", (64, 64), 16)
    x = noise(2, 64, 64)
    assert worst(outputs_of(network, x)[0], plain_vit(tensors, x, 4, activation)) < 1e-4


def plain_vit(tensors: Arrays, pixel_values: Float, heads: int, activation: str) -> Float:
    """ViT written once more, with numpy, from tensors by name."""
    t = {key.removeprefix("vit."): array.astype(np.float64) for key, array in tensors.items()}
    erf = np.vectorize(__import__("math").erf)
    bends: dict[str, Any] = {
        "gelu": lambda v: v * (1 + erf(v / np.sqrt(2))) / 2,
        "gelu_new": lambda v: v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))) / 2,
        "relu": lambda v: np.maximum(v, 0),
    }

    def linear(x: Any, name: str) -> Any:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def normed(x: Any, name: str) -> Any:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    kernel = t["embeddings.patch_embeddings.projection.weight"]
    side = kernel.shape[-1]
    answers = []
    for picture in pixel_values.astype(np.float64):
        rows, columns = picture.shape[1] // side, picture.shape[2] // side
        patches = [
            (kernel * picture[:, r * side : (r + 1) * side, c * side : (c + 1) * side]).sum(axis=(1, 2, 3))
            + t["embeddings.patch_embeddings.projection.bias"]
            for r in range(rows)
            for c in range(columns)
        ]
        x = np.stack([t["embeddings.cls_token"][0, 0], *patches]) + t["embeddings.position_embeddings"][0]
        for layer in range(len({key.split(".")[2] for key in t if key.startswith("encoder.layer.")})):
            at = f"encoder.layer.{layer}"
            y = normed(x, f"{at}.layernorm_before")
            query, key, value = (
                np.split(linear(y, f"{at}.attention.attention.{name}"), heads, axis=1)
                for name in ("query", "key", "value")
            )
            taken = []
            for q, k, v in zip(query, key, value, strict=True):
                scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
                taken.append(scores / scores.sum(axis=1, keepdims=True) @ v)
            x = x + linear(np.concatenate(taken, axis=1), f"{at}.attention.output.dense")
            y = bends[activation](linear(normed(x, f"{at}.layernorm_after"), f"{at}.intermediate.dense"))
            x = x + linear(y, f"{at}.output.dense")
        answers.append(linear(normed(x, "layernorm")[0], "classifier"))
    return np.array(answers, np.float32)


def test_queries_without_a_bias_are_told_by_the_tensors() -> None:
    tensors = {key: array for key, array in tensors_of().items() if not key.endswith(("query.bias", "key.bias"))}
    tensors = {key: array for key, array in tensors.items() if not key.endswith("value.bias")}
    assert not vit_from_state_dict(tensors, CONFIG).plan.bias


def test_parts_that_classify_nothing_are_left_out() -> None:
    tensors = tensors_of()
    idle = {
        "vit.pooler.dense.weight": np.zeros((32, 32), np.float32),
        "vit.embeddings.mask_token": np.zeros((1, 1, 32), np.float32),
    }
    plain, more = (build_network(t, config=CONFIG, file="a folder") for t in (tensors, tensors | idle))
    assert worst(outputs_of(plain, noise(1, 64, 64))[0], outputs_of(more, noise(1, 64, 64))[0]) == 0


def test_the_published_widths_need_no_configuration() -> None:
    plan = ViTPlan(2, width=192, layers=1, heads=3, inner=64, grid=(2, 2))
    assert vit_from_state_dict(tensors_of(plan), None).plan == plan


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"image_size": 64}, "does not say how many heads a ViT of width 32 has"),
        (CONFIG | {"num_attention_heads": 5}, "width 32 has 5 heads"),
        (CONFIG | {"num_attention_heads": "4"}, "has 4 heads: impossible"),
        (CONFIG | {"num_attention_heads": True}, "has True heads"),
        (CONFIG | {"hidden_act": "swish"}, "activation 'swish'; known are gelu"),
        (CONFIG | {"hidden_act": ["gelu"]}, "activation"),
        (CONFIG | {"layer_norm_eps": "small"}, "layer_norm_eps small"),
        (CONFIG | {"layer_norm_eps": 2}, "layer_norm_eps 2"),
        (CONFIG | {"image_size": [64, 32]}, "positions for 4 x 2 patches"),
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_named(config: dict[str, Any], told: str) -> None:
    with pytest.raises(WeightsInvalid, match=told):
        build_network(tensors_of(), config=config, file="a folder")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classifier.weight": None}, "classifier.weight is missing"),
        ({"vit.layernorm.weight": None}, r"vit\.layernorm\.weight missing"),
        ({"vit.encoder.layer.0.intermediate.dense.weight": None}, "intermediate.dense.weight is missing"),
        ({"vit.embeddings.position_embeddings": np.zeros((1, 13, 32), np.float32)}, "positions for 3 x 3 patches"),
        ({"vit.embeddings.position_embeddings": np.zeros(17, np.float32)}, "positions for 0 x 0 patches"),
        ({"vit.embeddings.position_embeddings": None}, "positions for 0 x 0 patches"),
        ({"vit.embeddings.patch_embeddings.projection.weight": np.zeros((32, 3, 16, 8), np.float32)}, "patch"),
        ({"age_head.0.weight": np.zeros((2, 2), np.float32)}, r"age_head\.0\.weight unknown"),
        ({"vit.encoder.layer.0.output.dense.weight": np.zeros((32, 47), np.float32)}, r"\(32, 47\) and should be"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: Arrays, told: str) -> None:
    tensors = {key: array for key, array in (tensors_of() | change).items() if array is not None}
    with pytest.raises(WeightsInvalid, match=told):
        build_network(tensors, config=CONFIG, file="a folder")


@pytest.mark.slow
def test_another_size_than_its_positions_is_one_sentence(tmp_path: Path) -> None:
    network = build_network(tensors_of(), config=CONFIG, file="a folder")
    with pytest.raises(LoadFailed, match="the network takes 64 x 64 px and no other size"):
        export_onnx(network, tmp_path / "v.onnx", input_name="x", output_names=["logits"], size=(96, 96))


def test_a_network_that_is_a_program_is_refused_with_what_to_take_instead(tmp_path: Path) -> None:
    folder = tmp_path / "age-gender-prediction"
    folder.mkdir()
    heads = {"age_head.weight": np.zeros((1, 32), np.float32), "gender_head.weight": np.zeros((1, 32), np.float32)}
    tensors = {key: array for key, array in tensors_of().items() if not key.startswith("classifier.")}
    save_safetensors(folder / "model.safetensors", tensors | heads)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"auto_map": {"AutoModel": "modeling.AgeGender"}}))
    (folder / "modeling.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(WeightsInvalid, match=r"auto_map.*models pull demographics` fetches onnx-community/fairface"):
        convert(folder, tmp_path / "out.onnx", DemographicsAdapter)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(WeightsInvalid, match=r"classifier\.weight is missing$"):
        convert(folder, tmp_path / "out.onnx", DemographicsAdapter)


# Beside transformers


def reference(folder: Path, **config: Any) -> Any:
    """transformers' own network with seeded weights, saved as it publishes them."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is the reference here and not among the project's requirements"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(5)
        network = transformers.ViTForImageClassification(transformers.ViTConfig(**config)).eval()
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "cls_token", "position_embeddings")):
                torch.nn.init.normal_(parameter, 0.0, 0.3)
        network.save_pretrained(folder)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("bias", [True, False])
def test_transformers_own_network_gives_the_same_logits(bias: bool, tmp_path: Path) -> None:
    from hearthwatch.artifacts.checkpoint import read_checkpoint

    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 80}
    network = reference(tmp_path, **sizes, image_size=64, patch_size=16, qkv_bias=bias, hidden_act="gelu_new")
    assert json.loads((tmp_path / "config.json").read_text())["num_attention_heads"] == 6
    checkpoint = read_checkpoint(tmp_path)
    ours = build_network(checkpoint.tensors, config=checkpoint.config, file="a folder")
    x = noise(3, 64, 64)
    with torch.inference_mode():
        theirs = network(torch.from_numpy(x)).logits.numpy()
    assert worst(outputs_of(ours, x)[0], theirs) < 1e-5
