"""`hearthwatch demo` as a person starts it: a process, the services that it starts, the commands that it prints."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest

from demo_scene import write_samples
from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.services import SERVICES, models_of
from hearthwatch.serving.fields import FIELDS, takes_raw
from made_up import write_networks
from server_process import PATIENCE_S, until

pytestmark = pytest.mark.slow
#: Loads on a busy machine.
WHOLE_DEMO_S = 180.0


@dataclass
class Showing:
    """A demo that runs.

    Attributes:
        process: of the system.
        out: lines of stdout so far.
        err: likewise.
        offset: added to its ports.
    """

    process: subprocess.Popen[str]
    offset: int
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def url(self, service: str) -> str:
        port = next(row.port for row in SERVICES if row.name == service)
        return f"http://127.0.0.1:{port + self.offset}"

    def until_told(self, text: str, *, err: bool = False) -> None:
        def there() -> bool:
            told = any(text in line for line in (self.err if err else self.out))
            assert told or self.process.poll() is None, self.out + self.err
            return told

        until(there, seconds=WHOLE_DEMO_S)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@contextmanager
def showing(
    samples: Path, cache: Path, out: Path, *arguments: str, offset: int | None = None, **variables: str
) -> Iterator[Showing]:
    offset = free_offset() if offset is None else offset
    own = {"HEARTHWATCH_SAMPLES_DIR": str(samples), "HEARTHWATCH_CACHE_DIR": str(cache), "COLUMNS": "200"}
    ours = ("HEARTHWATCH_", "ENRICHMENT_", "ONDEMAND_", "VRAM_", "HOST", "PORT")
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.endswith("_MODEL_PATH")
    }
    # Weights of this machine's user are none of these tests' business.
    nowhere = {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "hearthwatch", "demo", "--out", str(out), *arguments]
    if "--serve" in arguments:
        command += ["--port-offset", str(offset)]
    # A shell that started the tests in the background made them ignore Ctrl-C, and a child would inherit that.
    attend = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, env=inherited | nowhere | own | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=attend,  # noqa: PLW1509
    )  # fmt: skip
    shown = Showing(process, offset)
    readers = [
        threading.Thread(target=follow, args=(stream, lines))
        for stream, lines in ((process.stdout, shown.out), (process.stderr, shown.err))
    ]
    for reader in readers:
        reader.start()
    try:
        yield shown
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)
        for reader in readers:
            reader.join(PATIENCE_S)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def follow(stream: Iterator[str], lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in iter(stream.readline, ""))  # type: ignore[attr-defined]


def free_offset() -> int:
    """One with which all documented ports are free."""
    for offset in range(13000, 20000, 100):
        try:
            for service in SERVICES:
                socket.create_server(("127.0.0.1", service.port + offset)).close()
        except OSError:
            continue
        return offset
    raise AssertionError("no free ports")


def test_once_it_tells_the_story_writes_it_down_and_exits(samples: Path, cache: Path, tmp_path: Path) -> None:
    with showing(samples, cache, tmp_path / "o") as shown:
        assert shown.process.wait(WHOLE_DEMO_S) == 0, shown.out + shown.err
    assert any("That is the story as it was drawn." in line for line in shown.out)
    assert any("models pull" in line for line in shown.out)
    assert not any("Traceback" in line or "WARNING" in line for line in shown.err)
    assert (tmp_path / "o/report.html").is_file()


def test_what_is_not_as_drawn_ends_with_1(cache: Path, tmp_path: Path) -> None:
    samples = write_samples(tmp_path / "samples", things=[{"kind": "bus", "box": [60, 80, 180, 380]}])
    with showing(samples, cache, tmp_path / "o") as shown:
        assert shown.process.wait(WHOLE_DEMO_S) == 1
    assert any("WRONG" in line and "a bus" in line for line in shown.out)


def test_it_serves_what_it_says_until_ctrl_c(samples: Path, cache: Path, tmp_path: Path) -> None:
    with showing(samples, cache, tmp_path / "o", "--serve") as shown:
        shown.until_told("Serving until Ctrl-C.")
        assert any("That is the story as it was drawn." in line for line in shown.out)
        for service in SERVICES:
            health = httpx.get(f"{shown.url(service.name)}/health").json()
            assert (health["status"], health["weights"]) == ("healthy", "sample")
        data, kind = (samples / "evening.jpg").read_bytes(), {"content-type": "image/jpeg"}
        for service in SERVICES:
            for route in service.routes:
                if not takes_raw(route) or any(FIELDS[name].default is ... for name in route.fields):
                    continue  # a picture alone is no whole question
                answer = httpx.post(f"{shown.url(service.name)}{route.path}", content=data, headers=kind, timeout=60)
                assert (answer.status_code, answer.json()["weights"]) == (200, "sample")
        ask_as_printed(shown.out)
        assert shown.interrupt() == 0, shown.err
    assert not any("Traceback" in line for line in shown.err)


def ask_as_printed(lines: Sequence[str]) -> None:
    """Each printed command, through a shell."""
    commands = [line.strip() for line in lines if line.strip().startswith("curl ")]
    assert len(commands) == len(SERVICES)
    if shutil.which("curl") is None:
        return
    for command in commands:
        done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=PATIENCE_S)
        assert orjson.loads(done.stdout)["weights"] == "sample"


def test_real_weights_are_served_and_the_scene_is_still_the_samples(samples: Path, cache: Path, tmp_path: Path) -> None:
    models = write_networks(tmp_path / "models", models_of(SERVICES))
    with showing(samples, cache, tmp_path / "o", "--serve", HEARTHWATCH_MODELS_DIR=str(models)) as shown:
        shown.until_told("Serving until Ctrl-C.")
        assert any("They answer with your own weights" in line for line in shown.out)
        event = orjson.loads((tmp_path / "o/report.json").read_bytes())["events"][0]
        assert event["weights"]["yolo26"] == "sample"
        assert httpx.get(f"{shown.url('light')}/health").json()["weights"] == "real"
        assert shown.interrupt() == 0, shown.err


def test_a_port_that_is_taken_is_named_and_the_story_is_still_told(samples: Path, cache: Path, tmp_path: Path) -> None:
    offset = free_offset()
    port = SERVICES[-1].port + offset
    with (
        socket.create_server(("127.0.0.1", port)),
        showing(samples, cache, tmp_path / "o", "--serve", offset=offset) as shown,
    ):
        assert shown.process.wait(WHOLE_DEMO_S) == 1
    assert any(str(port) in line and "--port-offset" in line for line in shown.err)
    assert any("That is the story as it was drawn." in line for line in shown.out)
    assert (tmp_path / "o/report.html").is_file()


@pytest.mark.parametrize("arguments", [(), ("--serve",)], ids=["once", "serving"])
def test_ctrl_c_while_it_loads_ends_with_130(arguments: tuple[str, ...], samples: Path, tmp_path: Path) -> None:
    with showing(samples, tmp_path / "empty cache", tmp_path / "o", *arguments) as shown:
        shown.until_told("Loading", err=True)
        assert shown.interrupt() == 130, shown.err
    assert not any("Traceback" in line for line in shown.err)
    assert not list((tmp_path / "o").glob("*")) if (tmp_path / "o").exists() else True


def test_the_story_of_the_sample_networks_is_right(cache: Path, tmp_path: Path) -> None:
    with showing(SAMPLES_DIR, cache, tmp_path / "o") as shown:
        assert shown.process.wait(WHOLE_DEMO_S) == 0, shown.out + shown.err
    text = "\n".join(shown.out)
    for word in ("crouching", "crowbar", "truck", "the plate"):
        assert word in text
