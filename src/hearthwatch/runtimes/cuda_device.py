"""Which NVIDIA GPU `cuda:N` is, asked of the driver's own libraries; no Python package is needed.

CUDA's numbering is used, not NVML's: `CUDA_VISIBLE_DEVICES` and CUDA's fastest-first order make them differ, and a GPU
named by the wrong number would be the key of an engine that is not its own.

Not run, for want of an NVIDIA GPU: every call into the two libraries. The tests put Python functions in their place.
"""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hearthwatch.errors import LoadFailed

CUDA_LIBRARY = "libcuda.so.1"
NVML_LIBRARY = "libnvidia-ml.so.1"

_NAME_BYTES = 256
_VERSION_BYTES = 80  # NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE

OpenLibrary = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class CUDADevice:
    """One GPU as CUDA numbers it.

    Attributes:
        index: N of `cuda:N`.
        name: such as "NVIDIA GeForce RTX 4090".
        uuid: of this very board.
        driver: the driver's version, such as "580.95.05".
    """

    index: int
    name: str
    uuid: str
    driver: str


def find_cuda_device(device: str, open_library: OpenLibrary = ctypes.CDLL) -> CUDADevice:
    """The GPU behind `cuda` or `cuda:N`.

    Raises:
        LoadFailed: another kind of device, no driver, or no GPU of that number; the message says which.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        raise LoadFailed(f"it runs on NVIDIA devices (cuda:N), not on {device}")
    try:
        cuda = open_library(CUDA_LIBRARY)
    except OSError as error:
        raise LoadFailed(f"there is no NVIDIA driver for {device} here ({CUDA_LIBRARY} cannot be opened)") from error
    status, count = cuda.cuInit(0), ctypes.c_int(0)
    if status == 0:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status not in {0, _NO_DEVICE}:
        raise LoadFailed(f"the NVIDIA driver does not start for {device} (CUDA error {status})")
    index = int(number or 0)
    if index >= count.value:
        raise LoadFailed(f"there is no {device} here; the NVIDIA driver finds {count.value} devices")
    return _describe(cuda, index, _driver_version(open_library))


def _describe(cuda: Any, index: int, driver: str) -> CUDADevice:
    handle, name, identity = ctypes.c_int(0), ctypes.create_string_buffer(_NAME_BYTES), (ctypes.c_ubyte * 16)()
    # _v2 gives a MIG slice its own identity; older drivers have the first one only.
    get_uuid = getattr(cuda, "cuDeviceGetUuid_v2", None) or cuda.cuDeviceGetUuid
    for status in (
        cuda.cuDeviceGet(ctypes.byref(handle), index),
        cuda.cuDeviceGetName(name, _NAME_BYTES, handle),
        get_uuid(identity, handle),
    ):
        if status != 0:
            raise LoadFailed(f"the NVIDIA driver does not describe cuda:{index} (CUDA error {status})")
    return CUDADevice(index, name.value.decode(errors="replace"), str(uuid.UUID(bytes=bytes(identity))), driver)


def _driver_version(open_library: OpenLibrary) -> str:
    """NVML alone knows it; "unknown" where the container lacks that library, which is a key of its own."""
    try:
        nvml = open_library(NVML_LIBRARY)
    except OSError:
        return "unknown"
    if nvml.nvmlInit_v2() != 0:
        return "unknown"
    version = ctypes.create_string_buffer(_VERSION_BYTES)
    status = nvml.nvmlSystemGetDriverVersion(version, _VERSION_BYTES)
    nvml.nvmlShutdown()
    return version.value.decode(errors="replace") if status == 0 else "unknown"
