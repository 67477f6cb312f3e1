"""From a model's class to something that answers: weights found, file checked, engine chosen, adapter built."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from hearthwatch.adapter.base import Adapter, Array, PictureAdapter, Run, Tensors, TextAdapter
from hearthwatch.adapter.conversion import converted, module_of
from hearthwatch.adapter.describing import describe_for
from hearthwatch.adapter.frames import FramesAdapter, Sentences
from hearthwatch.adapter.precision import choose_precision, parity_gate
from hearthwatch.adapter.prompts import PromptedNetwork, PromptEmbeddings, prompt_embeddings
from hearthwatch.adapter.samples import answer_some
from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.catalog import entries_for
from hearthwatch.artifacts.description import Description, WeightsOrigin
from hearthwatch.artifacts.graph import Graph
from hearthwatch.artifacts.lookup import FoundWeights, WeightsChoice, find_weights
from hearthwatch.artifacts.samples import SAMPLE, SAMPLES_DIR, SENTENCE
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.artifacts.tokens import TextDescription
from hearthwatch.errors import (
    HearthwatchError,
    InferenceFailed,
    LoadFailed,
    OutOfMemory,
    SettingsError,
    WeightsInvalid,
    WeightsMissing,
)
from hearthwatch.runtimes.base import Engine, EngineName, LoadRequest, Precision, Runtime, RuntimeInfo
from hearthwatch.runtimes.engine_build import load_with_tensorrt
from hearthwatch.runtimes.memory import is_out_of_memory
from hearthwatch.runtimes.rapidocr import RapidOCRRuntime
from hearthwatch.runtimes.select import ALL_ENGINES, load_graph, resolve_device
from hearthwatch.runtimes.upgrade import Progress, UpgradingRuntime
from hearthwatch.settings import TensorRTSettings
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image

_log = logging.getLogger(__name__)

T = TypeVar("T")


def _in_silence(_model: str, _step: str) -> None:
    """A load that nobody watches."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Where weights and caches are, and what may run them. Plain values: `settings` is read by the entry points.

    Attributes:
        models_dir: folder in which weights are looked for.
        cache_dir: compiled networks and verdicts; None keeps none.
        device: auto, cpu, gpu, npu or cuda:N.
        precision: `auto` takes the fastest that the hardware has and whose results agree.
        paths: explicit weight files or folders by model name.
        variables: (name, value) of the environment variable that points at a model's weights, by model name.
        weights: what all models use for which nobody names a file: real ones, or the samples.
        samples_dir: folder with the samples.
        threads: of one call; None leaves it to the engine.
        engines: in the order in which they are tried.
        tensorrt: how each model may use TensorRT, by model name.
        switched_off: models that somebody does not want at all: they are neither offered nor loaded.
        concurrency: calls of one model that are expected at the same time.
        rejected: engines that must not be tried, with the reason of each; they count as passed over.
        allow_slower: where an engine has no room for the network, the next one may try.
        hub_cache: the folder `hub` of Hugging Face's own cache; None looks nowhere.
        progress: told (model, step) while a load takes long, from the thread that loads; it must not raise.
    """

    models_dir: Path
    cache_dir: Path | None = None
    device: str = "auto"
    precision: Literal["auto"] | Precision = "auto"
    paths: dict[str, Path] = field(default_factory=dict)
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)
    weights: WeightsChoice = "real"
    samples_dir: Path = SAMPLES_DIR
    threads: int | None = None
    engines: Sequence[Engine] = ALL_ENGINES
    tensorrt: dict[str, TensorRTSettings] = field(default_factory=dict)
    switched_off: frozenset[str] = frozenset()
    concurrency: int = 1
    rejected: Mapping[EngineName, str] = field(default_factory=dict)
    allow_slower: bool = False
    hub_cache: Path | None = None
    progress: Callable[[str, str], None] = field(default=_in_silence, compare=False, repr=False)

    def given(self, model: str) -> str:
        """Who named a file for a model: "a given path" or the name of a variable; empty where nobody did."""
        if model in self.paths:
            return "a given path"
        return self.variables[model][0] if model in self.variables else ""

    def uses_sample(self, spec: Spec) -> bool:
        """Whether the model answers with sample weights: not where it brings its own, or somebody named a file."""
        return self.weights == "sample" and not spec.bundled and not self.given(spec.name)

    def remarks(self) -> list[str]:
        """Sentences about weights that a person should read before any answer; none where all are real."""
        if self.weights != "sample":
            return []
        named = ", ".join(f"{model} ({self.given(model)})" for model in sorted({*self.paths, *self.variables}))
        return [SENTENCE, *([f"not sample weights, but those that were named: {named}"] if named else [])]


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of one call: before the network, inside the engine, and after it.

    What a model with several graphs computes between them counts as preprocessing of the next one.
    """

    preprocess_ms: float = 0.0
    infer_ms: float = 0.0
    postprocess_ms: float = 0.0

    @property
    def inference_time_ms(self) -> float:
        """Preprocessing, network and postprocessing, as CONTRACT.md defines it."""
        return self.preprocess_ms + self.infer_ms + self.postprocess_ms


