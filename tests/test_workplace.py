"""A folder beside a file that is being made: one for each maker, none left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hearthwatch.artifacts.workplace import workplace

HOLDER = """
import sys, time
from pathlib import Path
from hearthwatch.artifacts.workplace import workplace
with workplace(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ["net.onnx", "a[1]*?.onnx", "n" * 240 + ".onnx"])
def test_it_is_empty_hidden_and_gone_afterwards(name: str, tmp_path: Path) -> None:
    output = tmp_path / "new" / name
    with workplace(output) as folder:
        assert folder.parent == output.parent
        assert folder.name.startswith(".")
        assert [file.name for file in folder.iterdir()] == ["lock"]
        (folder / "net.onnx.data").touch()
    assert list(output.parent.iterdir()) == []


def test_it_is_gone_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), workplace(tmp_path / "net.onnx"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["net.onnx", "a[1]*?.onnx"])
def test_what_a_killed_maker_left_goes_with_the_next_one_and_a_living_one_s_stays(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(output)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    theirs = Path(holder.stdout.readline().strip())
    with workplace(output) as ours:
        assert ours != theirs
        assert (theirs / "half").is_file()
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=60)
    assert theirs.is_dir()
    with workplace(output):
        assert not theirs.exists()


def test_many_at_once_have_each_their_own(tmp_path: Path) -> None:
    barrier, places = threading.Barrier(8, timeout=60), []

    def make(number: int) -> None:
        with workplace(tmp_path / "net.onnx") as folder:
            places.append(folder)
            (folder / "mine").write_text(str(number))
            barrier.wait()
            assert (folder / "mine").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    assert len(set(places)) == 8
    assert list(tmp_path.iterdir()) == []
