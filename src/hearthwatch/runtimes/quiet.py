"""No engine phones home: switches off, before their import, what the engines report by themselves.

Importing OpenVINO prepares a report to an analytics host through the package `openvino_telemetry`, and ONNX Runtime
1.31 stores a device id and looks a telemetry host up. Both switch themselves off under CI, so only a test without CI
sees it.
"""

from __future__ import annotations

import sys
from types import ModuleType

from hearthwatch.settings import disable_telemetry


def import_openvino() -> ModuleType:
    """The module `openvino`, without its telemetry."""
    # None in sys.modules makes `import openvino_telemetry` an ImportError, which OpenVINO takes as "not installed".
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    disable_telemetry()
    import openvino

    return openvino  # type: ignore[no-any-return]


def import_onnxruntime() -> ModuleType:
    """The module `onnxruntime`, without its telemetry."""
    disable_telemetry()
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]
