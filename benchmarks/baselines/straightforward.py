"""The server that the seed documents describe, written straight down.

FastAPI, a picture as base64 in JSON, Pillow, OSNet-x0.25 in eager PyTorch, the embedding as a list of numbers; a plain
`def` route, so that FastAPI runs it in its thread pool. `python -m benchmarks.baselines.straightforward PORT WEIGHTS`.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image as PILImage
from pydantic import BaseModel

from hearthwatch.adapter.conversion import module_of

#: (width, height), and ImageNet's mean and standard deviation, as torchreid has them.
SIZE = (128, 256)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Request(BaseModel):
    """What the route takes."""

    image: str


def build(network: Any) -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/person-reid")
    def person_reid(request: Request) -> dict[str, Any]:
        picture = PILImage.open(io.BytesIO(base64.b64decode(request.image))).convert("RGB")
        small = np.asarray(picture.resize(SIZE, PILImage.Resampling.BILINEAR), np.float32) / 255
        scaled = (small - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
        with torch.inference_mode():
            embedding = network(torch.from_numpy(scaled.transpose(2, 0, 1)[None].copy()))[0]
            embedding = embedding / embedding.norm()
        return {"embedding": embedding.tolist(), "embedding_dim": len(embedding)}

    return app


if __name__ == "__main__":
    uvicorn.run(build(module_of(Path(sys.argv[2])).eval()), port=int(sys.argv[1]), log_level="error", access_log=False)
