"""From a checkpoint to an ONNX file that gives the same answers, or to no file at all.

The checkpoint is read without executing it, built as a network of ours, exported with dynamic batch, described by a
card in its own metadata, and then compared with the PyTorch module in float32 on real pictures or texts: raw outputs
for each, and the model's own agreement on results. Only a file that passes is moved to its place, in one step; a kill
at any moment leaves nothing behind that could be taken for one.

Needs the extra `torch`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.parity import compare
from hearthwatch.adapter.samples import VERIFICATION_CLIPS, VERIFICATION_TEXTS, verification_pictures
from hearthwatch.adapter.spec import Spec
from hearthwatch.adapter.towers import preprocessing_beside, tower_facts, vocabulary_of
from hearthwatch.artifacts.card import Card, read_card
from hearthwatch.artifacts.catalog import default_entry
from hearthwatch.artifacts.checkpoint import DEFAULT_LIMITS, Checkpoint, read_checkpoint
from hearthwatch.artifacts.description import CARD_KEY
from hearthwatch.artifacts.graph import write_metadata
from hearthwatch.artifacts.hugging_face import CLASSES, CONFIG
from hearthwatch.artifacts.lockfile import exclusive
from hearthwatch.artifacts.preprocessor import PREPROCESSOR_FILE
from hearthwatch.artifacts.tokens import MERGES_FILE, VOCABULARY_FILE
from hearthwatch.artifacts.workplace import workplace
from hearthwatch.errors import LoadFailed, WeightsInvalid
from hearthwatch.runtimes.base import Engine
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec

#: Part of the cache's key: raise it when the export or the card changes.
CONVERTER_VERSION = 5
#: Files beside a single checkpoint that change what it becomes.
_BESIDE = (CONFIG, CLASSES, PREPROCESSOR_FILE, VOCABULARY_FILE, MERGES_FILE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion.

    Attributes:
        path: the ONNX file.
        kind: the network's architecture.
        raw_difference: largest difference of a raw output, as `parity.raw_difference` measures it.
        agreement: the model's own measure on the worst picture; None where no picture gave evidence.
        pictures: how many pictures were compared; of a model that reads texts or watches clips, how many of those.
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
    unchanged: Callable[[], bool] = lambda: True,
    embedded_bytes: int | None = None,
) -> Conversion:
    """Convert one checkpoint.

    Args:
        source: a checkpoint file or a Hugging Face folder.
        output: the ONNX file to write; replaced in one step if it is there.
        adapter_class: the model whose preprocessing and agreement judge the result.
        pictures: compared in addition to those that come with the package, where the model looks at pictures.
        engines: one of them must load the file.
        progress: called with each step, as a few words.
        unchanged: asked at the end whether the source is still what it was at the beginning.
        embedded_bytes: weights above it are kept in a file beside the graph; None leaves it to the exporter.

    Raises:
        WeightsInvalid: the checkpoint is refused, is of an architecture that we do not build or of a size that it
            cannot have, or the converted file does not give the same answers.
        LoadFailed: PyTorch could not export it, no engine could load the converted file, or it could not be written.
    """
    progress("reading the checkpoint")
    checkpoint = read_checkpoint(source)
    network = _built(checkpoint, adapter_class)
    card = card_for(checkpoint, adapter_class, network.card)
    size = _size(network, card, adapter_class, source)
    facts = vocabulary_of(checkpoint) if network.length else {}
    compared = _compared(network, pictures)
    try:
        with workplace(output) as folder:
            # Weights beside the graph keep the name that the graph calls them by, so it must be theirs alone.
            partial = folder / f"{output.stem}-{checkpoint.digest[:12]}.onnx"
            progress("exporting")
            _export(network, card, adapter_class, size, partial, embedded_bytes)
            write_metadata(partial, _metadata(checkpoint, card) | facts)
            progress("comparing with PyTorch")
            raw, agreement = compare(network, partial, adapter_class, pictures, engines)
            if not unchanged():
                raise WeightsInvalid(f"{source} was changed while it was converted; the next use converts it anew")
            _move(partial, output)
    except OSError as error:
        raise LoadFailed(f"{source} cannot be converted to {output}: {error}") from error
    return Conversion(output, network.kind, raw, agreement, compared)


def _compared(network: Any, pictures: Sequence[Image]) -> int:
    """How many questions the file is compared on."""
    if network.length:
        return len(VERIFICATION_TEXTS)
    return VERIFICATION_CLIPS if network.frames else len(verification_pictures()) + len(pictures)


def converted(
    source: Path,
    adapter_class: type[Adapter[Any]],
    cache_dir: Path | None,
    progress: Callable[[str], None] = lambda _step: None,
) -> Path:
    """The converted file of a checkpoint, from the cache or made now. Processes that ask together convert once.

    Args:
        source: the checkpoint.
        adapter_class: the model that it is for.
        cache_dir: where converted files are kept.
        progress: called with each step, as a few words, where there is something to wait for.

    Raises:
        WeightsInvalid: as `convert`; or torch is not installed, with the command that converts elsewhere.
        LoadFailed: as `convert`.
    """
    if cache_dir is None or importlib.util.find_spec("torch") is None:
        raise WeightsInvalid(f"{source} is a checkpoint, which has to be converted once: {how_to_convert(source)}")
    folder = cache_dir / "converted"
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(source, adapter_class)
    output = folder / f"{adapter_class.SPEC.name}-{key}.onnx"

    def tell(step: str) -> None:
        _log.info("conversion file=%s step=%s", source, step)
        progress(f"converting {source.name}, which happens once: {step}")

    def unchanged() -> bool:
        # Under a key that is not its own, the file would serve for another checkpoint one day.
        return _key(source, adapter_class) == key

    with exclusive(output.with_suffix(".lock"), lambda: tell("waiting for another process that does it")):
        if not output.is_file():
            _log.info("converting file=%s to=%s", source, output)
            convert(source, output, adapter_class, progress=tell, unchanged=unchanged)
            progress("loading")
    return output


def how_to_convert(source: Path) -> str:
    """The one command that converts a checkpoint, and what it needs."""
    target = source if source.is_dir() else source.with_suffix("")
    return f'`hearthwatch models convert {source} --output {target}.onnx`, with `pip install "hearthwatch[torch]"`'


def module_of(source: Path, tower: str = "") -> Any:
    """The checkpoint as a torch module in float32: PyTorch's own runtime, the reference and last fallback.

    Args:
        source: the checkpoint.
        tower: which of its networks, where it holds several.

    Raises:
        WeightsInvalid: the checkpoint is refused or of an architecture that we do not build.
    """
    return build(read_checkpoint(source), tower).module


def card_for(
    checkpoint: Checkpoint, adapter_class: type[Adapter[Any]], network: Mapping[str, Any] | None = None
) -> Card:
    """What the converted file will say about itself: the checkpoint's card if it has one, its facts, the defaults.

    Args:
        checkpoint: as it was read.
        adapter_class: the model that it is for.
        network: what the architecture says of a card.
    """
    built = dict(network or {})
    path = checkpoint.path.with_suffix(".json")
    given = read_card(path) if path.is_file() and path.name != "config.json" else Card()
    return Card.model_validate(
        built
        | tower_facts(checkpoint)
        | given.model_dump(exclude_none=True)
        | {
            "model": adapter_class.SPEC.name if adapter_class.SPEC.tower else given.model or adapter_class.SPEC.name,
            "input": _input(checkpoint, given, adapter_class.SPEC, built.get("input", {})),
            "names": list(given.names or checkpoint.names) or None,
            "license": given.license or checkpoint.licence,
            # The same weights are one space, however often they are exported.
            "space": given.space or f"sha256:{checkpoint.digest[:16]}",
        }
    )


def _input(checkpoint: Checkpoint, given: Card, spec: Spec, built: Mapping[str, Any]) -> dict[str, Any] | None:
    """The input that pictures become, of which the architecture states `built`; None for networks that read texts."""
    if not isinstance(spec.input, InputSpec):
        return None
    default = spec.input
    facts = {
        "name": default.name, "size": checkpoint.image_size or default.size, "layout": default.layout,
        "color": default.color, "dtype": default.dtype, "scale": default.scale, "mean": default.mean,
        "std": default.std, "resize": default.resize, "interpolation": default.interpolation,
        "multiple": default.multiple, "crop_share": default.crop_share,
    }  # fmt: skip
    stated = {} if given.input is None else given.input.model_dump(exclude_none=True)
    return facts | dict(built) | preprocessing_beside(checkpoint) | stated


def build(checkpoint: Checkpoint, tower: str = "") -> Any:
    """The checkpoint as a `networks.Network`.

    Args:
        checkpoint: as it was read.
        tower: which of its networks, where it holds several.

    Raises:
        WeightsInvalid: an architecture that we do not build.
        LoadFailed: torch is not installed.
    """
    # Not at the top: torch is an extra, and 3 s of import.
    from hearthwatch.networks import build_network

    return build_network(
        checkpoint.tensors,
        yaml=checkpoint.yaml,
        task=checkpoint.task,
        config=checkpoint.config,
        tower=tower,
        modules=checkpoint.facts.get("modules"),
        file=checkpoint.path.name,
    )


def _built(checkpoint: Checkpoint, adapter_class: type[Adapter[Any]]) -> Any:
    """The network; where it is a program in the folder, the refusal says what to take instead.

    Raises:
        WeightsInvalid: an architecture that we do not build.
    """
    try:
        return build(checkpoint, adapter_class.SPEC.tower)
    except WeightsInvalid as error:
        if "auto_map" not in (checkpoint.config or {}):
            raise
        name = adapter_class.SPEC.name
        raise WeightsInvalid(
            f"{error}. Its config.json names a program for this network (auto_map), and no program of a checkpoint is "
            f"run: `hearthwatch models pull {name}` fetches {default_entry(name).source} instead"
        ) from error


def _size(network: Any, card: Card, adapter_class: type[Adapter[Any]], source: Path) -> tuple[int, int]:
    """(height, width) that the file will take; what the network has where it reads texts.

    Raises:
        WeightsInvalid: a size that the network's strides do not divide.
    """
    if card.input is None:
        size: tuple[int, int] = network.input_size
        return size
    height, width = card.input.size or adapter_class.SPEC.pixels.size
    if height % network.stride or width % network.stride:
        raise WeightsInvalid(
            f"{source} is to take pictures of {height} x {width} px, and its network takes multiples of "
            f"{network.stride} px; `input.size` of a card beside it states another size"
        )
    return height, width


def _export(
    network: Any,
    card: Card,
    adapter_class: type[Adapter[Any]],
    size: tuple[int, int],
    path: Path,
    embedded_bytes: int | None,
) -> None:
    from hearthwatch.networks.export import export_onnx

    # The network calls its outputs by their roles; a card that gives a role another name is followed.
    outputs = [card.outputs[role].name if role in card.outputs else role for role in network.output_names]
    name = (card.input and card.input.name) or adapter_class.SPEC.input.name
    export_onnx(network, path, input_name=name, output_names=outputs, size=size, embedded_bytes=embedded_bytes)


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


def _move(partial: Path, output: Path) -> None:
    """The graph last: it is what makes a file of weights beside it count."""
    beside = partial.with_name(f"{partial.name}.data")
    for file, place in ((beside, output.with_name(beside.name)), (partial, output)):
        if file is partial or file.exists():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            file.replace(place)


def _key(source: Path, adapter_class: type[Adapter[Any]]) -> str:
    """What a converted file depends on, as the name of its place in the cache.

    Raises:
        WeightsInvalid: a file that is too large to be read is not read for its digest either.
    """
    digest = hashlib.sha256(f"{CONVERTER_VERSION} {adapter_class.SPEC.name}".encode())
    if source.is_file() and source.stat().st_size > DEFAULT_LIMITS.file_bytes:
        raise WeightsInvalid(f"{source} has {source.stat().st_size} bytes; allowed {DEFAULT_LIMITS.file_bytes}")
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    beside = [] if source.is_dir() else [source.parent / name for name in _BESIDE]
    for file in [*files, source.with_suffix(".json"), *beside]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
