"""RapidOCR as a runtime: PP-OCR's text detection and recognition, whose networks come inside the package's wheel.

RapidOCR runs its own ONNX Runtime sessions; here they get the face of every other engine, so that the model that uses
them is loaded, leased and accounted like the rest.

Input   `pixels` (h, w, 3) uint8 RGB, one picture of any size.
Output  `texts` (N,) str, `scores` (N,) float32, `quads` (N, 4, 2) float32 in pixels of that picture, N lines found;
        `characters` (N, L) float32, the recognition's probability of each character of a line, NaN behind the end of
        the shorter ones, and all NaN for a line whose characters the package does not tell apart.
"""

from __future__ import annotations

import importlib.metadata
import math
import threading
import time
from itertools import zip_longest
from typing import Any

import numpy as np

from hearthwatch.runtimes.base import Array, RuntimeInfo, Tensors
from hearthwatch.runtimes.memory import release_memory
from hearthwatch.runtimes.quiet import import_onnxruntime

#: Larger pictures are shrunk to this for finding the lines; smaller ones stay as they are. The package's default grows
#: a plate to 736 px, which reads fewer plates and takes ten times as long.
DETECTION_LIMIT_PX = 960


class RapidOCRRuntime:
    """PP-OCR through RapidOCR.

    Args:
        threads: of one call; None leaves it to ONNX Runtime.
    """

    def __init__(self, threads: int | None = None) -> None:
        started = time.perf_counter()
        import_onnxruntime()  # before RapidOCR imports it, so that its telemetry is off
        import rapidocr

        parameters: dict[str, Any] = {
            "Global.log_level": "error",
            "Det.limit_type": "max",
            "Det.limit_side_len": DETECTION_LIMIT_PX,
        }
        if threads is not None:
            parameters["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        self._ocr: Any = rapidocr.RapidOCR(params=parameters)
        # Asked for words, the package pairs their characters with the probabilities of all characters, spaces
        # included, so that behind a space each has its neighbour's (rapidocr 3.10, cal_rec_boxes/main.py). Here the
        # step that places words in the picture, which nobody needs, hands the probabilities on as they are.
        self._ocr.cal_rec_boxes = _characters_of_lines
        # Its flags are attributes of the object, so two calls at once would set each other's.
        self._lock = threading.Lock()
        self._read(np.full((48, 160, 3), 255, dtype=np.uint8))  # the sessions are made on the first call
        self._info = RuntimeInfo(
            engine="rapidocr",
            device="cpu",
            precision="f32",
            version=importlib.metadata.version("rapidocr"),
            load_ms=(time.perf_counter() - started) * 1000,
        )

    @property
    def info(self) -> RuntimeInfo:
        return self._info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One picture, not a batch: its lines are the batch of the recognition."""
        found = self._read(np.asarray(inputs["pixels"], dtype=np.uint8))
        texts, scores, quads = found.txts or (), found.scores or (), found.boxes
        return {
            "texts": np.array(texts, dtype=np.str_),
            "scores": np.array(scores, dtype=np.float32),
            "quads": np.zeros((0, 4, 2), np.float32) if quads is None else np.asarray(quads, dtype=np.float32),
            "characters": _probabilities(texts, found.word_results or ()),
        }

    def close(self) -> None:
        self._ocr = None
        release_memory()

    def _read(self, pixels: Array) -> Any:
        with self._lock:
            if self._ocr is None:
                raise RuntimeError("this network is closed")
            # All flags on every call: what one call sets, the next one keeps. BGR is what the package reads.
            return self._ocr(
                np.ascontiguousarray(pixels[..., ::-1]),
                use_det=True,
                use_cls=False,
                use_rec=True,
                return_word_box=True,
                return_single_char_box=False,
            )


def _characters_of_lines(_crops: Any, _quads: Any, read: Any, _single: bool = False) -> Any:
    """In place of the package's `CalRecBoxes`: (character, probability, where) of each line, without the where.

    Another version of the package costs the probabilities and never the text: NaN where there is not one a character.
    """
    rows = []
    for text, line in zip_longest(read.txts, read.word_results[: len(read.txts)]):
        sure = list(getattr(line, "confs", ()))
        known = sure if len(sure) == len(text) else [math.nan] * len(text)
        rows.append(tuple((sign, value, ()) for sign, value in zip(text, known, strict=True)))
    read.word_results = tuple(rows)
    return read


def _probabilities(texts: Any, lines: Any) -> Array:
    """(N, L) of N texts; NaN where there is no character, or none that is known to be that of the text."""
    told = np.full((len(texts), max(map(len, texts), default=0)), np.nan, np.float32)
    if len(lines) != len(texts):
        return told
    for row, text, line in zip(told, texts, lines, strict=True):
        if isinstance(line, tuple) and [sign for sign, *_ in line] == list(text):
            row[: len(text)] = [sure for _, sure, *_ in line]
    return told
