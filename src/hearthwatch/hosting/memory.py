"""What a device really has free and in use: main memory from the kernel, an NVIDIA GPU from its driver."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Protocol

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.cuda_device import find_cuda_device

_log = logging.getLogger(__name__)

_KIB = 1024


class Memory(Protocol):
    """One device's memory. A reading takes well under a millisecond.

    Attributes:
        device: such as "cpu" or "cuda:0".
        is_gpu: whether it is a GPU's own memory.
    """

    device: str
    is_gpu: bool

    def used_bytes(self) -> int:
        """Bytes in use: what falls when a model leaves."""
        ...

    def free_bytes(self) -> int:
        """Bytes that a load could take now."""
        ...


class ProcessMemory:
    """Main memory, as this process sees it. Linux only.

    Args:
        proc: where the kernel tells.
        cgroups: where the limits of a container are.
    """

    device = "cpu"
    is_gpu = False

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._limits = [limit for limit in _limits(proc, cgroups) if limit.is_set()]

    def used_bytes(self) -> int:
        """Anonymous memory of this process: mapped pages of files can be taken back at any time."""
        return _field(self._proc / "self/status", "RssAnon:") * _KIB

    def free_bytes(self) -> int:
        """What the machine has available, or what is left to the container where that is less.

        A system that does not tell limits nothing: `sys.maxsize`.
        """
        available = _field(self._proc / "meminfo", "MemAvailable:") * _KIB
        return max(0, min([available or sys.maxsize, *(limit.left() for limit in self._limits)]))


class CudaMemory:
    """An NVIDIA GPU's memory, of all processes together, through NVML (nvidia-ml-py, in the extra `gpu`).

    Not run, for want of an NVIDIA GPU: every call into NVML.

    Args:
        device: cuda:N in CUDA's numbering, which is not NVML's.
        nvml: the module `pynvml`; None imports it.

    Raises:
        LoadFailed: no such GPU, or nobody to ask; the message says which.
    """

    is_gpu = True

    def __init__(self, device: str = "cuda:0", nvml: Any = None, *, find: Any = find_cuda_device) -> None:
        self.device = device
        self._nvml = nvml if nvml is not None else _import_nvml()
        uuid = find(device).uuid
        try:
            self._nvml.nvmlInit()
            self._handle = self._find(uuid)
        except self._nvml.NVMLError as error:
            raise LoadFailed(f"NVML does not know {device} ({uuid}): {error}") from error

    def used_bytes(self) -> int:
        return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    def free_bytes(self) -> int:
        return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).free)

    def _find(self, uuid: str) -> Any:
        try:
            return self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        except self._nvml.NVMLError:
            # A slice of a GPU has a name of its own.
            return self._nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")


def memory_for(device: str | None = None) -> Memory:
    """The memory that models on a device take.

    Args:
        device: auto (None), cpu, gpu or npu (Intel: main memory), cuda:N. Where an NVIDIA GPU was asked for and cannot
            be read, it is main memory, and a line in the log says why.
    """
    kind = (device or "auto").partition(":")[0]
    if kind not in {"auto", "cuda"}:
        return ProcessMemory()
    try:
        return CudaMemory(device if device and kind == "cuda" else "cuda:0")
    except LoadFailed as error:
        if kind == "cuda":
            _log.warning("memory device=%s read=main memory reason=%s", device, error)
        return ProcessMemory()


def _import_nvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise LoadFailed('nvidia-ml-py is not installed; `pip install "hearthwatch[gpu]"` brings it') from error
    return pynvml


class _Limit:
    """A container's limit, in the files of either version of cgroups."""

    def __init__(self, folder: Path, names: tuple[str, str, str]) -> None:
        self._limit, self._usage = (folder / name for name in names[:2])
        self._stat, self._reclaimable = folder / "memory.stat", names[2]

    def is_set(self) -> bool:
        """Version 2 says "max" for none, version 1 a number beyond any machine."""
        limit = _number(self._limit)
        return limit is not None and limit < 1 << 60

    def left(self) -> int:
        # Cached files count as used until somebody wants the room.
        used = (_number(self._usage) or 0) - _field(self._stat, self._reclaimable)
        return (_number(self._limit) or 0) - used


def _limits(proc: Path, cgroups: Path) -> list[_Limit]:
    """Every group that this process is in, up to the root: the tightest holds."""
    limits = []
    for path, folder, names in (
        (_group(proc, "0::"), cgroups, ("memory.max", "memory.current", "inactive_file")),
        (
            _group(proc, ":memory:"),
            cgroups / "memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ):
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        limits += [_Limit(folder.joinpath(*parts[:depth]), names) for depth in range(len(parts) + 1)]
    return limits


def _group(proc: Path, marker: str) -> str:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return ""
    return next((line.rpartition(":")[2] for line in lines if marker in line), "")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str) -> int:
    """A number of a file of lines "name number"; 0 where it is not told."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(words[1]) for line in lines if (words := line.split())[:1] == [name]), 0)
