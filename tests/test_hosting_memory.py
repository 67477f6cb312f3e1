"""What a device has free and in use: the kernel's files, and a driver that is made up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hearthwatch.errors import LoadFailed
from hearthwatch.hosting.memory import CudaMemory, ProcessMemory, memory_for
from hearthwatch.hosting.meter import Meter
from hearthwatch.hosting.spec import MIB
from hearthwatch.runtimes.cuda_device import CUDADevice
from hearthwatch.runtimes.memory import release_memory
from simulated import SimulatedMemory

GIB = 1024 * MIB


def machine(tmp_path: Path, cgroup: str = "", files: dict[str, str] | None = None) -> ProcessMemory:
    """A machine with 8 GiB available, whose process is in these groups with these limits."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    written = {
        proc / "self/status": "Name:\tpython\nVmRSS:\t  900000 kB\nRssAnon:\t  204800 kB\n",
        proc / "meminfo": f"MemTotal: 99999999 kB\nMemAvailable: {8 * GIB // 1024} kB\n",
        proc / "self/cgroup": cgroup,
    } | {cgroups / name: text for name, text in (files or {}).items()}
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ProcessMemory(proc, cgroups)


def test_in_use_is_the_anonymous_memory_of_this_process(tmp_path: Path) -> None:
    assert machine(tmp_path).used_bytes() == 200 * MIB


def test_without_a_container_what_the_machine_has_available_is_free(tmp_path: Path) -> None:
    assert machine(tmp_path).free_bytes() == 8 * GIB


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        (
            "0::/\n",
            {"memory.max": f"{2 * GIB}\n", "memory.current": f"{GIB}", "memory.stat": f"inactive_file {GIB // 2}\n"},
        ),
        (
            "0::/user/app\n",
            {
                "memory.max": f"{2 * GIB}",
                "memory.current": f"{GIB}",
                "memory.stat": f"anon 1\ninactive_file {GIB // 2}\n",
                "user/app/memory.max": "max\n",
                "user/app/memory.current": f"{GIB}",
            },
        ),
        (
            "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n",
            {
                "memory/memory.limit_in_bytes": f"{2 * GIB}",
                "memory/memory.usage_in_bytes": f"{GIB}",
                "memory/memory.stat": f"cache 1\ntotal_inactive_file {GIB // 2}\n",
            },
        ),
    ],
    ids=["version 2", "a group above", "version 1"],
)
def test_in_a_container_what_is_left_of_its_limit_is_free(tmp_path: Path, cgroup: str, files: dict[str, str]) -> None:
    assert machine(tmp_path, cgroup, files).free_bytes() == GIB + GIB // 2


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        ("0::/\n", {"memory.max": "max\n", "memory.current": "5\n"}),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}),
        ("nonsense\n", {"memory.max": "nonsense\n"}),
        ("0::/../..\n", {}),
    ],
    ids=["version 2", "version 1", "nonsense", "outside"],
)
def test_a_container_without_a_limit_limits_nothing(tmp_path: Path, cgroup: str, files: dict[str, str]) -> None:
    assert machine(tmp_path, cgroup, files).free_bytes() == 8 * GIB


def test_a_container_that_is_over_its_limit_has_nothing_free(tmp_path: Path) -> None:
    files = {"memory.max": f"{GIB}", "memory.current": f"{2 * GIB}"}
    assert machine(tmp_path, "0::/\n", files).free_bytes() == 0


def test_a_system_that_tells_nothing_limits_nothing(tmp_path: Path) -> None:
    memory = ProcessMemory(tmp_path / "proc", tmp_path / "cgroup")
    assert (memory.used_bytes(), memory.free_bytes()) == (0, sys.maxsize)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the Linux kernel's files")
def test_a_large_array_is_seen_to_come_and_go() -> None:
    memory = ProcessMemory()
    release_memory()  # what earlier tests left must not come back in between
    before = memory.used_bytes()
    array = np.ones(64 * MIB, np.uint8)
    assert memory.used_bytes() - before > 56 * MIB
    del array
    release_memory()
    assert memory.used_bytes() - before < 8 * MIB
    assert memory.free_bytes() > 0


# ---------------------------------------------------------------------------------------------------------------- GPU


class FakeNVML:
    """NVML with one GPU, or one slice of a GPU, of 80 GiB."""

    class NVMLError(Exception):
        pass

    def __init__(self, *known: str) -> None:
        self.known = known

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        if not self.known:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in self.known:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:  # noqa: N802
        return SimpleNamespace(used=30 * GIB, free=50 * GIB, total=80 * GIB)


def gpu(_device: str) -> CUDADevice:
    return CUDADevice(0, "NVIDIA H100", "1234", "580.1")


@pytest.mark.parametrize("uuid", ["GPU-1234", "MIG-1234"])
def test_a_gpu_is_found_by_its_identity_and_read_as_a_whole(uuid: str) -> None:
    memory = CudaMemory("cuda:0", FakeNVML(uuid), find=gpu)
    assert (memory.device, memory.is_gpu) == ("cuda:0", True)
    assert (memory.used_bytes(), memory.free_bytes()) == (30 * GIB, 50 * GIB)


@pytest.mark.parametrize(("nvml", "reason"), [(FakeNVML(), "Driver Not Loaded"), (FakeNVML("GPU-9"), "Not Found")])
def test_a_gpu_that_the_driver_does_not_know_is_none(nvml: FakeNVML, reason: str) -> None:
    with pytest.raises(LoadFailed, match=rf"NVML does not know cuda:0 \(1234\): {reason}"):
        CudaMemory("cuda:0", nvml, find=gpu)


@pytest.mark.parametrize("device", ["cpu", "gpu", "npu"])
def test_what_shares_main_memory_is_read_there(device: str) -> None:
    assert isinstance(memory_for(device), ProcessMemory)


def test_a_gpu_that_cannot_be_read_leaves_main_memory_and_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    memory = memory_for("cuda:97")  # no machine has so many
    assert not memory.is_gpu
    assert "memory device=cuda:97 read=main memory reason=" in caplog.text


# -------------------------------------------------------------------------------------------------------------- meter


def test_a_reading_tells_the_change_and_whether_it_was_alone() -> None:
    memory = SimulatedMemory(1000)
    meter = Meter(memory)
    first = meter.start()
    memory.taken["a"] = 5
    assert (meter.stop(first), first.alone) == (5, True)
    second = meter.start()
    third = meter.start()
    del memory.taken["a"]
    assert (meter.stop(third), third.alone) == (-5, False)
    assert (meter.stop(second), second.alone) == (-5, False)
    assert meter.start().alone
