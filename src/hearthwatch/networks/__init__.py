"""Torch modules of ours, for checkpoints whose reference implementation we do not depend on.

Each one is written from its paper, from public documentation and from the names and shapes of the tensors, and loads
the reference's own key names. They are the reference of a conversion and the last fallback; everyday work runs the ONNX
graphs that are exported from them. The package needs the extra `torch`, so others import it only where they use it.
"""

from __future__ import annotations

from hearthwatch.errors import LoadFailed

try:
    import torch as _torch  # noqa: F401  # asked for once here, so that its absence is one sentence and no traceback
except ModuleNotFoundError as missing:
    if missing.name != "torch":
        raise
    raise LoadFailed(
        'this needs PyTorch, which is not installed; `pip install "hearthwatch[torch]"` adds it'
    ) from missing

from hearthwatch.networks.build import Kind, Network, build_network

__all__ = ["Kind", "Network", "build_network"]
