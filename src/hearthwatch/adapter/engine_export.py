"""Engines built ahead of their first use, and whether what lies on disk gives PyTorch's answers.

A service builds its TensorRT engine by itself, behind another engine. These are the same steps by hand: before a
deployment, or to look at a file that is there.

Not run, for want of an NVIDIA GPU: the real TensorRT. The tests go through all of it with a stand-in.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthwatch.adapter.base import Adapter, Run
from hearthwatch.adapter.conversion import build
from hearthwatch.adapter.describing import describe_for
from hearthwatch.adapter.parity import Reference
from hearthwatch.adapter.samples import try_out
from hearthwatch.artifacts.checkpoint import read_checkpoint
from hearthwatch.artifacts.graph import read_graph
from hearthwatch.errors import LoadFailed, WeightsInvalid
from hearthwatch.runtimes.base import Engine, LoadRequest, Precision, Runtime, RuntimeInfo
from hearthwatch.runtimes.engine_build import TensorRTBuild
from hearthwatch.runtimes.engine_cache import EngineCache
from hearthwatch.runtimes.engine_files import Place, read_key
from hearthwatch.runtimes.select import ENGINES, load_graph
from hearthwatch.runtimes.tensorrt import TensorRTEngine
from hearthwatch.vision.image import Image

#: Cosine to PyTorch's embeddings that an engine must have (CONTRACT.md).
MIN_AGREEMENT = 0.99


@dataclass(frozen=True, slots=True)
class Validation:
    """A file that gives the reference's answers.

    Attributes:
        file: that was compared.
        measure: the model's own.
        value: on the worst picture or text.
        compared: pictures or texts.
        reference: what it was compared with, in words.
        info: what ran.
    """

    file: Path
    measure: str
    value: float
    compared: int
    reference: str
    info: RuntimeInfo


def engine_request(
    graph: Path,
    engine_path: Path,
    *,
    precision: Precision = "f16",
    max_batch: int = 8,
    device: str = "cuda:0",
    cache_dir: Path | None = None,
) -> LoadRequest:
    """What an engine file is built for and loaded with: the same as a service asks for.

    Raises:
        WeightsInvalid: the graph is refused.
    """
    found = read_graph(graph)
    return LoadRequest(
        path=graph,
        digest=found.digest,
        bytes=found.bytes,
        inputs=tuple(tensor.name for tensor in found.inputs),
        shapes=tuple(tensor.shape for tensor in found.inputs),
        outputs=tuple(tensor.name for tensor in found.outputs),
        device=device,
        precision=precision,
        cache_dir=cache_dir,
        max_batch=max_batch,
        engine_path=engine_path,
    )


def refuse_wrong_engine(engine_path: Path, graph: Path | None = None) -> None:
    """Look at an engine file without a GPU: whether it is one of ours, and of these weights.

    Args:
        engine_path: the documented `.engine` file; nothing there is nothing wrong.
        graph: the ONNX file that it should be of; None asks only whose it is.

    Raises:
        WeightsInvalid: it was not built by this installation, or for other weights.
    """
    key = read_key(Place(engine_path.parent, engine_path.stem))
    if key is None:
        if engine_path.exists():
            raise WeightsInvalid(
                f"{engine_path} was not built by this installation, and engines are code: it is not used. Move it away"
            )
        return
    digest = key.weights if graph is None else read_graph(graph).digest
    if key.weights != digest:
        raise WeightsInvalid(
            f"{engine_path} is not used: it is of other weights ({key.weights[:12]}…; these are {digest[:12]}…)"
        )


def build_engine(request: LoadRequest, build: TensorRTBuild | None = None) -> tuple[Path, ...]:
    """Build an engine, or find it built; its files.

    Args:
        request: of `engine_request`.
        build: the machinery; None: TensorRT of this machine.

    Raises:
        LoadFailed: TensorRT is not there, or could not build it.
    """
    if build is None:
        engine = TensorRTEngine()
        reason = engine.unavailable(request.device)
        if reason is not None:
            raise LoadFailed(f"no engine can be built here: {reason}")
        build = TensorRTBuild(engine, request)
    build(threading.Event()).close()
    return build.files


def validate_engine(
    adapter_class: type[Adapter[Any]],
    request: LoadRequest,
    checkpoint: Path | None,
    *,
    engine: TensorRTEngine | None = None,
    engines: Sequence[Engine] = ENGINES,
    pictures: Sequence[Image] = (),
) -> Validation:
    """Compare a built engine with PyTorch on real pictures, and keep the verdict beside it: services read it.

    Args:
        adapter_class: the model.
        request: of `engine_request`.
        checkpoint: that the graph was made from; None compares with the graph in float32.
        engine: TensorRT; None: that of this machine.
        engines: for the graph in float32.
        pictures: beside those that come with the package.

    Raises:
        LoadFailed: TensorRT is not there, or does not take the engine.
        WeightsInvalid: there is none, it is of another GPU, version or digest, or its results do not agree.
    """
    engine = engine or TensorRTEngine()
    reason = engine.unavailable(request.device)
    if reason is not None:
        raise LoadFailed(f"{request.engine_path} cannot be compared here: {reason}")
    cache: EngineCache = engine.cache(request)
    found = cache.find()
    if isinstance(found, str):
        raise WeightsInvalid(f"{request.engine_path} is not used: {found}")
    runtime = engine.load_stored(request, found)
    try:
        if not runtime.info.cached:
            raise WeightsInvalid(f"{request.engine_path} is not used: ONNX Runtime did not take it and built another")
        validation = _compare(adapter_class, request.path, runtime, checkpoint, engines, pictures, found.place.folder)
    except WeightsInvalid as error:
        cache.judged(found, str(error))
        raise
    finally:
        runtime.close()
    cache.judged(found, None)
    return validation


def validate_graph(
    adapter_class: type[Adapter[Any]],
    graph: Path,
    checkpoint: Path,
    *,
    engines: Sequence[Engine] = ENGINES,
    pictures: Sequence[Image] = (),
) -> Validation:
    """Compare an ONNX file, on the engine that serves it in float32, with PyTorch.

    Raises:
        LoadFailed: no engine could load it, or PyTorch is not installed.
        WeightsInvalid: the graph or the checkpoint is refused, or their answers do not agree.
    """
    found = read_graph(graph)
    outputs = tuple(tensor.name for tensor in found.outputs)
    runtime = load_graph(LoadRequest(graph, found.digest, found.bytes, outputs), engines).runtime
    try:
        return _compare(adapter_class, graph, runtime, checkpoint, engines, pictures, graph)
    finally:
        runtime.close()


def _compare(
    adapter_class: type[Adapter[Any]],
    graph: Path,
    candidate: Runtime,
    checkpoint: Path | None,
    engines: Sequence[Engine],
    pictures: Sequence[Image],
    file: Path,
) -> Validation:
    spec = adapter_class.SPEC
    adapter = adapter_class.reading(describe_for(spec, graph))
    outputs = tuple(tensor.name for tensor in adapter.description.graph.outputs)
    answers = try_out(adapter, candidate.run, pictures)
    if checkpoint is None:
        request = LoadRequest(graph, adapter.description.graph.digest, adapter.description.graph.bytes, outputs)
        exact = load_graph(request, engines).runtime
        try:
            expected, words = try_out(adapter, exact.run, pictures), f"{graph.name} in float32"
        finally:
            exact.close()
    else:
        reference: Run = Reference(build(read_checkpoint(checkpoint), spec.tower), outputs)
        expected, words = try_out(adapter, reference, pictures), "PyTorch"
    value = spec.agreement.judge(expected, answers)
    # Not `<=`: a NaN is an answer that went wrong, and agrees with nothing.
    if value is None or not value > MIN_AGREEMENT:
        told = "no evidence" if value is None else f"{spec.agreement.name} {value:.4f}"
        raise WeightsInvalid(
            f"{file} is not used: it does not agree with {words} ({told}, above {MIN_AGREEMENT} is needed)"
        )
    return Validation(file, spec.agreement.name, value, len(answers), words, candidate.info)
