"""What passed is not run again on the same files, and everything else is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import not_again

TESTS = """
import os
import pytest

def test_passes():
    pass

def test_fails():
    assert os.path.exists("mended")

@pytest.mark.skipif(not os.path.exists("there"), reason="not there")
def test_waits():
    pass

@pytest.fixture
def broken():
    yield
    assert os.path.exists("mended")

def test_ends_badly(broken):
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tests"
    folder.mkdir()
    shutil.copy(not_again.__file__, folder)
    (folder / "conftest.py").write_text('pytest_plugins = ("not_again",)\n')
    (folder / "test_ours.py").write_text(TESTS)
    (folder / "test_later.py").write_text("# torch\ndef test_of_a_library_that_comes_later():\n    pass\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("one = 1\n")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    return tmp_path


def run(project: Path, *options: str, workers: int = 0) -> tuple[dict[str, int], str]:
    """How many tests passed, failed, were left out …, and everything that was said."""
    beside = ["-p", "xdist", "-n", str(workers)] if workers else []
    command = [sys.executable, "-m", "pytest", *beside, *options]
    # The project's plugins have nothing to say here, and take seconds to come.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    said = subprocess.run(command, cwd=project, capture_output=True, check=False, text=True, env=alone).stdout
    (told,) = re.findall(r"^=* ?(\d+ \w+.*) in [\d.]+s", said, re.MULTILINE)
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", told)}, said


def test_what_passed_is_left_out_and_told(project: Path) -> None:
    first, _ = run(project)
    assert first == {"passed": 3, "failed": 1, "skipped": 1, "error": 1}
    second, said = run(project, not_again.OPTION)
    assert second == {"passed": 2, "failed": 1, "skipped": 1, "deselected": 1, "error": 1}
    assert "1 tests passed before on these very files and are not run again" in said


def test_several_workers_leave_out_the_same(project: Path) -> None:
    assert run(project, workers=2)[0] == {"passed": 3, "failed": 1, "skipped": 1, "error": 1}
    found, said = run(project, not_again.OPTION, workers=2)
    assert found == {"passed": 2, "failed": 1, "skipped": 1, "error": 1}
    assert "1 tests passed before on these very files and are not run again" in said
    assert run(project, not_again.OPTION)[0]["deselected"] == 1


def test_without_the_option_everything_is_run(project: Path) -> None:
    run(project)
    assert run(project)[0]["passed"] == 3


@pytest.mark.parametrize("change", ["src/code.py", "tests/test_later.py"])
def test_after_a_change_everything_is_run(change: str, project: Path) -> None:
    run(project)
    with (project / change).open("a") as stream:
        stream.write("# changed\n")
    assert "deselected" not in run(project, not_again.OPTION)[0]


def test_what_fails_later_is_run_again(project: Path) -> None:
    (project / "mended").touch()
    assert run(project)[0] == {"passed": 4, "skipped": 1}
    (project / "mended").unlink()
    # It is not looked at among those that are left out, and without the option it fails and is forgotten.
    assert run(project)[0]["failed"] == 1
    assert run(project, not_again.OPTION)[0]["failed"] == 1


def test_a_part_adds_to_what_passed(project: Path) -> None:
    (project / "mended").touch()
    run(project, "tests/test_ours.py::test_passes")
    run(project, "tests/test_ours.py::test_fails")
    assert run(project, not_again.OPTION)[0]["deselected"] == 2


def test_without_a_cache_everything_is_run(project: Path) -> None:
    run(project)
    assert run(project, "-p", "no:cacheprovider", not_again.OPTION)[0]["passed"] == 3


def test_another_choice_of_weights_is_another_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project)
    monkeypatch.setenv("HEARTHWATCH_TEST_ASSETS", str(project))
    assert "deselected" not in run(project, not_again.OPTION)[0]
