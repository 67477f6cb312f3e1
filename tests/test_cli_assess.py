"""`hearthwatch assess`: recorded events are judged again, and what changes is shown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from threading import Thread
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from events import armed_event, busy_event, hostile_event, make_event
from fault_server import Fault, fault_server
from hearthwatch.cli import app
from hearthwatch.recording import RecordedEvent, Unreadable, read_events, record, to_line
from hearthwatch.report import write_reports
from hearthwatch.risk.points import VERSION, Points
from language_models import NAME, chat, told
from test_cli_analyze import BUNDLED, MISSING, run


@pytest.fixture(autouse=True)
def nobody_named_a_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_URL", "LLM_MODEL", "HEARTHWATCH_ALLOW_REMOTE_LLM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """What `analyze --out` writes of three events."""
    folder = tmp_path / "report"
    write_reports([busy_event(source="busy.jpg"), armed_event(), make_event(source="empty.jpg")], [], folder)
    return folder


def assess(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["assess", *map(str, arguments)])


def points(folder: Path, content: str) -> Path:
    path = folder / "mine.json"
    path.write_text(content, encoding="utf-8")
    return path


def recorded(path: Path) -> list[RecordedEvent]:
    events = list(read_events(path))
    assert not any(isinstance(event, Unreadable) for event in events)
    return events  # type: ignore[return-value]


def with_model(arguments: Callable[[str], list[str | Path]], *faults: Fault) -> tuple[Result, list[dict[str, Any]]]:
    """A run beside a language model, and what that was asked."""
    results: list[Result] = []

    async def story() -> list[dict[str, Any]]:
        async with fault_server(*faults) as server:
            thread = Thread(target=lambda: results.append(assess(*arguments(server.url))))
            thread.start()
            await asyncio.to_thread(thread.join)
            return [orjson.loads(request.body) for request in server.received]

    asked = asyncio.run(story())
    return results[0], asked


def test_the_same_rules_give_the_same_scores(report: Path) -> None:
    told = assess(report)
    assert told.exit_code == 0
    assert told.stdout == "3 events: 3 with the same score, 0 higher, 0 lower; +0.0 points on average\n"


def test_other_points_show_what_they_change(report: Path, tmp_path: Path) -> None:
    told = assess(report, "--points", points(tmp_path, '{"presence": {"person": 25}, "night": 0}'))
    assert told.exit_code == 0
    # At night: five more for being there, fifteen less for the hour.
    assert "busy.jpg" in told.stdout
    assert "- +15 at night (23:15)" in told.stdout
    assert f"judged by rules ({VERSION}), now by rules ({VERSION}+" in told.stdout
    assert "empty.jpg" not in told.stdout
    assert "empty.jpg" in assess(report, "--all").stdout


def test_the_result_as_json_has_both_judgements_and_the_sum(report: Path, tmp_path: Path) -> None:
    told = assess(report, "--points", points(tmp_path, '{"presence": {"person": 0, "vehicle": 0}}'), "--json")
    result = orjson.loads(told.stdout)
    assert [event["source"] for event in result["events"]] == ["busy.jpg", "porch.jpg", "empty.jpg"]
    for event in result["events"]:
        assert event["difference"] == event["after"]["risk_score"] - event["before"]["risk_score"]
        assert event["before"]["version"] == VERSION
        assert event["after"]["version"].startswith(f"{VERSION}+")
    assert result["summary"]["lower"] == 2
    assert result["summary"]["events"] == 3


def test_what_is_recorded_can_be_judged_again(report: Path, tmp_path: Path) -> None:
    other = points(tmp_path, '{"presence": {"person": 25}}')
    first = assess(report, "--points", other, "--out", tmp_path / "new" / "judged.jsonl")
    assert first.exit_code == 0
    new = recorded(tmp_path / "new" / "judged.jsonl")
    old = recorded(report / "events.jsonl")
    assert [event.scene() for event in new] == [event.scene() for event in old]
    assert new[0].risk.version.startswith(f"{VERSION}+")
    again = assess(tmp_path / "new" / "judged.jsonl", "--points", other)
    assert "3 with the same score" in again.stdout


def test_a_language_model_judges_the_recorded_facts(report: Path) -> None:
    told_, asked = with_model(lambda url: [report, "--llm", url, "--json"], *[chat(told(risk_score=40))] * 3)
    assert told_.exit_code == 0
    result = orjson.loads(told_.stdout)
    assert {event["after"]["source"] for event in result["events"]} == {NAME}
    assert "posture crouching" in asked[0]["messages"][1]["content"]
    assert "Time: 2026-01-03 23:15" in asked[0]["messages"][1]["content"]


def test_a_prompt_of_ones_own_is_asked_with_and_has_its_version(report: Path, tmp_path: Path) -> None:
    (tmp_path / "event.j2").write_text("Mine, {{ counted }}\n{% for h, lines in groups %}{{ lines[0] }}\n{% endfor %}")
    arguments = lambda url: [report, "--llm", url, "--prompt", tmp_path, "--json"]  # noqa: E731
    told_, asked = with_model(arguments, *[chat(told())] * 3)
    assert told_.exit_code == 0
    assert asked[0]["messages"][1]["content"].startswith("Mine, people 2")
    assert "You judge events" in asked[0]["messages"][0]["content"]
    versions = {event["after"]["version"] for event in orjson.loads(told_.stdout)["events"]}
    assert len(versions) == 1
    assert versions.pop().startswith("prompt-1+")


def test_where_the_language_model_cannot_judge_it_is_said(report: Path) -> None:
    told_, _ = with_model(lambda url: [report, "--llm", url], *[chat("no answer")] * 6)
    assert told_.exit_code == 0
    assert "the rules stood in for the language model: 3 of 3 times" in told_.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--points", "none.json"), "No such file"),
        (("--points", "bad.json"), "nigth: is no point"),
        (("--llm", "http://127.0.0.1:9", "--points", "good.json"), "--llm none"),
        (("--prompt", "."), "add --llm"),
        (("--llm", "http://127.0.0.1:9", "--prompt", "."), "neither system.j2 nor event.j2"),
        (("--llm", "http://127.0.0.1:9", "--prompt", "broken"), "event.j2 cannot be used"),
        (("--llm", "http://127.0.0.1:9", "--prompt", "curious"), "event.j2 cannot be used"),
        (("--llm", "ftp://porch"), "no address"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(
    options: tuple[str, ...], words: str, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text('{"nigth": 5}')
    Path("good.json").write_text('{"night": 5}')
    for name, text in (("broken", "{% for %}"), ("curious", "{{ ''.__class__.__mro__[1].__subclasses__() }}")):
        Path(name).mkdir()
        Path(name, "event.j2").write_text(text)
    told_ = assess(report, *options)
    assert told_.exit_code == 2, told_.stderr
    assert words in " ".join(told_.stderr.replace("│", " ").split())


def test_a_folder_without_a_record_says_who_writes_one(tmp_path: Path) -> None:
    told_ = assess(tmp_path)
    assert told_.exit_code == 2
    assert "analyze PHOTO --out" in " ".join(told_.stderr.replace("│", " ").split())


def test_a_line_that_cannot_be_read_costs_only_itself(report: Path) -> None:
    file = report / "events.jsonl"
    file.write_bytes(b"{\n" + file.read_bytes())
    told_ = assess(file)
    assert told_.exit_code == 1
    assert "3 events" in told_.stdout
    assert f"failed: {file}, line 1: no JSON" in told_.stderr


def test_a_file_whose_name_is_no_text_is_told_as_json_too(report: Path) -> None:
    file = report / "porch\udcff.jsonl"
    file.write_bytes(b"{\n")
    told_ = assess(file, "--json")
    assert told_.exit_code == 1
    assert "porch\\udcff.jsonl, line 1" in orjson.loads(told_.stdout)["failed"][0]["source"]


def test_hostile_words_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(to_line(record(hostile_event("[red]a\x1b[2J\nb\u202e"))))
    told_ = assess(file, "--all", "--points", points(tmp_path, '{"tampering": 20}'))
    assert told_.exit_code == 0
    assert "\x1b" not in told_.stdout
    assert "\u202e" not in told_.stdout
    assert "[red]a" in told_.stdout


def test_ctrl_c_keeps_what_is_done(report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect = RecordedEvent.scene

    def interrupted(event: RecordedEvent) -> object:
        if event.source == "empty.jpg":
            raise KeyboardInterrupt
        return collect(event)

    monkeypatch.setattr(RecordedEvent, "scene", interrupted)
    told_ = assess(report, "--out", tmp_path / "judged.jsonl")
    assert told_.exit_code == 130
    assert "2 events" in told_.stdout
    assert len(recorded(tmp_path / "judged.jsonl")) == 2


def test_from_a_photo_to_a_second_judgement(tmp_path: Path) -> None:
    """The whole road as somebody walks it."""
    boxes = tmp_path / "boxes.json"
    boxes.write_text('[{"id": "a", "label": "person", "bbox": [60, 0, 420, 512]}]')
    photo = copy(BUNDLED, tmp_path / "porch.jpg")
    options = ("--detections", boxes, "--out", tmp_path / "report", "--at", "2026-11-20T12:00")
    code, _, err = run(photo, *options, cache=tmp_path, **MISSING)
    assert code == 0, err
    mine = points(tmp_path, '{"presence": {"person": 31}}')
    code, out, err = run(photo, *options[:2], *options[4:], "--points", mine, "--json", cache=tmp_path, **MISSING)
    assert code == 0, err
    (live,) = orjson.loads(out)["events"]
    assert (live["risk"]["risk_score"], live["risk"]["version"]) == (31, Points.read(mine).version)
    command = [sys.executable, "-m", "hearthwatch", "assess", str(tmp_path / "report"), "--points", str(mine)]
    told_ = subprocess.run(command, capture_output=True, check=True, text=True)
    assert "LOW 20" in told_.stdout
    assert "MEDIUM 31" in told_.stdout
    assert "another level: 1 (low to medium 1)" in told_.stdout
