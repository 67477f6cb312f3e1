"""A real llama.cpp server with a tiny random model: it is held to the schema, and its death is no end of anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError

import pytest

from hearthwatch.client import RetryPolicy
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, RiskAssessment, assess
from scene import detection
from test_nemotron import ask

VARIABLE = "HEARTHWATCH_TEST_LLAMA_SERVER"
SCENE = collect_facts([detection("p", dwell_s=90.0)], None, datetime(2026, 11, 20, 12, tzinfo=UTC))
#: One token a character, and the schema allows a few thousand of them.
MANY_TOKENS = 6000
READY_S = 60.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program() -> str:
    found = os.environ.get(VARIABLE) or shutil.which("llama-server")
    if found is None:
        pytest.skip(f"no llama-server on PATH, and {VARIABLE} names none (docs/language-model.md says how to build it)")
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gguf", reason="the package gguf, which writes the tiny model, is not installed")
    from tools.tiny_language_model import write

    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write(path)
    return path


@contextmanager
def serving(program: str, model: Path, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--ctx-size", "16384",
               "--threads", "1", "--parallel", "1"]  # fmt: skip
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + READY_S
            while not _is_ready(url):
                assert process.poll() is None, log.read_text(errors="replace")[-4000:]
                assert time.monotonic() < until, log.read_text(errors="replace")[-4000:]
                time.sleep(0.1)
            yield url, process
        finally:
            process.kill()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - of this machine
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def server(program: str, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(program, model, tmp_path_factory.mktemp("log") / "log") as (url, _):
        yield url


def judge(url: str, times: int = 1, **options: int) -> list[RiskAssessment]:
    async def story() -> list[RiskAssessment]:
        config = LanguageModelConfig(url, max_tokens=options.get("max_tokens", MANY_TOKENS))
        async with NemotronAnalyzer(config) as analyzer:
            return [await analyzer.analyze(SCENE, ask) for _ in range(times)]

    return asyncio.run(story())


@pytest.mark.parametrize("path", ["", "/completion"])
def test_a_real_server_holds_even_a_random_model_to_the_schema(server: str, path: str) -> None:
    (risk,) = judge(server + path)
    assert risk.fallback is None
    assert "tiny" in risk.source
    assert 0 <= risk.risk_score <= 59
    assert risk.recommended_action is not None or risk.reasons
    assert risk.confidence_factors is not None
    assert risk.latency_ms is not None


@pytest.mark.parametrize("path", ["", "/completion"])
def test_the_same_event_is_judged_the_same(server: str, path: str) -> None:
    first, second = judge(server + path, 2)
    assert (first.risk_score, first.summary, first.reasoning, first.flags) == (
        second.risk_score, second.summary, second.reasoning, second.flags,
    )  # fmt: skip


def test_an_answer_that_does_not_fit_is_no_answer(server: str) -> None:
    (risk,) = judge(server, max_tokens=64)
    assert risk.source == "rules"
    assert "cut off" in str(risk.fallback)


def test_a_killed_server_leaves_the_rules(program: str, model: Path, tmp_path: Path) -> None:
    async def story(url: str, process: subprocess.Popen[bytes]) -> list[RiskAssessment]:
        config = LanguageModelConfig(url, max_tokens=MANY_TOKENS, retries=RetryPolicy(attempts=1))
        async with NemotronAnalyzer(config) as analyzer:
            first = await analyzer.analyze(SCENE, ask)
            asked = asyncio.create_task(analyzer.analyze(SCENE, ask))
            await asyncio.sleep(0.05)
            process.kill()
            return [first, await asked, await analyzer.analyze(SCENE, ask)]

    with serving(program, model, tmp_path / "log") as (url, process):
        first, during, after = asyncio.run(story(url, process))
    assert first.fallback is None
    for risk in (during, after):
        assert (risk.source, risk.risk_score) == ("rules", assess(SCENE).risk_score)
        assert risk.fallback
