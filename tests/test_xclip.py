"""X-CLIP against transformers: the torch networks, the converted graphs, and the softmax over labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks.clip_checkpoint import byte_vocabulary

from hearthwatch.adapter.conversion import convert
from hearthwatch.adapter.frames import Sentences, clips_of
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.cli.convert import MODEL_OF_KEY
from hearthwatch.errors import WeightsInvalid
from hearthwatch.models.action_recognizer import ActionAdapter, ActionResult
from hearthwatch.models.action_text import ActionTextAdapter
from hearthwatch.models.clip import CLIPAdapter
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.pytorch import PyTorchEngine
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.vision.image import Float, Image
from small_clip import TINY as TINY_CLIP
from small_clip import Array
from small_clip import config as clip_config
from small_clip import tensors as clip_tensors
from small_networks import smallest_cosine
from small_xclip import BASE_16, TINY, ClipSize, config, tensors, write_checkpoint

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
REASON = "transformers is the reference here and not among the project's requirements"

from hearthwatch.networks import build_network  # noqa: E402

LABELS = ("person walking normally", "person climbing over fence", "a dog", "", "person picking lock at night")
VARIANTS = {
    "tiny": TINY,
    "gelu": replace(TINY, clip=replace(TINY.clip, activation="gelu")),
    "the end token as old configs have it": replace(TINY, clip=replace(TINY.clip, end=2)),
    "one frame": replace(TINY, frames=1),
    "other heads and layers": replace(TINY, order_layers=2, order_heads=3, prompt_layers=1, prompt_heads=4),
}


def moving(count: int, side: int = 90, seed: int = 3) -> list[Image]:
    """Frames in which something moves over something that stands still."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.integers(0, 256, (6, 8, 3)), np.ones((side // 6, side // 6, 1))).astype(np.uint8)
    frames = []
    for index in range(count):
        pixels = ground.copy()
        left = index * (side - 20) // max(1, count - 1)
        pixels[side // 3 : side // 3 + 30, left : left + 20] = (250, 40 + index, 10)
        frames.append(Image.of(pixels))
    return frames


def reference(size: ClipSize, weights: dict[str, Array]) -> Any:
    """transformers' own network with these weights."""
    transformers = pytest.importorskip("transformers", reason=REASON)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.device("meta"):
            network = transformers.XCLIPModel(transformers.XCLIPConfig(**config(size)))
        network.to_empty(device="cpu")
        for module in network.modules():  # buffers that no file holds
            if hasattr(module, "position_ids"):
                module.position_ids = torch.arange(module.position_embedding.num_embeddings)[None]
        network.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()}, strict=True)
    return network.eval()


def pixels_of(frames: list[Image], size: ClipSize) -> Any:
    """(1, F, 3, H, W) of the reference's own preprocessing."""
    processing = pytest.importorskip("transformers.models.videomae.image_processing_pil_videomae", reason=REASON)
    side = size.clip.side
    processor = processing.VideoMAEImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side},
        image_mean=list(ActionAdapter.SPEC.pixels.mean), image_std=list(ActionAdapter.SPEC.pixels.std),
    )  # fmt: skip
    return torch.as_tensor(np.asarray(processor([[f.pixels for f in frames]], return_tensors="np")["pixel_values"]))


def tokens_of(labels: tuple[str, ...], files: tuple[str, str]) -> Any:
    """Token numbers and mask of the reference's own tokeniser, padded as its processor does."""
    transformers = pytest.importorskip("transformers", reason=REASON)
    merges = [tuple(line.split()) for line in files[1].splitlines()[1:] if line]
    tokenizer = transformers.CLIPTokenizer(vocab=orjson.loads(files[0]), merges=merges)
    return tokenizer(list(labels), padding=True, truncation=True, max_length=77, return_tensors="pt")


def logits_of(network: Any, frames: list[Image], size: ClipSize, files: tuple[str, str]) -> Float:
    """(labels,) of the reference, from the frames and the labels."""
    with torch.inference_mode():
        answer = network(pixel_values=pixels_of(frames, size), **tokens_of(LABELS, files))
    logits: Float = answer.logits_per_video[0].numpy()
    return logits


def softmax(logits: Float) -> Float:
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum(), np.float32)


def in_order(result: ActionResult) -> Float:
    return np.array([result.all_scores[label] for label in LABELS], np.float32)


