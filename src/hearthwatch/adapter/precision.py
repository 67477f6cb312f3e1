"""Which arithmetic a network runs in: the fastest that the hardware has and with which the model's results agree.

bfloat16 and float16 are only used after the model's own `Agreement` held on real pictures against float32. The verdict
is kept on disk, so it is paid for once per weight file, engine version and machine. Where the pictures give no evidence
(a network that finds nothing in them in either precision), the model stays in float32 and says so.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.samples import try_out
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Engine, EngineName, LoadRequest, Precision, Runtime
from hearthwatch.runtimes.cuda_device import find_cuda_device
from hearthwatch.runtimes.select import fastest_precision, load_graph, with_precision
from hearthwatch.runtimes.small_files import replace_atomically

Asked = Literal["auto"] | Precision

#: Part of the verdict's key: raise it when a model's decoding changes what its results mean.
VERDICT_VERSION = 1

_log = logging.getLogger(__name__)


def choose_precision(
    adapter: Adapter[Any], request: LoadRequest, asked: Asked, engines: Sequence[Engine]
) -> tuple[LoadRequest, tuple[str, ...]]:
    """The request in the precision to load, and sentences on why.

    Args:
        adapter: the model, which judges its own results.
        request: where to load from; its precision is ignored.
        asked: `auto`, or a precision that the user insists on (then nothing is compared).
        engines: in the order in which they are tried.
    """
    if asked != "auto":
        return with_precision(request, asked), (f"{asked} because it was asked for",)
    fastest, engine = fastest_precision(request, engines)
    if fastest == "f32":
        return with_precision(request, "f32"), ()
    path = _verdict_path(adapter, request, fastest, engine)
    verdict = _kept(path) or _judge(adapter, request, fastest, engines, path)
    precision: Precision = fastest if verdict["agrees"] else "f32"
    return with_precision(request, precision), (str(verdict["reason"]),)


def parity_gate(
    adapter: Adapter[Any], request: LoadRequest, engines: Sequence[Engine]
) -> Callable[[Runtime], str | None]:
    """Judges a built engine before it serves: None where its results agree with float32 on real pictures, else why not.

    Args:
        adapter: the model, which judges its own results.
        request: of the reference, which is loaded when the gate is asked and closed again.
        engines: for the reference.
    """

    def judge(candidate: Runtime) -> str | None:
        reference = _results(adapter, with_precision(request, "f32"), engines)
        agreement = adapter.SPEC.agreement
        value = agreement.judge(reference, try_out(adapter, candidate.run))
        if value is None:
            return "the verification pictures give no evidence"
        if value >= agreement.at_least:
            return None
        return f"{agreement.name} {value:.4f} against f32, at least {agreement.at_least:g} needed"

    return judge


def _judge(
    adapter: Adapter[Any], request: LoadRequest, precision: Precision, engines: Sequence[Engine], path: Path | None
) -> dict[str, Any]:
    """Measure a verdict, and keep it at `path`."""
    agreement = adapter.SPEC.agreement
    try:
        reference = _results(adapter, with_precision(request, "f32"), engines)
        candidate = _results(adapter, with_precision(request, precision), engines)
    except Exception as error:  # noqa: BLE001 - networks and engines raise what they like, and f32 is there to be used
        reason = str(error) or type(error).__name__
        return {"agrees": False, "reason": f"f32: {precision} could not be tried ({reason})"}
    value = agreement.judge(reference, candidate)
    if value is None:
        verdict = {"agrees": False, "reason": f"f32: the verification pictures give no evidence for {precision}"}
    else:
        agrees = value >= agreement.at_least
        word = f"{agreement.name} {value:.4f}, at least {agreement.at_least:g} needed"
        verdict = {"agrees": agrees, "reason": f"{precision if agrees else 'f32'}: {precision} against f32 has {word}"}
    _keep(path, verdict)
    return verdict


def _results(adapter: Adapter[Any], request: LoadRequest, engines: Sequence[Engine]) -> list[Any]:
    runtime = load_graph(request, engines).runtime
    try:
        # An engine that was fallen back to may not have it, and would agree with itself.
        if runtime.info.precision != request.precision:
            raise LoadFailed(f"{runtime.info.engine} computes in {runtime.info.precision}")
        return try_out(adapter, runtime.run)
    finally:
        runtime.close()


def _verdict_path(
    adapter: Adapter[Any], request: LoadRequest, precision: Precision, engine: EngineName | None
) -> Path | None:
    if request.cache_dir is None:
        return None
    # The processor or the GPU decides how an engine rounds, the spec decides what the pixels are.
    agreement = adapter.SPEC.agreement
    facts = [VERDICT_VERSION, adapter.SPEC.name, request.digest, request.device, precision, processor(),
             platform.machine(), _gpu(request.device), engine, _engine_versions(),
             repr(adapter.description.input), agreement.name, agreement.at_least]  # fmt: skip
    key = hashlib.sha256(orjson.dumps(facts)).hexdigest()[:32]
    return request.cache_dir / "precision" / f"{adapter.SPEC.name}-{key}.json"


def processor() -> str:
    """The processor's own name, which Python's `platform` does not know on most Linux systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _gpu(device: str) -> str | None:
    """Which NVIDIA GPU `cuda:N` is, by name and driver; None for other devices."""
    if not device.startswith("cuda"):
        return None
    try:
        found = find_cuda_device(device)
    except LoadFailed as error:
        return str(error)  # its engines are stand-ins, or will say so themselves
    return f"{found.name}, driver {found.driver}"


def _engine_versions() -> list[str | None]:
    """Of each distribution that brings an engine; None where it is not installed."""
    return [_version(name) for name in ("openvino", "onnxruntime", "onnxruntime-gpu", "torch")]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _kept(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    try:
        verdict = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None  # a damaged verdict is measured again
    usable = isinstance(verdict, dict) and isinstance(verdict.get("agrees"), bool) and "reason" in verdict
    return verdict if usable else None


def _keep(path: Path | None, verdict: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, orjson.dumps(verdict))
    except OSError as error:
        _log.warning("verdict file=%s kept=no reason=%s", path, error)