class LoadedModel:
    """An adapter with its runtime: answers until it is closed. Safe to call from several threads at once."""

    def __init__(
        self, adapter: Adapter[Any], runtime: Runtime, passed_over: Sequence[tuple[str, str]], notes: Sequence[str] = ()
    ) -> None:
        self.adapter = adapter
        self.runtime = runtime
        self._passed_over = tuple(passed_over)
        self._notes = tuple(notes)

    @property
    def passed_over(self) -> tuple[tuple[str, str], ...]:
        """Engines that do not serve, with the reason of each, as it is now: a build may have changed it since."""
        progress = self.progress
        if progress is None or progress.state == "building_engine":
            return self._passed_over
        rest = tuple((name, reason) for name, reason in self._passed_over if name != "tensorrt")
        return rest if progress.reason is None else (("tensorrt", progress.reason), *rest)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what a person would not expect."""
        return (*self._notes, *self.info.notes)

    @property
    def info(self) -> RuntimeInfo:
        """What runs."""
        return self.runtime.info

    @property
    def progress(self) -> Progress | None:
        """How the build of a better engine goes; None where none is built."""
        return self.runtime.progress if isinstance(self.runtime, UpgradingRuntime) else None

    @property
    def weights(self) -> WeightsOrigin:
        """Whether its answers come from real, sample or custom weights."""
        return self.adapter.description.weights

    def predict(self, images: Sequence[Image]) -> tuple[list[Any], Timings]:
        """N images to N results, with the time it took.

        Raises:
            InferenceFailed: the engine or the decoding of its answer failed, or it looks at no single pictures.
        """
        return self._timed(lambda run: self.looking.predict(images, run))

    def watch(self, clips: Sequence[Array], sentences: Sentences) -> tuple[list[Any], Timings]:
        """N clips, as the adapter makes them of frames, to N results, with the time it took.

        Raises:
            InferenceFailed: the engine or the decoding of its answer failed, or it watches no clips.
        """
        return self._timed(lambda run: self.watching.watch(clips, sentences, run))

    def read(self, texts: Sequence[str]) -> tuple[list[Any], Timings]:
        """N texts to N results, with the time it took.

        Raises:
            InferenceFailed: the engine or the decoding of its answer failed, or it looks at pictures.
        """
        if not isinstance(self.adapter, TextAdapter):
            raise InferenceFailed(f"{self.adapter.SPEC.name} looks at {_subject(self.adapter)} and reads no texts")
        reading: TextAdapter[Any] = self.adapter
        return self._timed(lambda run: reading.read(texts, run))

    @property
    def looking(self) -> PictureAdapter[Any]:
        """The adapter of a model that looks at pictures.

        Raises:
            InferenceFailed: it does not.
        """
        if not isinstance(self.adapter, PictureAdapter):
            raise InferenceFailed(f"{self.adapter.SPEC.name} looks at {_subject(self.adapter)} and not at pictures")
        return self.adapter

    @property
    def watching(self) -> FramesAdapter[Any]:
        """The adapter of a model that watches clips.

        Raises:
            InferenceFailed: it does not.
        """
        if not isinstance(self.adapter, FramesAdapter):
            raise InferenceFailed(f"{self.adapter.SPEC.name} looks at {_subject(self.adapter)} and watches no clips")
        return self.adapter

    def for_boxes(self, image: Image, boxes: Sequence[Box]) -> tuple[list[Any], Timings]:
        """One answer per box, with the time it took.

        Raises:
            BadBox: a box outside the picture.
            InferenceFailed: the engine or the decoding of its answer failed.
        """
        return self._timed(lambda run: list(self.looking.for_boxes(image, boxes, run)))

    def together(self, questions: Sequence[tuple[Image, Sequence[Box]]]) -> tuple[list[list[Any]], Timings]:
        """Several pictures with their boxes in one `predict`; each gets the answers that it would get alone.

        Args:
            questions: pictures with boxes, as `for_boxes` takes them; no boxes asks about the picture.

        Returns:
            The answers to each question, and the time of them all.

        Raises:
            BadBox: a box outside its picture.
            InferenceFailed: the engine or the decoding of its answer failed.
        """
        if not self.adapter.batches():
            raise ValueError(f"{self.adapter.SPEC.name} looks at pictures one by one")
        return self._timed(lambda run: self._together(questions, run))

    def warm_up(self, batch: int = 1) -> None:
        """Answer about a photograph or a sentence, so that the first caller does not pay for an engine's first call.

        Args:
            batch: questions in that call.

        Raises:
            InferenceFailed: it cannot answer.
        """
        if not self.adapter.SPEC.bundled:  # their runtime answers once while it loads
            self._timed(lambda run: answer_some(self.adapter, run, batch))

    def close(self) -> None:
        """Give the memory back."""
        self.runtime.close()

    def _together(self, questions: Sequence[tuple[Image, Sequence[Box]]], run: Run) -> list[list[Any]]:
        adapter = self.looking
        looks = [adapter.looks_at(image, boxes) for image, boxes in questions]
        images = list(itertools.chain.from_iterable(looks))
        results = adapter.predict(images, run)
        if len(results) != len(images):
            raise InferenceFailed(f"{adapter.SPEC.name} gave {len(results)} answers to {len(images)} pictures")
        rest = iter(results)
        return [
            list(adapter.answers(list(itertools.islice(rest, len(look))), boxes))
            for look, (_, boxes) in zip(looks, questions, strict=True)
        ]

    def _timed(self, call: Callable[[Run], list[T]]) -> tuple[list[T], Timings]:
        watch = _Stopwatch(self.runtime.run)
        try:
            results = call(watch.run)
        except HearthwatchError:
            raise
        except Exception as error:
            name = self.adapter.SPEC.name
            if is_out_of_memory(error):
                raise OutOfMemory(f"{name} ran out of memory: {type(error).__name__}: {error}") from error
            raise InferenceFailed(f"{name} failed: {type(error).__name__}: {error}") from error
        return results, watch.timings()


def _subject(adapter: Adapter[Any]) -> str:
    """What an adapter looks at, for a message."""
    if isinstance(adapter, TextAdapter):
        return "texts"
    return "clips" if isinstance(adapter, FramesAdapter) else "pictures"


class _Stopwatch:
    """Tells the time inside the engine from the time around it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._infer_s = 0.0
        self._started = self._last = time.perf_counter()

    def run(self, inputs: Tensors) -> Mapping[str, Array]:
        started = time.perf_counter()
        try:
            return self._run(inputs)
        finally:
            self._last = time.perf_counter()
            self._infer_s += self._last - started

    def timings(self) -> Timings:
        """Of a call that ends now."""
        after = time.perf_counter() - self._last if self._infer_s else 0.0
        before = time.perf_counter() - self._started - self._infer_s - after
        return Timings(max(0.0, before) * 1000, self._infer_s * 1000, after * 1000)


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
