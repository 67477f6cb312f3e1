"""The very first calls of a process, from several threads at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from toy import write_network

#: Loads a network and calls it from four threads that have never called an engine before.
CHILD = """
import sys, threading
from pathlib import Path
import numpy as np
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.openvino import OpenVINOEngine
runtime = OpenVINOEngine().load(LoadRequest(Path(sys.argv[1]), "digest", bytes=1000, concurrency=4))
together = threading.Barrier(4)
def call():
    pixels = np.ones((1, 3, 8, 8), np.float32)
    together.wait()
    runtime.run({"pixels": pixels})
threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("answered")
"""


def test_the_first_calls_of_a_process_may_come_at_the_same_time(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx")
    # Without the preparation in `runtimes.quiet`, five of eight such processes waited for ever.
    for _ in range(4):
        told = subprocess.run(
            (sys.executable, "-c", CHILD, str(path)), capture_output=True, text=True, check=True, timeout=120
        )
        assert told.stdout.strip() == "answered"
