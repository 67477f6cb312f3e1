"""No engine phones home: switches off, before their import, what the engines report by themselves.

Importing OpenVINO prepares a report to an analytics host through the package `openvino_telemetry`, and ONNX Runtime
1.31 stores a device id and looks a telemetry host up. Both switch themselves off under CI, so only a test without CI
sees it.
"""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import numpy as np

from hearthwatch.settings import disable_telemetry, leave_tiles_out

_openvino_once = threading.Lock()
_prepared: set[str] = set()


def import_openvino() -> ModuleType:
    """The module `openvino`, without its telemetry, and without instructions that it gets wrong."""
    # None in sys.modules makes `import openvino_telemetry` an ImportError, which OpenVINO takes as "not installed".
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    disable_telemetry()
    leave_tiles_out()
    import openvino

    _prepare(openvino)
    return openvino  # type: ignore[no-any-return]


def import_onnxruntime() -> ModuleType:
    """The module `onnxruntime`, without its telemetry."""
    disable_telemetry()
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]


def _prepare(openvino: ModuleType) -> None:
    """Let one thread look NumPy's types up for OpenVINO before any two can.

    Its table of types is a C++ static whose making lets go of Python's lock: two threads that make their first tensors
    at the same time wait for each other for ever (OpenVINO 2026.4; seen in `Type.to_dtype` under `InferRequest.infer`).
    """
    with _openvino_once:
        if openvino.__name__ not in _prepared:
            tensor = openvino.Tensor(np.zeros(1, np.float32))
            tensor.get_element_type().to_dtype()
            np.asarray(tensor.data)
            _prepared.add(openvino.__name__)
