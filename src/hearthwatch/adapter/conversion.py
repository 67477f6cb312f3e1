"""From a checkpoint to an ONNX file that gives the same answers, or to no file at all.

The checkpoint is read without executing it, built as a network of ours, exported with dynamic batch, described by a
card in its own metadata, and then compared with the PyTorch module in float32 on real pictures: raw outputs for every
picture, and the model's own agreement on results. Only a file that passes is moved to its place, in one step; a kill at
any moment leaves nothing behind that could be taken for one.

Needs the extra `torch`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from hearthwatch.adapter.base import Adapter, Array, Tensors
from hearthwatch.adapter.precision import verification_pictures
from hearthwatch.artifacts.card import Card, read_card
from hearthwatch.artifacts.checkpoint import Checkpoint, read_checkpoint
from hearthwatch.artifacts.description import CARD_KEY, describe
from hearthwatch.artifacts.graph import write_metadata
from hearthwatch.artifacts.lockfile import exclusive
from hearthwatch.errors import WeightsInvalid
from hearthwatch.runtimes.base import Engine, LoadRequest
from hearthwatch.runtimes.select import ENGINES, load_graph
from hearthwatch.vision.image import Image

#: Part of the cache's key: raise it when the export or the card changes.
CONVERTER_VERSION = 1
#: Largest difference between PyTorch's and the engine's raw outputs, as a share of the output's largest value. Both
#: compute in float32; YOLOv8n-pose and OSNet differ by 2e-6 to 2e-5 between engines.
RAW_TOLERANCE = 1e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion.

    Attributes:
        path: the ONNX file.
        kind: the network's architecture.
        raw_difference: largest difference of a raw output, as a share of that output's largest value.
        agreement: the model's own measure on the worst picture; None where no picture gave evidence.
        pictures: how many pictures were compared.
    """

    path: Path
    kind: str
    raw_difference: float
    agreement: float | None
    pictures: int


def convert(
    source: Path,
    output: Path,
    adapter_class: type[Adapter[Any]],
    *,
    pictures: Sequence[Image] = (),
    engines: Sequence[Engine] = ENGINES,
    progress: Callable[[str], None] = lambda _step: None,
) -> Conversion:
    """Convert one checkpoint.

    Args:
        source: a checkpoint file or a Hugging Face folder.
        output: the ONNX file to write; replaced in one step if it is there.
        adapter_class: the model whose preprocessing and agreement judge the result.
        pictures: compared in addition to those that come with the package.
        engines: one of them must load the file.
        progress: called with each step, as a few words.

    Raises:
        WeightsInvalid: the checkpoint is refused, is of an architecture that we do not build, or the converted file
            does not give the same answers.
        LoadFailed: no engine could load the converted file.
    """
    progress("reading the checkpoint")
    checkpoint = read_checkpoint(source)
    network = build(checkpoint)
    card = card_for(checkpoint, adapter_class)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.stem}.{os.getpid()}.partial.onnx")
    try:
        progress("exporting")
        _export(network, card, adapter_class, partial)
        write_metadata(partial, _metadata(checkpoint, card))
        progress("comparing with PyTorch")
        shown = [*verification_pictures(), *pictures]
        raw, agreement = _compare(network, partial, adapter_class, shown, engines)
        _move(partial, output)
    finally:
        for left in output.parent.glob(f"{partial.name}*"):
            left.unlink(missing_ok=True)
    return Conversion(output, network.kind, raw, agreement, len(shown))


def converted(source: Path, adapter_class: type[Adapter[Any]], cache_dir: Path | None) -> Path:
    """The converted file of a checkpoint, from the cache or made now. Processes that ask together convert once.

    Raises:
        WeightsInvalid: as `convert`; or torch is not installed, with the command that converts elsewhere.
    """
    if cache_dir is None or importlib.util.find_spec("torch") is None:
        raise WeightsInvalid(f"{source} is a checkpoint, which has to be converted once: {how_to_convert(source)}")
    folder = cache_dir / "converted"
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{adapter_class.SPEC.name}-{_key(source, adapter_class)}.onnx"
    with exclusive(output.with_suffix(".lock"), lambda: _log.info("waiting file=%s for another conversion", source)):
        if not output.is_file():
            _log.info("converting file=%s to=%s", source, output)
            convert(source, output, adapter_class)
    return output


def how_to_convert(source: Path) -> str:
    """The one command that converts a checkpoint, and what it needs."""
    target = source if source.is_dir() else source.with_suffix("")
    return f'`hearthwatch models convert {source} --output {target}.onnx`, with `pip install "hearthwatch[torch]"`'


def module_of(source: Path) -> Any:
    """The checkpoint as a torch module in float32: PyTorch's own runtime, the reference and last fallback.

    Raises:
        WeightsInvalid: the checkpoint is refused or of an architecture that we do not build.
    """
    return build(read_checkpoint(source)).module


