"""The work of a route in a loop of a few threads, without HTTP: what a server on this machine cannot exceed.

`python -m benchmarks.baselines.bare_loop SUBJECT PICTURE`: a companion that runs the loop for some seconds when asked.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.baselines.same_work import Subject, prepare
from benchmarks.serving.companion import Question, answer_lines


def main() -> None:
    subject, data = Subject(**orjson.loads(sys.argv[1])), Path(sys.argv[2]).read_bytes()
    work = prepare(subject)

    def answer(question: Question) -> dict[str, Any]:
        if "threads" in question:
            return loop(lambda: work(data), question["threads"], question["seconds"])
        return {"embedding": getattr(work(data), "embedding", None)}

    answer_lines(answer)


def loop(
    call: Callable[[], object],
    threads: int,
    seconds: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """Call from so many threads until the seconds are over; what has begun is finished.

    Returns:
        `count`, `elapsed_s` until the last call ended, `cpu_s`.
    """
    counts, failed = [0] * threads, list[Exception]()
    cpu, started = cpu_clock(), clock()

    def repeat(number: int) -> None:
        try:
            while not counts[number] or clock() - started < seconds:
                call()
                counts[number] += 1
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked
            failed.append(error)

    workers = [threading.Thread(target=repeat, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]
    return {"count": sum(counts), "elapsed_s": clock() - started, "cpu_s": cpu_clock() - cpu}


if __name__ == "__main__":
    main()
