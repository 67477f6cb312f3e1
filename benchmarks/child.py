"""One measuring process: `python -m benchmarks.child JOB ANSWER`, both of them JSON files."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from benchmarks import ceiling, clip, decoding, engine_works, enrich, method, networks, pipeline, prompt, scene, whole
from benchmarks.pairs import interleave
from benchmarks.serving import cold, health, throughput
from benchmarks.serving.windows import in_turns
from benchmarks.work import Work

WORKS: Mapping[str, Callable[..., Work]] = {
    "method": method.work,
    "decode": decoding.work,
    "prepare": scene.work,
    "network": networks.work,
    "analyze": whole.work,
    "threads": whole.threads_work,
    "ceiling": ceiling.work,
    "export": engine_works.export_work,
    "engine": engine_works.work,
    "load": engine_works.load_work,
    "clip weights": clip.weights_work,
    "clothing weights": enrich.clothing_work,
    "clip": clip.work,
    "clip load": clip.load_work,
    "enrich": enrich.work,
    "pipeline": pipeline.work,
    "pipeline one by one": pipeline.one_by_one_work,
    "prompt": prompt.work,
    "prompt cache": prompt.cache_work,
    "enrich tight": enrich.tight_work,
    "enrich loads": enrich.loads_work,
    "serving rate": throughput.work,
    "serving trivial": throughput.trivial_work,
    "serving cold": cold.work,
    "serving health": health.work,
}


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do one job: `{work, arguments, rounds}` to `{samples, facts}`."""
    ready = WORKS[job["work"]](**job["arguments"])
    try:
        gc.collect()
        samples = interleave(ready.alternatives, job["rounds"]) | in_turns(ready.windows, job["rounds"])
        return {"samples": {name: asdict(taken) for name, taken in samples.items()}, "facts": dict(ready.facts())}
    finally:
        ready.close()


def main() -> None:
    job, place = (Path(argument) for argument in sys.argv[1:3])
    # A file, because libraries print to the standard output what they like.
    place.write_bytes(orjson.dumps(answer(orjson.loads(job.read_bytes())), option=orjson.OPT_SERIALIZE_NUMPY))


if __name__ == "__main__":
    main()
