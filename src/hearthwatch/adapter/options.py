"""`LoadOptions`: where weights and caches are, and what may run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.lookup import WeightsChoice
from hearthwatch.artifacts.samples import SAMPLES_DIR, SENTENCE
from hearthwatch.runtimes.base import Engine, EngineName, Precision
from hearthwatch.runtimes.select import ALL_ENGINES
from hearthwatch.settings import TensorRTSettings


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
