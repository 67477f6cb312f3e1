"""What passed is not run a second time on the same files: `make test`, then `make test-all`.

Each test that passes is remembered in pytest's cache, with a digest of every file that it may depend on. With
`--not-again`, tests that passed on the very same files are left out, and the summary says how many. Those of modules
that speak of torch or transformers run again: `make test-all` has installed them since.

Beside pytest-xdist, its workers leave out, and the process that waits for them remembers and tells.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

OPTION, KEY = "--not-again", "hearthwatch/passed"
ROOT = Path(__file__).parents[1]
#: Folders and files of the project that a test may depend on.
DEPENDED_ON = ("src", "tests", "benchmarks", "tools", "training", "docs", "requirements", "pyproject.toml", "Makefile",
               "README.md", "CHANGELOG.md", ".importlinter")  # fmt: skip
_INSTALLED_LATER = re.compile(rb"torch|transformers")
#: Variables that choose what tests do.
_VARIABLE = re.compile(r"HEARTHWATCH_|LLM_|ENRICHMENT_")


def digest_of(root: Path) -> str:
    """Of Python, of the variables that choose what tests do, and of all files."""
    made = hashlib.sha256(repr((sys.version, sorted(_chosen()))).encode())
    for path in sorted(_files(root)):
        made.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        made.update(path.read_bytes())
    return made.hexdigest()


def _chosen() -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in os.environ.items() if _VARIABLE.match(name))


def _files(root: Path) -> Iterable[Path]:
    for name in DEPENDED_ON:
        place = root / name
        found = place.rglob("*") if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


class NotAgain:
    """The plugin.

    Args:
        config: pytest's.
        root: of the project.
    """

    def __init__(self, config: pytest.Config, root: Path = ROOT) -> None:
        self._config = config
        self._digest = digest_of(root)
        self._left_out = 0
        self._cache: pytest.Cache | None = getattr(config, "cache", None)  # absent with -p no:cacheprovider
        told = self._cache.get(KEY, {}) if self._cache else {}
        self._passed = set(told.get("tests", ())) if told.get("digest") == self._digest else set()
        self._failed: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if not self._config.getoption(OPTION):
            return
        texts: dict[Path, bool] = {}
        left = [item for item in items if item.nodeid in self._passed and not _speaks_of_torch(item.path, texts)]
        if left:
            out = set(left)
            items[:] = [item for item in items if item not in out]
            self._left_out = len(left)
            self._config.hook.pytest_deselected(items=left)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Every worker collects everything, so each leaves out the same.
        self._left_out = max(self._left_out, getattr(node, "workeroutput", {}).get(OPTION, 0))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._left_out:
            terminalreporter.write_line(
                f"{self._left_out} tests passed before on these very files and are not run again ({OPTION})"
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
            self._passed.discard(report.nodeid)
        elif report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[OPTION] = self._left_out
        elif self._cache is not None:
            kept = sorted(self._passed - self._failed)
            self._cache.set(KEY, {"digest": self._digest, "tests": kept})


def _speaks_of_torch(path: Path, known: dict[Path, bool]) -> bool:
    if path not in known:
        known[path] = _INSTALLED_LATER.search(path.read_bytes()) is not None
    return known[path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="leave out what passed before on the very same files")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NotAgain(config), "not-again")