def card_for(checkpoint: Checkpoint, adapter_class: type[Adapter[Any]]) -> Card:
    """What the converted file will say about itself: the checkpoint's card if it has one, its facts, the defaults."""
    path = checkpoint.path.with_suffix(".json")
    given = read_card(path) if path.is_file() and path.name != "config.json" else Card()
    default = adapter_class.SPEC.input
    facts = {
        "name": default.name, "size": checkpoint.image_size or default.size, "layout": default.layout,
        "color": default.color, "dtype": default.dtype, "scale": default.scale, "mean": default.mean,
        "std": default.std, "resize": default.resize, "interpolation": default.interpolation,
        "multiple": default.multiple,
    }  # fmt: skip
    stated = {} if given.input is None else given.input.model_dump(exclude_none=True)
    return Card.model_validate(
        given.model_dump(exclude_none=True)
        | {
            "model": given.model or adapter_class.SPEC.name,
            "input": facts | stated,
            "names": list(given.names or checkpoint.names) or None,
            "license": given.license or checkpoint.licence,
            # The same weights are one space, however often they are exported.
            "space": given.space or f"sha256:{checkpoint.digest[:16]}",
        }
    )


def build(checkpoint: Checkpoint) -> Any:
    """The checkpoint as a `networks.Network`.

    Raises:
        WeightsInvalid: an architecture that we do not build.
        LoadFailed: torch is not installed.
    """
    # Not at the top: torch is an extra, and 3 s of import.
    from hearthwatch.networks import build_network

    return build_network(checkpoint.tensors, yaml=checkpoint.yaml, task=checkpoint.task, file=checkpoint.path.name)


def _export(network: Any, card: Card, adapter_class: type[Adapter[Any]], path: Path) -> None:
    from hearthwatch.networks.export import export_onnx

    assert card.input is not None  # noqa: S101 - `card_for` always states it
    size = card.input.size or adapter_class.SPEC.input.size
    # The network calls its outputs by their roles; a card that gives a role another name is followed.
    outputs = [card.outputs[role].name if role in card.outputs else role for role in network.output_names]
    name = card.input.name or adapter_class.SPEC.input.name
    export_onnx(network, path, input_name=name, output_names=outputs, size=size)


def _metadata(checkpoint: Checkpoint, card: Card) -> dict[str, str]:
    """Our card, and what other tools read from YOLO files."""
    facts = {
        CARD_KEY: orjson.dumps(card.model_dump(exclude_none=True)).decode(),
        "model": card.model,
        "names": str(dict(enumerate(checkpoint.names))) if checkpoint.names else None,
        "task": checkpoint.task,
        "stride": checkpoint.stride,
        "source_sha256": checkpoint.digest,
        "license": card.license,
    }
    return {key: str(value) for key, value in facts.items() if value is not None}


def _compare(
    network: Any, path: Path, adapter_class: type[Adapter[Any]], pictures: Sequence[Image], engines: Sequence[Engine]
) -> tuple[float, float | None]:
    """Largest raw difference and the agreement of results.

    Raises:
        WeightsInvalid: one of them does not hold.
    """
    description = describe(path, adapter_class.SPEC.input)
    adapter = adapter_class(description)
    outputs = tuple(tensor.name for tensor in description.graph.outputs)
    runtime = load_graph(LoadRequest(path, description.graph.digest, outputs=outputs), engines).runtime
    reference = _Reference(network, outputs)
    pairs: list[tuple[Tensors, Tensors]] = []

    def both(inputs: Tensors) -> dict[str, Array]:
        answer = runtime.run(inputs)
        pairs.append((reference(inputs), answer))
        return answer

    try:
        candidate = adapter.predict(pictures, both)
    finally:
        runtime.close()
    raw = max(_raw_difference(expected, got) for expected, got in pairs)
    agreement = adapter.SPEC.agreement.judge(adapter.predict(pictures, reference), candidate)
    if not raw <= RAW_TOLERANCE:
        raise WeightsInvalid(
            f"the converted file differs from PyTorch by {raw:.2g} of its largest output; allowed {RAW_TOLERANCE:g}"
        )
    if agreement is not None and agreement < adapter.SPEC.agreement.at_least:
        measure = adapter.SPEC.agreement
        raise WeightsInvalid(
            f"the converted file does not agree with PyTorch: {measure.name} {agreement:.4f}, "
            f"at least {measure.at_least:g} needed"
        )
    return raw, agreement


class _Reference:
    """The PyTorch module as a `Run`."""

    def __init__(self, network: Any, outputs: tuple[str, ...]) -> None:
        self._module, self._outputs = network.module, outputs

    def __call__(self, inputs: Tensors) -> dict[str, Array]:
        import torch

        with torch.inference_mode():
            answer = self._module(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs.values()))
        tensors = answer if isinstance(answer, tuple) else (answer,)
        return {name: tensor.numpy() for name, tensor in zip(self._outputs, tensors, strict=True)}


def _raw_difference(expected: Tensors, got: Tensors) -> float:
    worst = 0.0
    for name, array in expected.items():
        largest = float(np.abs(array).max(initial=0.0)) or 1.0
        difference = np.abs(array.astype(np.float64) - got[name].astype(np.float64))
        # A number that is not finite agrees with nothing.
        worst = max(worst, float(difference.max(initial=0.0)) / largest if np.isfinite(difference).all() else np.inf)
    return worst


def _move(partial: Path, output: Path) -> None:
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(output)


def _key(source: Path, adapter_class: type[Adapter[Any]]) -> str:
    digest = hashlib.sha256(f"{CONVERTER_VERSION} {adapter_class.SPEC.name}".encode())
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    for file in [*files, source.with_suffix(".json")]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
