"""Calls about clips: frames are decoded one by one, and labels are read by the model's text tower and kept.

A model that compares clips with labels (`FramesAdapter`) has a text tower beside it (`Spec.reader`). Who asks the one
needs not know of the other: this process offers it as well, looks for its weights in the same place, and asks it before
the model itself is loaded, so that the two need not be in memory together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from hearthwatch.adapter.base import Adapter, Array
from hearthwatch.adapter.frames import FramesAdapter, Sentences, check_count, labels_or, make_clips, of_frame
from hearthwatch.adapter.loaded import Timings
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.enrichment.runner import ModelCall, Runner
from hearthwatch.enrichment.texts import TextEmbeddings
from hearthwatch.errors import InputError
from hearthwatch.models import get_model
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Labels as a text tower read them, and the time that it took; none where they were kept from before."""

    sentences: Sentences
    timings: Timings


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """One clip per box, or one of the whole pictures, each (frames, 3, H, W); the time of making them."""

    arrays: list[Array]
    decode_ms: float
    preprocess_ms: float


class Readers:
    """The text towers of one runner's models. One event loop at a time may use it.

    Args:
        runner: where they run.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._texts: dict[str, TextEmbeddings] = {}

    async def read(self, call: ModelCall, adapter: type[Adapter[Any]], digest: str | None) -> Read | None:
        """The labels of a call; None for a model that compares with none.

        Args:
            call: the question.
            adapter: of the model that is asked.
            digest: of the weights that clips are watched by, where they are loaded; None where that is not known.

        Raises:
            InputError: labels that are none, or more than are allowed.
            HearthwatchError: the text tower failed.
        """
        if not issubclass(adapter, FramesAdapter):
            return None
        labels = labels_or(dict(call.options).get("labels"), adapter.LABELS)
        reader = adapter.SPEC.reader
        texts = self._texts.setdefault(reader, TextEmbeddings(self._runner, reader))
        found = await texts.embed(labels, digest=digest, deadline=call.deadline)
        cut = tuple(labels[index] for index in found.truncated)
        times = found.timings
        return Read(
            Sentences(labels, found.embeddings, found.digest, cut),
            Timings(times.preprocess_ms, times.infer_ms, times.postprocess_ms),
        )


def with_readers(
    models: Iterable[type[Adapter[Any]]], options: LoadOptions
) -> tuple[list[type[Adapter[Any]]], LoadOptions]:
    """The models with the text towers that they need, which are looked for where their models are."""
    offered = list(models)
    names = {model.SPEC.name for model in offered}
    paths, variables = dict(options.paths), dict(options.variables)
    for model in list(offered):
        name, reader = model.SPEC.name, model.SPEC.reader
        if not reader:
            continue
        if reader not in names:
            offered.append(get_model(reader))
        if reader not in paths and reader not in variables:
            paths |= {reader: paths[name]} if name in paths else {}
            variables |= {reader: variables[name]} if name in variables else {}
    return offered, replace(options, paths=paths, variables=variables)


def watch_frames(call: ModelCall, adapter: FramesAdapter[Any], wanted: Callable[[], bool]) -> Clips | None:
    """The clips of a call; None where nobody waits for the answer any more.

    Frames that are shown are decoded, one after the other, and their pixels are let go; of the others only the header
    is read. A box means the same place in every frame, whatever size a frame has.

    Raises:
        ImageError: a picture or a frame that is none; of a frame the message says which.
        InputError: too many frames, or a box outside.
    """
    if call.picture is None:
        raise InputError(f"{call.model} watches pictures, and was given none")
    check_count(len(call.frames) or 1)
    for index, frame in enumerate(call.frames):
        with of_frame(index):
            _ = frame.size
    ahead = 0 if any(_same(frame, call.picture) for frame in call.frames) else 1
    pictures = [call.picture] * ahead + list(call.frames)
    decode_ms = preprocess_ms = 0.0

    def show(index: int) -> Array:
        nonlocal decode_ms, preprocess_ms
        if not wanted():
            raise _NobodyWaits
        started = time.perf_counter()
        image = _decode(pictures[index], index - ahead)
        decoded = time.perf_counter()
        row = adapter.look(image, [_in_frame(box, call.picture, image) for box in call.boxes])
        decode_ms += (decoded - started) * 1000
        preprocess_ms += (time.perf_counter() - decoded) * 1000
        return row

    try:
        return Clips(make_clips(len(pictures), adapter.frames, show), decode_ms, preprocess_ms)
    except _NobodyWaits:
        return None


class _NobodyWaits(Exception):
    """The call's outcome is delivered already."""


def _same(frame: Picture, picture: Picture) -> bool:
    return frame is picture or (frame.data is not None and frame.data == picture.data)


def _decode(picture: Picture, index: int) -> Image:
    """The pixels; below 0 it is the picture itself, which needs no number."""
    if index < 0:
        return picture.image()
    with of_frame(index):
        return picture.image(keep=False)


def _in_frame(box: Box, picture: Picture | None, image: Image) -> Box:
    """A box of the picture, in pixels of a frame of the same view."""
    width, height = (image.width, image.height) if picture is None else picture.size
    x, y = image.width / width, image.height / height
    return Box(box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y)
