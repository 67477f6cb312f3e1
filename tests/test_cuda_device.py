"""Which NVIDIA GPU cuda:N is, asked of the driver's libraries."""

from __future__ import annotations

from typing import Any

import pytest

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.cuda_device import CUDA_LIBRARY, CUDADevice, find_cuda_device


class TestDevice:
    """The driver's libraries, with Python functions in the place of theirs."""

    class Driver:
        def __init__(self, count: int = 2, start: int = 0, version: int = 0) -> None:
            self.count, self.start, self.version = count, start, version

        def __call__(self, name: str) -> Any:
            return self

        def cuInit(self, flags: int) -> int:  # noqa: N802
            return self.start

        def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
            count._obj.value = self.count
            return 0

        def cuDeviceGet(self, handle: Any, index: int) -> int:  # noqa: N802
            handle._obj.value = 40 + index
            return 0

        def cuDeviceGetName(self, name: Any, size: int, handle: Any) -> int:  # noqa: N802
            name.value = f"NVIDIA Number {handle.value}".encode()
            return 0

        def cuDeviceGetUuid_v2(self, identity: Any, handle: Any) -> int:  # noqa: N802
            identity[:] = bytes([handle.value] * 16)
            return 0

        def nvmlInit_v2(self) -> int:  # noqa: N802
            return self.version

        def nvmlSystemGetDriverVersion(self, version: Any, size: int) -> int:  # noqa: N802
            version.value = b"580.95.05"
            return 0

        def nvmlShutdown(self) -> int:  # noqa: N802
            return 0

    def test_a_gpu_is_described_by_the_number_that_cuda_gives_it(self) -> None:
        found = find_cuda_device("cuda:1", self.Driver())
        assert found == CUDADevice(1, "NVIDIA Number 41", "29292929-2929-2929-2929-292929292929", "580.95.05")
        assert find_cuda_device("cuda", self.Driver()).index == 0

    def test_without_nvml_the_driver_is_unknown_and_the_gpu_is_known(self) -> None:
        assert find_cuda_device("cuda:0", self.Driver(version=9)).driver == "unknown"

        def no_nvml(name: str) -> Any:
            if name != CUDA_LIBRARY:
                raise OSError(name)
            return self.Driver()

        assert find_cuda_device("cuda:0", no_nvml).driver == "unknown"

    @pytest.mark.parametrize(
        ("device", "driver", "reason"),
        [
            ("cpu", Driver(), "NVIDIA devices .* not on cpu"),
            ("cuda:2", Driver(), "there is no cuda:2 here; the NVIDIA driver finds 2 devices"),
            ("cuda:0", Driver(count=0), "there is no cuda:0 here; the NVIDIA driver finds 0 devices"),
            ("cuda:0", Driver(count=0, start=100), "finds 0 devices"),
            ("cuda:0", Driver(start=804), r"does not start for cuda:0 \(CUDA error 804\)"),
        ],
    )
    def test_a_device_that_is_not_there_is_a_reason(self, device: str, driver: Driver, reason: str) -> None:
        with pytest.raises(LoadFailed, match=reason):
            find_cuda_device(device, driver)

    def test_a_machine_without_the_driver_says_so(self) -> None:
        def none(name: str) -> Any:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")

        with pytest.raises(LoadFailed, match=r"no NVIDIA driver for cuda:0 here \(libcuda\.so\.1"):
            find_cuda_device("cuda:0", none)
