"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from builds import PATIENCE_S
from fake_onnxruntime import FakeONNXRuntime
from hearthwatch.runtimes.upgrade import start_thread
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image
from simulated import NewWorld, World

pytest_plugins = ("not_again",)

ASSETS_VARIABLE = "HEARTHWATCH_TEST_ASSETS"
# No test is timed: what else a machine does would decide.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def nobody_chose_weights() -> Iterator[None]:
    """Real or sample weights: as on a machine where nobody said which, whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEARTHWATCH_WEIGHTS", "HEARTHWATCH_SAMPLES_DIR"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with real weights and labelled pictures; skips where it is absent."""
    default = Path(__file__).parents[1] / ".." / "shared"
    folder = Path(os.environ.get(ASSETS_VARIABLE) or default).resolve()
    if not (folder / "weights").is_dir():
        pytest.skip(f"real weights and pictures are not at {folder} (set {ASSETS_VARIABLE})")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """The photograph that comes with the package: one person, 512 x 512 px."""
    return decode((Path(__file__).parents[1] / "src/hearthwatch/adapter/pictures/astronaut.jpg").read_bytes())


@pytest.fixture
def ort(tmp_path: Path) -> FakeONNXRuntime:
    """A stand-in for ONNX Runtime's GPU build."""
    return FakeONNXRuntime(tmp_path)


@pytest.fixture
def no_build_outlives_its_test() -> Iterator[None]:
    """Waits for what the test left building in the background."""
    yield
    done = threading.Event()
    start_thread(done.set)  # it comes after every build
    assert done.wait(PATIENCE_S)


@pytest.fixture
def new_world() -> Iterator[NewWorld]:
    """Makes managers on simulated devices; what they leave undone ends with the test."""
    worlds: list[World] = []

    def make(budget_mb: float = 1000, **options: Any) -> World:
        worlds.append(World(budget_mb, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()
