"""A server without work: it reads a picture and answers a text of the length of an embedding.

What the load generator and HTTP itself cost is measured on it. `python -m benchmarks.baselines.trivial PORT`.
"""

from __future__ import annotations

import sys

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

_ANSWER = orjson.dumps({"embedding": [0.0123456] * 512})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Any request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        continue
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", lifespan="off", log_level="error", access_log=False)
