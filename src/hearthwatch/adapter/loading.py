"""From a model's class to something that answers: weights found, file checked, engine chosen, adapter built."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.conversion import converted, module_of
from hearthwatch.adapter.describing import describe_for
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.precision import choose_precision, parity_gate
from hearthwatch.adapter.prompts import PromptedNetwork, PromptEmbeddings, prompt_embeddings
from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.catalog import entries_for
from hearthwatch.artifacts.description import Description, WeightsOrigin
from hearthwatch.artifacts.graph import Graph
from hearthwatch.artifacts.lookup import FoundWeights, find_weights
from hearthwatch.artifacts.samples import SAMPLE
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.artifacts.tokens import TextDescription
from hearthwatch.errors import (
    HearthwatchError,
    LoadFailed,
    OutOfMemory,
    SettingsError,
    WeightsInvalid,
    WeightsMissing,
)
from hearthwatch.runtimes.base import LoadRequest, Precision
from hearthwatch.runtimes.engine_build import load_with_tensorrt
from hearthwatch.runtimes.memory import is_out_of_memory
from hearthwatch.runtimes.rapidocr import RapidOCRRuntime
from hearthwatch.runtimes.select import load_graph, resolve_device
from hearthwatch.settings import TensorRTSettings

_log = logging.getLogger(__name__)

T = TypeVar("T")


def load(adapter_class: type[Adapter[Any]], options: LoadOptions) -> LoadedModel:
    """Find, check and load one model.

    Raises:
        WeightsMissing: no weights; the message has every place looked at.
        WeightsInvalid: the file or its card is refused.
        LoadFailed: no engine could load it, or the model itself could not be set up.
        OutOfMemory: there was no room for it.
        SettingsError: a device that does not exist, or a model that is switched off.
    """
    try:
        return _load(adapter_class, options)
    except HearthwatchError:
        raise
    except Exception as error:
        name = adapter_class.SPEC.name
        if is_out_of_memory(error):
            raise OutOfMemory(f"{name} could not be loaded: {type(error).__name__}: {error}") from error
        raise LoadFailed(f"{name} could not be loaded: {type(error).__name__}: {error}") from error


def _load(adapter_class: type[Adapter[Any]], options: LoadOptions) -> LoadedModel:
    spec = adapter_class.SPEC
    if spec.name in options.switched_off:
        raise SettingsError(f"{spec.name} is switched off in the settings of this installation")
    found = find(adapter_class, options)
    if spec.bundled:
        if found.kind != "bundled":
            raise WeightsInvalid(f"{found.how} = {found.path}: {spec.name} brings its networks and takes no others")
        adapter = adapter_class(bundled_description(adapter_class))
        return LoadedModel(adapter, RapidOCRRuntime(options.threads), ())
    is_checkpoint = found.kind == "checkpoint"
    path, description = _described(adapter_class, found, options)
    adapter = adapter_class.reading(description)
    if isinstance(adapter, PromptedNetwork):
        adapter.compare_with(_prompts_of(adapter, options))
    device = resolve_device(options.device, options.engines)
    request = LoadRequest(
        path=path,
        digest=description.graph.digest,
        bytes=description.graph.bytes,
        inputs=tuple(tensor.name for tensor in description.graph.inputs),
        shapes=tuple(tensor.shape for tensor in description.graph.inputs),
        tokens=description.tokens.row_lengths if isinstance(description, TextDescription) else None,
        outputs=tuple(tensor.name for tensor in description.graph.outputs),
        # Where the checkpoint is at hand, PyTorch can run it when no other engine will.
        module=functools.partial(module_of, found.path, spec.tower) if is_checkpoint else None,
        device=device,
        # Only where nobody insisted on the GPU may another engine take the CPU.
        fallback_device="cpu" if options.device == "auto" and device != "cpu" else None,
        cache_dir=options.cache_dir,
        threads=options.threads,
        concurrency=options.concurrency,
        allow_slower=options.allow_slower,
    )
    engines = [engine for engine in options.engines if engine.name not in {"tensorrt", *options.rejected}]
    request, notes = choose_precision(adapter, request, options.precision, engines)
    tensorrt = options.tensorrt.get(spec.name, TensorRTSettings())
    if tensorrt.use and request.device.startswith("cuda"):
        half: Precision = "f16" if tensorrt.fp16 else "f32"
        precision = half if options.precision == "auto" else options.precision
        wanted = replace(request, precision=precision, engine_path=tensorrt.engine_path)
        gate = parity_gate(adapter, request, engines)
        selection = load_with_tensorrt(request, wanted, gate, model=spec.name, engines=engines)
    else:
        selection = load_graph(request, engines)
    passed_over = [*options.rejected.items(), *selection.passed_over, *_tensorrt_refused(tensorrt, request)]
    return LoadedModel(adapter, selection.runtime, passed_over, [*notes, *_mixture(spec, options)])


def _described(
    adapter_class: type[Adapter[Any]], found: FoundWeights, options: LoadOptions
) -> tuple[Path, Description | TextDescription]:
    """The ONNX file of the weights that were found, converted where it has to be, and what is known about it."""
    spec = adapter_class.SPEC
    tell = functools.partial(options.progress, spec.name)
    is_checkpoint = found.kind == "checkpoint"
    path = converted(found.path, adapter_class, options.cache_dir, tell) if is_checkpoint else found.path
    description = describe_for(spec, path, weights=_origin(spec.name, found))
    for conflict in description.conflicts:
        _log.warning("card model=%s file=%s conflict=%s", spec.name, found.path.name, conflict)
    return path, description


def _prompts_of(adapter: PromptedNetwork[Any], options: LoadOptions) -> PromptEmbeddings:
    """The texts of a model, which its text tower reads once and never again.

    Raises:
        WeightsInvalid: the vision tower was found, and no text tower.
        HearthwatchError: as `load`, of the text tower.
    """
    spec, tower = adapter.SPEC, adapter.PROMPTS.tower
    beside = _options_of_tower(options, spec, tower.SPEC)
    try:
        _, description = _described(tower, find(tower, beside), beside)
    except WeightsMissing as error:
        raise WeightsInvalid(f"{spec.name} compares pictures with texts, and the tower that reads them is not there: "
                             f"{error}") from error  # fmt: skip

    def read(sentences: Sequence[str]) -> list[Any]:
        options.progress(spec.name, f"reading {len(sentences)} sentences, which happens once")
        reader = load(tower, beside)
        try:
            return reader.read(sentences)[0]
        finally:
            reader.close()

    if not isinstance(description, TextDescription):
        raise TypeError(f"{tower.SPEC.name} reads no texts")
    return prompt_embeddings(adapter.PROMPTS, description, options.cache_dir, read)


def _options_of_tower(options: LoadOptions, vision: Spec, text: Spec) -> LoadOptions:
    """How the text tower is loaded: from where the vision tower is, and always in float32, for what it says is kept."""

    def named(by_model: Mapping[str, T]) -> dict[str, T]:
        given = by_model.get(text.name, by_model.get(vision.name))
        return {} if given is None else {text.name: given}

    return replace(
        options,
        paths=named(options.paths),
        variables=named(options.variables),
        precision="f32",
        concurrency=1,
        tensorrt={},
    )


def _mixture(spec: Spec, options: LoadOptions) -> list[str]:
    """Said of a model that does not use the sample weights that were asked for."""
    if options.weights != "sample" or not options.given(spec.name):
        return []
    return [f"sample weights were asked for; {spec.name} uses those that {options.given(spec.name)} names"]


def _tensorrt_refused(tensorrt: TensorRTSettings, request: LoadRequest) -> list[tuple[str, str]]:
    """Why TensorRT was asked for in vain: without an NVIDIA GPU it is a logged no-op."""
    if not tensorrt.use or request.device.startswith("cuda"):
        return []
    reason = f"TensorRT needs an NVIDIA GPU, and this model runs on {request.device}"
    _log.info("tensorrt passed over file=%s reason=%s", request.path.name, reason)
    return [("tensorrt", reason)]


def find(adapter_class: type[Adapter[Any]], options: LoadOptions) -> FoundWeights:
    """Where the model's weights are.

    Raises:
        WeightsMissing: nowhere.
        WeightsAmbiguous: two files claim to be them.
    """
    spec = adapter_class.SPEC
    return find_weights(
        WeightsQuery.for_model(spec.name, spec.aliases, spec.path_variables, spec.kin),
        explicit=options.paths.get(spec.name),
        variable=options.variables.get(spec.name),
        models_dir=options.models_dir,
        weights=options.weights,
        samples_dir=options.samples_dir,
        hub_cache=options.hub_cache,
    )


def bundled_description(adapter_class: type[Adapter[Any]]) -> Description:
    """The description of networks that come inside an installed package."""
    graph = Graph(Path("(bundled)"), "", 0, (), (), {})
    return Description(graph, Card(), adapter_class.SPEC.pixels, weights="real")


def _origin(model: str, found: FoundWeights) -> WeightsOrigin:
    """Real where the models directory or the catalog vouches for the file; a file that the user names is custom."""
    if found.how == SAMPLE:
        return "sample"
    known = {entry.file for entry in entries_for(model)}
    return "real" if found.how == "models directory" or found.path.name in known else "custom"
