"""Nothing phones home: a child process imports and runs everything, without CI, which switches telemetry off by itself.

Three witnesses. Python's audit events see sockets, processes and files of Python code, and nothing of C++. The child's
home and temporary folders are empty before and must be empty after: both engines leave an identity there before they
report (tried with the engines as they are: `intel/openvino_ga_cid`, `.cache/Microsoft/.../deviceid`). strace, where it
is installed and allowed, sees every connection that any code tries. Not seen: what is sent only after days or months,
and files elsewhere that C++ code writes. This file is also the child.
"""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

import hearthwatch

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
           "socket.sendmsg", "urllib.Request", "http.client.connect")  # fmt: skip
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: What only loading a network or a download may import.
HEAVY = ("onnx", "onnxruntime", "openvino", "openvino_telemetry", "rapidocr", "huggingface_hub", "torch")
#: Packages that an optional dependency is for.
EXTRAS = ("hearthwatch.networks",)

TRACER = ("strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg")


@dataclass(frozen=True)
class Visit:
    """What one child did."""

    events: list[tuple[str, str]]
    heavy_at_import: list[str]
    finished: list[str]
    left: list[Path]
    trace: str | None

    def of(self, names: Sequence[str]) -> list[tuple[str, str]]:
        return [event for event in self.events if event[0] in names]


def visit(folder: Path, task: str) -> Visit:
    """Run the child with an environment of its own, under strace where that works."""
    kept, home, temporary = (folder / name for name in ("kept", "home", "tmp"))
    for place in (kept, home, temporary):
        place.mkdir()
    paths = [str(Path(hearthwatch.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }
    trace = folder / "trace"
    tracer = [*TRACER, "-o", str(trace)] if may_trace(folder) else []
    command = [*tracer, sys.executable, "-B", __file__, task, str(kept)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=200, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    report = orjson.loads(done.stdout.splitlines()[-1])
    return Visit(
        events=[(name, detail) for name, detail in report["events"]],
        heavy_at_import=report["heavy"],
        finished=report["finished"],
        left=sorted(path for place in (home, temporary) for path in place.rglob("*")),
        trace=trace.read_text(encoding="utf-8", errors="replace") if tracer else None,
    )


def may_trace(folder: Path) -> bool:
    if shutil.which(TRACER[0]) is None:
        return False
    trial = [*TRACER, "-o", str(folder / "trial"), sys.executable, "-c", ""]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def internet(trace: str) -> list[str]:
    """Lines of a trace in which something addresses another machine, or tries to."""
    return [line for line in trace.splitlines() if "AF_INET" in line]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return visit(tmp_path_factory.mktemp("everything"), "everything")


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return visit(tmp_path_factory.mktemp("misbehaved"), "misbehave")


def test_the_child_ran_both_engines_and_the_reader(everything: Visit) -> None:
    assert everything.finished == ["openvino", "onnxruntime", "rapidocr"]


def test_importing_every_module_imports_no_engine_and_no_downloader(everything: Visit) -> None:
    assert everything.heavy_at_import == []


def test_no_python_code_opens_a_connection_or_looks_up_a_name(everything: Visit) -> None:
    assert everything.of(NETWORK) == []


def test_no_process_is_started(everything: Visit) -> None:
    assert everything.of(PROCESSES) == []


def test_nothing_is_written_outside_the_cache_folder(everything: Visit) -> None:
    assert everything.of(["write"]) == []


def test_home_and_temporary_folder_stay_empty(everything: Visit) -> None:
    assert everything.left == []


def test_no_code_of_any_language_addresses_another_machine(everything: Visit) -> None:
    if everything.trace is None:
        pytest.skip("strace is not installed or may not trace here")
    assert internet(everything.trace) == []


def test_each_witness_sees_a_child_that_misbehaves(misbehaved: Visit) -> None:
    assert {name for name, _ in misbehaved.of(NETWORK)} == {"socket.connect", "socket.getaddrinfo"}
    assert len(misbehaved.of(PROCESSES)) == 1
    assert [Path(detail).name for _, detail in misbehaved.of(["write"])] == ["identity", ".config", "statistics"]
    assert [path.name for path in misbehaved.left] == [".config", "statistics", "identity"]
    assert misbehaved.trace is None or internet(misbehaved.trace)


def base_modules() -> list[str]:
    """Every module of the base install."""
    root = Path(hearthwatch.__file__).parent
    parts = sorted(file.relative_to(root.parent).with_suffix("").parts for file in root.rglob("*.py"))
    names = [".".join(part).removesuffix(".__init__") for part in parts if part[-1] != "__main__"]
    return [name for name in names if not name.startswith(EXTRAS)]


def run_everything(kept: Path) -> tuple[list[str], list[str]]:
    """Import every module, run a tiny network on every engine, and the reader."""
    for name in base_modules():
        importlib.import_module(name)
    heavy = [name for name in HEAVY if name in sys.modules]

    import numpy as np

    from fakes import image_graph
    from hearthwatch.runtimes.base import LoadRequest
    from hearthwatch.runtimes.rapidocr import RapidOCRRuntime
    from hearthwatch.runtimes.select import ENGINES

    path = image_graph(kept / "net.onnx")
    finished = []
    for engine in ENGINES:
        loaded = engine.load(LoadRequest(path, "digest", outputs=("output0",), cache_dir=kept / "cache"))
        loaded.run({"images": np.ones((2, 3, 8, 8), np.float32)})
        loaded.close()
        finished.append(str(engine.name))
    reader = RapidOCRRuntime()
    reader.run({"pixels": np.full((48, 160, 3), 255, np.uint8)})
    reader.close()
    return heavy, [*finished, "rapidocr"]


def misbehave(_: Path) -> tuple[list[str], list[str]]:
    """Do once each what must not be done, without leaving this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        socket.create_connection(listener.getsockname()).close()
    Path(os.environ["TMPDIR"], "identity").write_text("x", encoding="ascii")
    folder = Path.home() / ".config"
    folder.mkdir()
    (folder / "statistics").write_text("x", encoding="ascii")
    subprocess.run([sys.executable, "-c", ""], check=True)
    return [], []


def written(name: str, arguments: tuple[Any, ...], kept: Path) -> str | None:
    """The path that an audit event writes to, outside of the folder that is kept; None where it writes nothing."""
    path = arguments[0] if arguments else None
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    place = Path(os.fsdecode(path)).absolute()
    if name == "open":
        flags = arguments[2]
        writes = isinstance(flags, int) and bool(flags & WRITES)
    else:
        # Making a folder that is there changes nothing, and RapidOCR does so in its own package.
        writes = (name == "os.mkdir" and not place.is_dir()) or name in {"os.rename", "os.symlink", "os.link"}
    return str(place) if writes and place != Path(os.devnull) and not place.is_relative_to(kept) else None


def child(task: str, kept: Path) -> None:
    events: list[tuple[str, str]] = []

    def record(name: str, arguments: tuple[Any, ...]) -> None:
        if name in NETWORK or name in PROCESSES:
            events.append((name, repr(arguments)[:200]))
        elif path := written(name, arguments, kept):
            events.append(("write", path))

    sys.addaudithook(record)
    heavy, finished = {"everything": run_everything, "misbehave": misbehave}[task](kept)
    report = {"events": events, "heavy": heavy, "finished": finished}
    sys.stdout.write("\n" + orjson.dumps(report).decode() + "\n")


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]))
