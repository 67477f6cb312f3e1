"""LitServe with the same engine, decoder and arithmetic as our service, in two workers.

A picture comes as base64 in JSON, decoded with pybase64: LitServe parses every body as JSON, a raw picture is answered
with 500. `python -m benchmarks.baselines.litserve_server PORT SUBJECT WORKERS`.
"""

# No annotations from the future: LitServe makes its route from those of `decode_request`, and cannot read text.

import sys
from typing import Any

import litserve
import orjson
import pybase64

from benchmarks.baselines.same_work import Subject, prepare


class PersonReID(litserve.LitAPI):  # type: ignore[misc]  # an untyped library
    """One route."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(api_path="/person-reid")
        self._subject = subject

    def setup(self, device: str) -> None:  # noqa: ARG002 - the CPU
        """In each worker."""
        self._answer = prepare(self._subject)

    def decode_request(self, request: dict[str, Any]) -> bytes:
        data: bytes = pybase64.b64decode(request["image"])
        return data

    def predict(self, data: bytes) -> Any:
        return self._answer(data)

    def encode_response(self, result: Any) -> dict[str, Any]:
        return {"embedding": result.embedding.tolist(), "embedding_dim": len(result.embedding)}


if __name__ == "__main__":
    api = PersonReID(Subject(**orjson.loads(sys.argv[2])))
    # Its queue on ZeroMQ costs a twentieth less than the default one.
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(sys.argv[3]), fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
