"""Small files that many write at once are always whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hearthwatch.runtimes.build_times import BuildTimes
from hearthwatch.runtimes.small_files import replace_atomically


def test_of_many_writers_one_wins_and_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "fact.json"
    path.write_bytes(b"0" * 4096)

    def write(digit: int) -> None:
        for _ in range(50):
            replace_atomically(path, str(digit).encode() * 4096)
            seen = path.read_bytes()
            assert len(seen) == 4096
            assert len(set(seen)) == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        replace_atomically(tmp_path / "folder", b"facts")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_builds_that_end_together_are_remembered_without_a_complaint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = BuildTimes(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seconds: times.add(("net",), seconds), [float(number) for number in range(1, 200)]))
    assert times.expected_s(("net",)) is not None
    assert caplog.messages == []