@pytest.mark.parametrize("size", VARIANTS.values(), ids=VARIANTS)
def test_logits_are_those_of_the_reference(size: ClipSize) -> None:
    weights = tensors(size)
    theirs = reference(size, weights)
    files = byte_vocabulary()
    frames = moving(size.frames)
    expected = logits_of(theirs, frames, size, files)
    tokens = tokens_of(LABELS, files)["input_ids"]
    video = build_network(weights, config=config(size), file="a folder")
    text = build_network(weights, config=config(size), tower="text", file="a folder")
    with torch.inference_mode():
        clip, texts = video.module(pixels_of(frames, size)[0], text.module(tokens))
        ours = np.exp(weights["logit_scale"]) * torch.nn.functional.cosine_similarity(clip, texts).numpy()
    assert np.abs(ours - expected).max() < 2e-3  # of 100
    assert np.ptp(expected) > 1
    assert (video.kind, text.kind, video.frames, video.text_width) == ("xclip-video", "xclip-text", size.frames, 24)


def test_a_clip_changes_what_a_label_means_and_the_order_of_frames_matters() -> None:
    """Both are what makes it no CLIP; without either the numbers below would be equal."""
    network = build_network(tensors(TINY), config=config(TINY), file="a folder").module
    random = torch.Generator().manual_seed(2)
    frames, other = (torch.randn(TINY.frames, 3, 32, 32, generator=random) for _ in range(2))
    features = torch.randn(3, 24, generator=random)
    with torch.inference_mode():
        clip, texts = network(frames, features)
        _, elsewhere = network(other, features)
        backwards, same = network(frames.flip(0), features)
    assert (texts - elsewhere).abs().max() > 0.01
    assert (clip - backwards).abs().max() > 0.01
    assert (texts - same).abs().max() < 1e-4  # what a clip shows is a mean over its frames


def loaded(adapter: Any, folder: Path, cache: Path, engine: Any, *, precision: Any = "f32") -> LoadedModel:
    options = LoadOptions(folder, cache_dir=cache, device="cpu", precision=precision, engines=[engine])
    return load(adapter, replace(options, paths={adapter.SPEC.name: folder}))


def answered(video: LoadedModel, text: LoadedModel, frames: list[Image]) -> ActionResult:
    """The package's own road, from frames and labels to a result."""
    read = text.read(LABELS)[0]
    sentences = Sentences(LABELS, np.stack([one.embedding for one in read]), read[0].digest)
    result: ActionResult = video.watch(clips_of(video.watching, frames), sentences)[0][0]
    return result


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "xclip-base-patch16-zero-shot")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("engine", [OpenVINOEngine(), ONNXRuntimeEngine(), PyTorchEngine()], ids=lambda e: e.name)
def test_a_folder_becomes_two_models_whose_answer_is_the_references_on_every_engine(
    engine: Any, tiny: Path, cache: Path
) -> None:
    theirs = reference(TINY, tensors(TINY))
    video, text = (loaded(adapter, tiny, cache, engine) for adapter in (ActionAdapter, ActionTextAdapter))
    for seed in (3, 4):
        frames = moving(TINY.frames, seed=seed)
        expected = softmax(logits_of(theirs, frames, TINY, byte_vocabulary()))
        result = answered(video, text, frames)
        assert np.abs(in_order(result) - expected).max() < 1e-3
        assert result.action == LABELS[int(expected.argmax())]
    assert video.info.engine == text.info.engine == engine.name
    assert video.watching.frames == TINY.frames
    assert video.adapter.description.card.network == "xclip-48x2-patch8-32-5-frames"
    video.close()
    text.close()


def test_the_command_takes_a_folder_for_the_action_recogniser() -> None:
    first = next(model for key, model in MODEL_OF_KEY.items() if key in tensors(TINY))
    assert first == ActionAdapter.SPEC.name


def test_pixels_are_those_of_the_reference(astronaut: Image) -> None:
    spec = ActionAdapter.SPEC.pixels
    level = 1 / 255 / min(spec.std)
    shapes = ((slice(None), slice(None)), (slice(0, 300), slice(40, 500)), (slice(30, 130), slice(0, 512)))
    for rows, columns in shapes:
        image = Image.of(np.ascontiguousarray(astronaut.pixels[rows, columns]))
        ours = clips_of(Watching(2), [image, image])[0]
        off = np.abs(ours - pixels_of([image, image], BASE_16)[0].numpy()) / level
        assert off.mean() < 0.2
        assert off.max() < 5


class Watching(ActionAdapter):
    """The adapter's own way from images to input, for a network of so many frames."""

    def __init__(self, frames: int) -> None:
        self.input, self.frames = self.SPEC.pixels, frames


