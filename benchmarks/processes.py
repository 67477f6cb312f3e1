"""Fresh processes: several for each job, spread over the whole run so that no slow minute hits one job alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from benchmarks.pairs import Samples
from benchmarks.work import Answer, Job

ROOT = Path(__file__).parents[1]
#: Seconds after which a process counts as hung; the slowest needs a tenth of it.
DEADLINE_S = 900


class MeasurementFailed(Exception):
    """A process ended without an answer; the message has the last line that it printed."""


def run_job(job: Job, rounds: int) -> Answer:
    """Do a job in a fresh process.

    Raises:
        MeasurementFailed: it crashed or hung.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        asked, answered = Path(folder) / "job.json", Path(folder) / "answer.json"
        asked.write_bytes(orjson.dumps({"work": job.work, "arguments": dict(job.arguments), "rounds": rounds}))
        command = [sys.executable, "-m", "benchmarks.child", str(asked), str(answered)]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise MeasurementFailed(f"no answer within {DEADLINE_S} s") from error
        if done.returncode != 0 or not answered.is_file():
            said = done.stderr.strip().splitlines()[-1:]  # the exception; the lines before it are its traceback
            raise MeasurementFailed(*(said or [f"it ended with exit code {done.returncode}"]))
        read = orjson.loads(answered.read_bytes())
    return Answer({name: Samples(**taken) for name, taken in read["samples"].items()}, read["facts"])


def run_jobs(
    jobs: Sequence[Job],
    processes: int,
    rounds: int,
    tell: Callable[[str], None],
    run: Callable[[Job, int], Answer] = run_job,
) -> tuple[dict[str, list[Answer]], dict[str, str]]:
    """Do every job in `processes` fresh processes, in turns: all jobs once, then all jobs again.

    Returns:
        Answers by the job's key, and the reason of each job that failed. A job that failed is not tried again.
    """
    answers: dict[str, list[Answer]] = {job.key: [] for job in jobs}
    failed: dict[str, str] = {}
    for turn in range(processes):
        for number, job in enumerate(jobs, 1):
            if job.key in failed:
                continue
            tell(f"process {turn + 1} of {processes}, job {number} of {len(jobs)}: {job.key}")
            try:
                answers[job.key].append(run(job, min(rounds, job.most_rounds or rounds)))
            except MeasurementFailed as error:
                failed[job.key] = str(error)
                tell(f"failed: {job.key}: {error}")
    return {key: found for key, found in answers.items() if key not in failed}, failed


def readings(answers: Mapping[str, Sequence[Answer]], key: str, alternative: str) -> list[Samples]:
    """What each process of a job read of one alternative."""
    return [answer.samples[alternative] for answer in answers[key]]
