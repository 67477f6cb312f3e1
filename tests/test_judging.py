"""`hearthwatch analyze --llm`: who judges a run, and that a language model that dies takes no event with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import orjson
import pytest
import typer

from fault_server import answer, fault_server
from hearthwatch.analysis import Analyzer, Event, by_rules
from hearthwatch.cli.judging import Judging, judge_by
from hearthwatch.models.yolo26 import Detection, Detections
from hearthwatch.risk import LanguageModelConfig
from hearthwatch.settings import read_settings
from hearthwatch.vision.boxes import Box
from language_models import NAME, chat, told
from scene import FakeRunner, picture
from test_cli_analyze import BUNDLED, MISSING, run


@pytest.fixture(autouse=True)
def nobody_named_a_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_URL", "LLM_MODEL", "HEARTHWATCH_ALLOW_REMOTE_LLM"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def dying_model() -> Iterator[str]:
    """Its address."""
    script = Path(__file__).with_name("dying_model.py")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_language_model_that_is_killed_in_the_middle_leaves_the_rest_to_the_rules(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('[{"id": "a", "label": "person", "bbox": [60, 0, 420, 512]}]')
    photos = [copy(BUNDLED, tmp_path / f"{number}.jpg") for number in range(3)]
    options = ("--detections", boxes, "--json", "--out", tmp_path / "report", "--at", "2026-11-20T12:00")
    with dying_model() as url:
        code, out, err = run(*photos, *options, "--llm", url, cache=tmp_path, **MISSING, ENRICHMENT_MAX_RETRIES="2")
    assert code == 0, err
    first, *others = orjson.loads(out)["events"]
    assert (first["risk"]["source"], first["risk"]["risk_score"], first["risk"]["fallback"]) == (NAME, 25, None)
    assert first["timings_ms"]["language_model"] > 0
    for event in others:
        assert (event["risk"]["source"], event["risk"]["risk_score"]) == ("rules", 20)
        assert "nobody listens" in event["risk"]["fallback"]
        assert "language_model" not in event["timings_ms"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"Judged by {NAME}" in page
    assert page.count("The rules stood in") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--llm", "ftp://porch"), "no address"),
        (("--llm", "http://user:secret@porch"), "no address"),
        (("--llm", "http://93.184.215.14:8091"), "--allow-remote-llm"),
        (("--llm", "http://porch:99999"), "cannot be used"),
    ],
)
def test_a_language_model_that_may_not_be_asked_is_wrong_usage(
    options: tuple[str, str], words: str, tmp_path: Path
) -> None:
    code, out, err = run(BUNDLED, *options, cache=tmp_path, **MISSING)
    assert (code, out) == (2, "")
    assert words in " ".join(err.split())
    assert "Traceback" not in err


def somebody(_box: Box) -> Detections:
    return Detections((Detection("person", 0.9, Box(20, 10, 60, 110)),))


def judged(options: dict[str, Any], *names: str) -> tuple[list[Event], list[str]]:
    """One picture with somebody in it, judged as options say."""
    told_to_the_user: list[str] = []

    async def story() -> list[Event]:
        async with judge_by(Judging.of(read_settings(), **options), told_to_the_user.append) as judge:
            runner = FakeRunner(
                finds={"yolo26": lambda _box: Detections((Detection("person", 0.9, Box(20, 10, 60, 110)),))}
            )
            analyzer = Analyzer(runner, judge=judge)
            return [await analyzer.analyze(picture(), name) for name in names or ("porch.jpg",)]

    return asyncio.run(story()), told_to_the_user


def test_a_language_model_judges_from_the_facts() -> None:
    async def story() -> tuple[Event, dict[str, Any]]:
        async with fault_server(chat(told())) as server:
            judging = Judging(LanguageModelConfig(server.url, "any"))
            async with judge_by(judging, print) as judge:
                analyzer = Analyzer(FakeRunner(finds={"yolo26": somebody}), judge=judge)
                event = await analyzer.analyze(picture(), "porch.jpg")
            return event, orjson.loads(server.received[0].body)

    event, body = asyncio.run(story())
    assert (event.risk.source, event.risk.risk_score) == ("any", 25)
    assert event.timings_ms["language_model"] == event.risk.latency_ms
    assert "person in view" in body["messages"][1]["content"]


def test_without_a_language_model_the_rules_judge() -> None:
    (event,), said = judged({"url": None})
    assert (event.risk.source, event.risk.fallback, said) == ("rules", None, [])


def test_none_is_the_rules_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_URL", "http://127.0.0.1:9")
    assert Judging.of(read_settings(), "none").config is None
    named = Judging.of(read_settings(), None).config
    assert named is not None
    assert named.url == "http://127.0.0.1:9"


def test_a_name_that_nobody_knows_is_told_at_once_and_the_rules_judge() -> None:
    (event,), (sentence,) = judged({"url": "http://no-such-host.invalid:8091"})
    assert "no-such-host.invalid" in sentence
    assert event.risk.source == "rules"
    assert "no-such-host.invalid" in str(event.risk.fallback)


def test_who_allows_a_language_model_elsewhere_is_told_what_leaves() -> None:
    async def story() -> list[str]:
        said: list[str] = []
        judging = Judging.of(read_settings(), "http://192.0.2.1:8091", allow_remote=True)
        async with judge_by(judging, said.append):
            return said

    (sentence,) = asyncio.run(story())
    assert "pseudonyms" in sentence


def test_the_environment_can_allow_it_and_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_URL", "http://192.0.2.1:8091")
    with pytest.raises(typer.BadParameter, match="HEARTHWATCH_ALLOW_REMOTE_LLM"):
        judged({"url": None})
    monkeypatch.setenv("HEARTHWATCH_ALLOW_REMOTE_LLM", "true")
    config = Judging.of(read_settings(), None).config
    assert config is not None
    assert config.allow_remote


def test_a_refusal_is_no_end_of_the_run() -> None:
    async def story() -> str:
        async with fault_server(answer({"error": {"message": "no such model"}}, 400)) as server:
            events, _ = await asyncio.to_thread(judged, {"url": server.url}, "a.jpg", "b.jpg")
            return " ".join(str(event.risk.fallback) for event in events)

    assert asyncio.run(story()).count("no such model") == 2


def test_the_rules_are_a_judge_like_any_other() -> None:
    (event,), _ = judged({"url": None})
    assert asyncio.run(by_rules(event.scene, event.detections, None)) == event.risk