class TestRefusals:
    @pytest.mark.parametrize("adapter", [ActionAdapter, ActionTextAdapter])
    def test_a_checkpoint_without_its_config(self, adapter: Any, tmp_path: Path) -> None:
        folder = write_checkpoint(tmp_path / "a", without=("config.json",))
        with pytest.raises(WeightsInvalid, match=r"config\.json"):
            convert(folder, tmp_path / "b.onnx", adapter)
        assert not list(tmp_path.glob("b*"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"prompt_num_attention_heads": 5}, "heads in its prompts"),
            ({"prompt_num_attention_heads": True}, "prompt_num_attention_heads"),
            ({"prompt_hidden_act": "relu"}, "quick_gelu"),
            ({"vision_config": {"num_frames": 8}}, "X-CLIP of 8 frames"),
            ({"vision_config": {"image_size": 40}}, "positions"),
            ({"vision_config": {"mit_num_attention_heads": 7}}, "heads"),
        ],
        ids=str,
    )
    def test_a_config_of_another_network(self, change: dict[str, Any], words: str) -> None:
        wrong = config(TINY)
        for key, value in change.items():
            wrong[key] = wrong[key] | value if isinstance(value, dict) else value
        with pytest.raises(WeightsInvalid, match=words):
            build_network(tensors(TINY), config=wrong, file="a folder")

    @pytest.mark.parametrize(
        "key", ["prompts_generator.alpha", "vision_model.encoder.layers.1.message_attn.k_proj.weight",
                "visual_projection.weight", "prompts_visual_projection"],
    )  # fmt: skip
    def test_tensors_that_are_missing_or_of_another_shape(self, key: str) -> None:
        weights = tensors(TINY)
        for changed in (
            {name: array for name, array in weights.items() if name != key},
            weights | {key: np.zeros((3, 3), np.float32)},
        ):
            with pytest.raises(WeightsInvalid, match=r"f (is no X?-?CLIP|has 2 heads in its prompts)"):
                build_network(changed, config=config(TINY), file="f")

    def test_places_of_frames_that_are_none(self) -> None:
        for shape in ((5, 24), (1, 0, 24), (1, 5, 16)):
            weights = tensors(TINY) | {"mit.position_embedding": np.zeros(shape, np.float32)}
            with pytest.raises(WeightsInvalid, match="X-CLIP"):
                build_network(weights, config=config(TINY), file="f")

    def test_a_picture_network_and_a_clip_network_are_not_taken_for_each_other(self) -> None:
        with pytest.raises(WeightsInvalid, match="looks at clips"):
            build_network(tensors(TINY), config=config(TINY), tower="vision", file="f")
        with pytest.raises(WeightsInvalid, match="without a video tower"):
            build_network(clip_tensors(TINY_CLIP), config=clip_config(TINY_CLIP), tower="video", file="f")

    def test_a_folder_of_x_clip_is_no_clip(self, tiny: Path, tmp_path: Path) -> None:
        with pytest.raises(WeightsInvalid, match="looks at clips"):
            convert(tiny, tmp_path / "b.onnx", CLIPAdapter)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Array]]]:
    """The documented checkpoint's size, seeded: 0.8 GB, which is removed again."""
    folder = tmp_path_factory.mktemp("real") / "xclip-base-patch16-zero-shot"
    weights = tensors(BASE_16)
    yield write_checkpoint(folder, BASE_16, weights, files=byte_vocabulary(BASE_16.clip.tokens)), weights
    (folder / "model.safetensors").unlink()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_real_size_agrees_with_the_reference(
    real: tuple[Path, dict[str, Array]], astronaut: Image, tmp_path: Path
) -> None:
    folder, weights = real
    steps = np.linspace(0, 150, BASE_16.frames).astype(int)
    frames = [Image.of(np.ascontiguousarray(astronaut.pixels[:300, step : step + 320])) for step in steps]
    expected = logits_of(reference(BASE_16, weights), frames, BASE_16, byte_vocabulary(BASE_16.clip.tokens))
    scale = float(np.exp(weights["logit_scale"]))
    weights.clear()
    engine = ENGINES[0]
    text = loaded(ActionTextAdapter, folder, tmp_path, engine)
    read = text.read(LABELS)[0]
    text.close()
    sentences = Sentences(LABELS, np.stack([one.embedding for one in read]), read[0].digest)
    for precision, least in (("f32", 0.9999), (engine.precisions("cpu")[0], 0.999)):
        video = loaded(ActionAdapter, folder, tmp_path, engine, precision=precision)
        assert (video.info.precision, video.watching.frames) == (precision, 32)
        result = video.watch(clips_of(video.watching, frames), sentences)[0][0]
        video.close()
        logits = np.log(in_order(result))
        # A softmax forgets what all logits have in common.
        centred, wanted = logits - logits.mean(), expected - expected.mean()
        assert smallest_cosine(centred[None], wanted[None]) >= least
        assert result.action == LABELS[int(expected.argmax())]
        if precision == "f32":
            assert np.abs(centred - wanted).max() < 2e-3 * scale
