"""Services on made-up networks: real decoding and preprocessing, and an engine that computes what they would."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import yaml
from starlette.testclient import TestClient

from fakes import FakeEngine, FakeRuntime
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.hosting import LocalRunner, OnDemandModelManager
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import Array, LoadRequest, Tensors
from hearthwatch.services import Service, assign, get_service, models_of, without
from hearthwatch.serving.guard import Access
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.process import HostingMetrics, Process, build_process
from made_up import answer, write_networks

CONTRACT: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "contract.yaml").read_text(encoding="utf-8"))
EVERY: dict[str, Any] = CONTRACT["every"]


#: What stands for a list of numbers on the page.
NUMBERS = "768 numbers"
BASELINE = [0.5, *([0.0] * 766), -0.25]


def needed(row: dict[str, Any]) -> dict[str, Any]:
    """The fields without which a route does not answer."""
    return {name: BASELINE if value == NUMBERS else value for name, value in row.get("needs", {}).items()}


def picture(width: int = 40, height: int = 32, *, kind: str = ".png", value: int = 90) -> bytes:
    """An encoded picture with an edge in it."""
    pixels = np.full((height, width, 3), value, np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = (40, 120, 200)
    return bytes(cv2.imencode(kind, pixels)[1])


def page(service: str) -> dict[str, Any]:
    """A service's part of the contract."""
    row: dict[str, Any] = CONTRACT["services"][service]
    return row


def problem_of(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The documented error body, checked."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"detail", "code", "model"}
    assert body["code"] == code
    assert code in EVERY["codes"]
    assert body["detail"]
    return body


#: Without them their models have nothing to compare with.
TEXT_TOWERS = {"fashion_clip": "fashion_clip_text", "action_recognizer": "action_text"}


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class NumbersEngine(FakeEngine):
    """Answers with numbers that follow from the pixels, so that equal pictures have equal answers.

    Attributes:
        before_load: called with the model's name; it may wait or raise.
        before_run: likewise, before each call.
        runs: model names, in the order of the calls.
    """

    before_load: Any = None
    before_run: Any = None
    runs: list[str] = field(default_factory=list)

    def load(self, request: LoadRequest) -> FakeRuntime:
        if self.before_load is not None:
            self.before_load(request.path.stem)
        runtime = super().load(request)
        runtime.answer = lambda inputs: self._answer(request.path.stem, inputs)
        return runtime

    def _answer(self, model: str, inputs: Tensors) -> dict[str, Array]:
        self.runs.append(model)
        if self.before_run is not None:
            self.before_run(model)
        return answer(model, inputs)


@dataclass(frozen=True)
class Served:
    """A service that a test can ask."""

    client: TestClient
    process: Process
    runner: LocalRunner
    engine: NumbersEngine
    service: Service

    def ask(self, path: str, data: bytes | None = None, **fields: Any) -> Any:
        """A picture as JSON, or a clip of it where the route takes frames."""
        text = text_of(data or picture())
        clip = page(self.service.name)["routes"].get(path, {}).get("frames")
        shown = {"frames": [text, text]} if clip else {"image": text}
        return self.client.post(path, json={**shown, **fields})


@contextmanager
def serve(
    folder: Path,
    name: str = "light",
    *,
    engine: NumbersEngine | None = None,
    with_weights: Sequence[str] | None = None,
    budget_mb: float = 8000,
    access: Access | None = None,
    limits: RequestLimits | None = None,
    preload: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    runner: Mapping[str, Any] | None = None,
    homes: Mapping[str, str] | None = None,
    switched_off: Collection[str] = (),
) -> Iterator[Served]:
    """One service, entered and left as a server would do it."""
    (service,) = without(assign([get_service(name)], homes or {}), switched_off)
    engine = engine or NumbersEngine()
    names = models_of([service])
    needed_too = [TEXT_TOWERS[model] for model in names if model in TEXT_TOWERS]
    write_networks(folder, [*names, *needed_too] if with_weights is None else with_weights)
    hosting = HostingMetrics()
    manager = OnDemandModelManager(budget_mb, "cpu", observer=hosting)
    made = LocalRunner(
        LoadOptions(folder, engines=(engine,), device="cpu", **(options or {})),
        [get_model(model) for model in names],
        manager=manager,
        **({"threads": 2} | dict(runner or {})),
    )
    process = build_process([service], made, hosting, access=access, limits=limits, preload=preload)
    with TestClient(
        process.on_ports({name: 80}, close_s=10.0), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)
    ) as client:
        yield Served(client, process, made, engine, service)


def as_text(value: Any) -> Any:
    """A field as a form or a query has it."""
    if value is BASELINE or isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) and isinstance(value[0], (int, float)) else value


def ask_every_way(served: Served, path: str, row: dict[str, Any], data: bytes, **fields: Any) -> list[Any]:
    """The same question in all ways that the route knows."""
    fields = needed(row) | fields
    texts = {name: as_text(value) for name, value in fields.items()}
    if row.get("pictureless"):
        parts = [(name, (None, text)) for name, value in texts.items() for text in value]
        return [served.client.post(path, json=fields), served.client.post(path, files=parts)]
    if row.get("frames"):
        files = [("frames", ("a.png", data)), ("frames", ("b.png", data))]
        return [
            served.client.post(path, json={"frames": [text_of(data)] * 2, **fields}),
            served.client.post(path, files=files, data=texts),
        ]
    if row.get("many"):
        files = [("files", ("a.png", data)), ("files", ("b.png", data))]
        return [
            served.client.post(path, json={"images": [text_of(data)] * 2, **fields}),
            served.client.post(path, files=files, data=texts),
        ]
    answers = [
        served.client.post(path, json={"image": text_of(data), **fields}),
        served.client.post(path, json={"image_base64": f"data:image/png;base64,{text_of(data)}", **fields}),
        served.client.post(path, files={"file": ("a.png", data)}, data=texts),
    ]
    if row.get("raw"):
        answers.append(served.client.post(path, content=data, headers={"content-type": "image/png"}, params=texts))
    return answers
