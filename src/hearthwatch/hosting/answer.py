"""What a worker does with calls that it took: decode, run the model, tell who waits.

Before each step it looks whether anybody still waits for the answer. Nothing is raised here: a failure is an outcome.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hearthwatch.adapter.base import Adapter, PictureAdapter
from hearthwatch.adapter.frames import FramesAdapter
from hearthwatch.adapter.loaded import LoadedModel, Timings
from hearthwatch.adapter.spec import Scope
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed
from hearthwatch.hosting.queue import Work
from hearthwatch.hosting.watching import Clips, Read, watch_frames
from hearthwatch.vision.image import Image

#: How much larger than the input a squashed picture stays when it is decoded at reduced size. Embeddings of OSNet agree
#: with those of the full picture to a cosine of 0.999 then (frames, photographs, crops enlarged to 1080 rows); where
#: each side only just keeps the input's pixels, to 0.995.
SQUASH_RESERVE = 1.5

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Task:
    """One call with what is needed to answer it.

    Attributes:
        call: the question.
        loaded: the model, once it is in memory; leased until `deliver` was called.
        load_ms: what the call waited for it.
        read: the labels that a clip is compared with; None for models that compare with none.
        one_by_one: run its boxes or texts one after the other, which takes the least memory.
        deliver: takes the outcomes, from a worker's thread; the first ones count.
    """

    call: ModelCall
    loaded: LoadedModel
    load_ms: float = 0.0
    read: Read | None = None
    deliver: Callable[[list[Outcome]], object] = lambda _outcomes: None
    one_by_one: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """A call whose picture is decoded, or whose frames are clips; without any where it is about texts."""

    work: Work[Task]
    image: Image | None
    decode_ms: float
    clips: Clips | None = None


def answer(batch: Sequence[Work[Task]], clock: Callable[[], float] = time.monotonic) -> None:
    """Answer calls of one model.

    Args:
        batch: calls that may be answered together.
        clock: seconds, of the deadlines.
    """
    try:
        questions = [question for work in batch if (question := _prepare(work, clock)) is not None]
        if len(questions) > 1 and _answer_together(questions, clock):
            return
        # One by one also where the batch failed: one bad call must not cost the others their answers.
        for question in questions:
            if _wanted(question.work, clock):
                _answer_one(question)
    finally:
        # Whatever went wrong here: who waits for an outcome and gets none would wait for ever.
        for work in batch:
            call = work.task.call
            work.task.deliver(failed(call, InferenceFailed(f"{call.model} gave no answer")))


def failed(call: ModelCall, error: HearthwatchError, timings: CallTimings | None = None) -> list[Outcome]:
    """The same failure for each question of a call."""
    return [Outcome(call.model, error=error, timings=timings or CallTimings())] * call.questions


def reduced_side(call: ModelCall, adapter: Adapter[Any]) -> int | None:
    """Pixels of the longer side that are enough for this call; None where it needs the picture as it is.

    A letterboxed input shows the longer side in its own; a squashed one needs each side of the picture to keep more
    pixels than that side of the input has.
    """
    if not call.alone or call.boxes or call.frames or call.picture is None or not isinstance(adapter, PictureAdapter):
        return None
    if adapter.input.resize == "crop":
        return None  # CLIP's: what its embeddings lose was not measured on real weights
    height, width = adapter.input.size
    if adapter.input.resize == "letterbox":
        return max(height, width)
    columns, rows = call.picture.size
    return math.ceil(SQUASH_RESERVE * max(columns, rows) * max(height / rows, width / columns))


def _prepare(work: Work[Task], clock: Callable[[], float]) -> _Question | None:
    """Decode, unless nobody waits; None where the call has its outcome."""
    if not _wanted(work, clock):
        return None
    task, started = work.task, time.perf_counter()
    try:
        if isinstance(task.loaded.adapter, FramesAdapter):
            return _prepare_clips(work, task.loaded.adapter, clock)
        picture = task.call.picture
        image = None if picture is None else picture.image(reduced_side(task.call, task.loaded.adapter))
    except Exception as error:  # noqa: BLE001 - a failure is an outcome
        task.deliver(failed(task.call, _typed(error, task.call.model)))
        return None
    return _Question(work, image, (time.perf_counter() - started) * 1000) if _wanted(work, clock) else None


def _prepare_clips(work: Work[Task], adapter: FramesAdapter[Any], clock: Callable[[], float]) -> _Question | None:
    """Decode what a clip shows, as long as somebody waits."""
    clips = watch_frames(work.task.call, adapter, lambda: _wanted(work, clock))
    if clips is None or not _wanted(work, clock):
        return None
    return _Question(work, None, clips.decode_ms, clips)


def _wanted(work: Work[Task], clock: Callable[[], float]) -> bool:
    """Whether somebody waits for the answer; where nobody does, the call gets its outcome."""
    if not work.cancelled and (work.deadline is None or clock() < work.deadline):
        return True
    model = work.task.call.model
    work.task.deliver(failed(work.task.call, DeadlineExceeded(f"the deadline passed before {model} answered")))
    return False


def _answer_together(questions: Sequence[_Question], clock: Callable[[], float]) -> bool:
    """One `predict` for all that are wanted; False, and nothing is delivered, where it fails."""
    wanted = [question for question in questions if _wanted(question.work, clock)]
    if not wanted:
        return True
    loaded = wanted[0].work.task.loaded
    try:
        asked = [(question.image, question.work.task.call.boxes) for question in wanted if question.image is not None]
        results, timings = loaded.together(asked)
    except Exception:  # noqa: BLE001 - each is asked again by itself, and fails by itself
        return False
    for question, own in zip(wanted, results, strict=True):
        _deliver(question, own, timings)
    return True


def _answer_one(question: _Question) -> None:
    task = question.work.task
    try:
        results, timings = _results(task, question.image) if question.clips is None else _watched(task, question.clips)
    except Exception as error:  # noqa: BLE001 - a failure is an outcome
        task.deliver(failed(task.call, _typed(error, task.call.model), _times(question, Timings())))
        return
    _deliver(question, results, timings)


def _results(task: Task, image: Image | None) -> tuple[list[Any], Timings]:
    call, loaded = task.call, task.loaded
    if image is None:
        return _in_parts(lambda text: loaded.read([text]), call.texts) if task.one_by_one else loaded.read(call.texts)
    if not call.boxes:
        return loaded.predict([image])
    if task.one_by_one and loaded.adapter.scope is Scope.CROP:
        return _in_parts(lambda box: loaded.for_boxes(image, [box]), call.boxes)
    return loaded.for_boxes(image, call.boxes)


def _watched(task: Task, clips: Clips) -> tuple[list[Any], Timings]:
    """The answers about clips; reading the labels counts, where it had to be done."""
    if task.read is None:
        raise InferenceFailed(f"{task.call.model} was given no labels to compare with")
    results, times = task.loaded.watch(clips.arrays, task.read.sentences)
    read = task.read.timings
    return results, Timings(
        preprocess_ms=clips.preprocess_ms + times.preprocess_ms + read.preprocess_ms,
        infer_ms=times.infer_ms + read.infer_ms,
        postprocess_ms=times.postprocess_ms + read.postprocess_ms,
    )


def _in_parts(ask: Callable[[T], tuple[list[Any], Timings]], questions: Sequence[T]) -> tuple[list[Any], Timings]:
    """One question after the other."""
    parts = [ask(question) for question in questions]
    times = [times for _, times in parts]
    return [result for results, _ in parts for result in results], Timings(
        preprocess_ms=sum(part.preprocess_ms for part in times),
        infer_ms=sum(part.infer_ms for part in times),
        postprocess_ms=sum(part.postprocess_ms for part in times),
    )


def _deliver(question: _Question, results: Sequence[Any], timings: Timings) -> None:
    call, times = question.work.task.call, _times(question, timings)
    if len(results) != call.questions:
        miscounted = InferenceFailed(f"{call.model} gave {len(results)} answers to {call.questions} questions")
        question.work.task.deliver(failed(call, miscounted, times))
        return
    weights = question.work.task.loaded.weights
    question.work.task.deliver([Outcome(call.model, result, weights=weights, timings=times) for result in results])


def _times(question: _Question, timings: Timings) -> CallTimings:
    work = question.work
    return CallTimings(
        decode_ms=question.decode_ms,
        queue_ms=(work.taken_at - work.ready_at) * 1000,
        load_ms=work.task.load_ms,
        preprocess_ms=timings.preprocess_ms,
        infer_ms=timings.infer_ms,
        postprocess_ms=timings.postprocess_ms,
    )


def _typed(error: Exception, model: str) -> HearthwatchError:
    if isinstance(error, HearthwatchError):
        return error
    return InferenceFailed(f"{model} failed: {type(error).__name__}: {error}")
