"""What `make` would do, without doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> str:
    # A make that runs these tests passes its own options on.
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    done = subprocess.run(
        ["make", "-n", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_run_shows_the_demo_and_serves() -> None:
    commands = make("run", "PORT_OFFSET=1000", "OUT=there")
    assert '-m hearthwatch demo --serve --port-offset "1000" --out "there"' in commands


def test_demo_shows_it_once() -> None:
    commands = make("demo")
    assert '-m hearthwatch demo --out "out"' in commands
    assert "--serve" not in commands


@pytest.mark.parametrize("target", ["analyze", "run"])
def test_a_photo_is_analysed_by_either_name(target: str) -> None:
    commands = make(target, "PHOTO=porch.jpg")
    assert "-m hearthwatch analyze" in commands
    assert "porch.jpg" in commands
    assert "hearthwatch demo" not in commands


def test_help_has_a_line_for_each_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = makefile.partition(".PHONY:")[2].partition("\n")[0].split()
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    told = subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    listed = [line.split()[1] for line in told.splitlines()]
    assert listed == [target for target in targets if target != "stale"]


def test_nothing_is_listed_that_the_documents_call_otherwise() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "make run PHOTO" not in (ROOT / name).read_text(encoding="utf-8")
