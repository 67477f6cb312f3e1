"""`hearthwatch serve` as a real process on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

#: A process that takes longer to start or to end than this hangs.
PATIENCE_S = 60.0


@dataclass
class ServerProcess:
    """A process that serves.

    Attributes:
        process: of the system.
        ports: by service name, as it told them.
        lines: what it wrote to stderr so far.
    """

    process: subprocess.Popen[str]
    ports: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _told: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Read what it writes, until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if found := re.match(r"\s+(\S+)\s+http://127\.0\.0\.1:(\d+)", line):
                self.ports[found[1]] = int(found[2])
            if "Ctrl-C stops" in line:
                self._told.set()
        self._told.set()

    def wait_until_it_serves(self) -> None:
        assert self._told.wait(PATIENCE_S), self.lines
        assert self.process.poll() is None, self.lines

    def client(self, service: str = "light", *, timeout: float = PATIENCE_S) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[service]}", timeout=timeout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def resident_mib(self, name: str = "RssAnon") -> float:
        """Memory of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise AssertionError(name)


@contextmanager
def server_process(
    models: Path, cache: Path, services: Sequence[str] = ("light",), *, verbose: bool = False, **variables: str
) -> Iterator[ServerProcess]:
    """Start it on free ports, and leave nothing behind."""
    own = {"HEARTHWATCH_MODELS_DIR": str(models), "HEARTHWATCH_CACHE_DIR": str(cache), "PORT": "0"}
    ours = (
        "HEARTHWATCH_",
        "ENRICHMENT_",
        "ONDEMAND_",
        "VRAM_",
        "HOST",
        "PORT",
        "POSE_",
        "THREAT_",
        "REID_",
        "PET_",
        "DEPTH_",
        "VEHICLE_",
        "AGE_GENDER_",
        "DEMOGRAPHICS_",
        "CLIP_",
        "HF_",
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "hearthwatch", *(["-v"] if verbose else []), "serve", *services]
    started = subprocess.Popen(
        command, env=inherited | own | variables, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    served = ServerProcess(started)
    reader = threading.Thread(target=served.follow)
    reader.start()
    try:
        served.wait_until_it_serves()
        yield served
    finally:
        if started.poll() is None:
            started.kill()
        started.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
        assert started.stderr is not None
        started.stderr.close()


def until(condition: Callable[[], object], *, seconds: float = PATIENCE_S) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)
