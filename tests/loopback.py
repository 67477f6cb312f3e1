"""A service on a real port of this machine, for clients that speak HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from hearthwatch.serving.server import listen
from served import Served


@contextmanager
def on_loopback(served: Served, port: int = 0) -> Iterator[str]:
    """Its address, for as long as the block lasts; 0: on any free port."""
    listening = listen("127.0.0.1", port)
    port = listening.getsockname()[1]
    app = served.process.on_ports({served.service.name: port}, close_s=10.0)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
