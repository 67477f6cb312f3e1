"""BentoML with the same engine, decoder and arithmetic as our service, in one worker of two threads.

A picture comes as base64 in JSON. `python -m bentoml serve benchmarks.baselines.bentoml_service:PersonReID`, with the
subject in the variable BENCHMARK_SUBJECT: BentoML's workers get no arguments.
"""

from __future__ import annotations

import os
from typing import Any

import bentoml
import orjson
import pybase64

from benchmarks.baselines.same_work import Subject, prepare

VARIABLE = "BENCHMARK_SUBJECT"
THREADS = 2


@bentoml.service(workers=1, threads=THREADS)  # type: ignore[misc, untyped-decorator, unused-ignore]  # untyped library
class PersonReID:
    """One route."""

    def __init__(self) -> None:
        self._answer = prepare(Subject(**orjson.loads(os.environ[VARIABLE])))  # noqa: TID251 - see above

    @bentoml.api(route="/person-reid")  # type: ignore[misc, untyped-decorator, unused-ignore]
    def person_reid(self, image: str) -> dict[str, Any]:
        """The embedding as a list of numbers."""
        result = self._answer(pybase64.b64decode(image))
        return {"embedding": result.embedding.tolist(), "embedding_dim": len(result.embedding)}
