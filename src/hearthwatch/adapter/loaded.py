"""`LoadedModel`: an adapter with its runtime, which answers until it is closed, and the time of each call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hearthwatch.adapter.base import Adapter, Array, PictureAdapter, Run, Tensors, TextAdapter
from hearthwatch.adapter.frames import FramesAdapter, Sentences
from hearthwatch.adapter.samples import answer_some
from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.errors import HearthwatchError, InferenceFailed, OutOfMemory
from hearthwatch.runtimes.base import Runtime, RuntimeInfo
from hearthwatch.runtimes.memory import is_out_of_memory
from hearthwatch.runtimes.upgrade import Progress, UpgradingRuntime
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image

T = TypeVar("T")


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
