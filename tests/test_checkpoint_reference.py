"""The reader against the reference: PyTorch, safetensors and zipfile read the same from the same files."""

from __future__ import annotations

import pickle
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from hearthwatch.artifacts.checkpoint import read_checkpoint
from hearthwatch.artifacts.stored_zip import read_directory
from small_checkpoints import assert_same


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="compares with PyTorch, which is an extra")


KINDS = st.sampled_from(["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=KINDS.flatmap(
        lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    data=st.data(),
    legacy=st.booleans(),
)
def test_what_torch_saves_is_read_as_torch_reads_it(
    torch: Any, folder: Path, array: Any, data: st.DataObject, legacy: bool
) -> None:
    whole = torch.from_numpy(array)
    order = data.draw(st.permutations(range(array.ndim)))
    view = whole.permute(order)
    if view.ndim and view.shape[0]:
        view = view[data.draw(st.integers(0, view.shape[0] - 1)) :: data.draw(st.integers(1, 3))]
    saved = {"whole": whole, "view": view, "parameter": torch.nn.Parameter(whole.detach().clone(), requires_grad=False)}
    torch.save(saved, folder / "saved.pt", _use_new_zipfile_serialization=not legacy)
    expected = torch.load(folder / "saved.pt", weights_only=True)
    read = read_checkpoint(folder / "saved.pt").tensors
    for label, reference in expected.items():
        np.testing.assert_array_equal(read[label], reference.numpy(), strict=True)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_network_that_torch_pickles_whole_gives_torchs_state_dict(torch: Any, legacy: bool, tmp_path: Path) -> None:
    layer = torch.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), layer, torch.nn.SiLU())
    torch.save(net.half(), tmp_path / "net.pt", _use_new_zipfile_serialization=not legacy)
    read = read_checkpoint(tmp_path / "net.pt")
    assert_same(read, {label: value.numpy() for label, value in net.state_dict().items()})


def test_bfloat16_is_read_as_torch_widens_it(torch: Any, tmp_path: Path) -> None:
    torch.save({"w": torch.linspace(-3, 3, 50).bfloat16()}, tmp_path / "net.pt")
    expected = torch.load(tmp_path / "net.pt", weights_only=True)["w"].float().numpy()
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "net.pt").tensors["w"], expected, strict=True)


def test_safetensors_are_read_as_their_own_package_writes_them(torch: Any, tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.torch", reason="compares with safetensors, which is an extra")
    saved = {"w": torch.linspace(-3, 3, 6).reshape(2, 3), "b": torch.arange(3).bfloat16(), "n": torch.tensor(5)}
    package.save_file(saved, tmp_path / "model.safetensors")
    read = read_checkpoint(tmp_path).tensors
    for label, value in saved.items():
        expected = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        np.testing.assert_array_equal(read[label], expected, strict=True)


# Real files.


def stand_ins(torch: Any) -> types.ModuleType:
    """A pickle module for `torch.load` in which every class that is not installed is an empty torch module."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module_name: str, attribute: str) -> Any:
            if module_name.partition(".")[0] in {"ultralytics", "models"}:
                return type(attribute, (torch.nn.Module,), {"__module__": module_name})
            return super().find_class(module_name, attribute)

    module_with_it = types.ModuleType("stand_ins")
    module_with_it.Unpickler = Unpickler  # type: ignore[attr-defined]
    module_with_it.load = pickle.load  # type: ignore[attr-defined]
    return module_with_it


@pytest.mark.weights
def test_the_real_reid_weights_are_read_as_torch_reads_them(torch: Any, assets: Path) -> None:
    path = assets / "weights" / "osnet_x0_25_msmt17.pt"
    read = read_checkpoint(path)
    expected = torch.load(path, weights_only=True)
    assert len(read.tensors) == 567
    assert_same(read, {label: value.numpy() for label, value in expected.items()})
    assert read.kind == "state_dict"
    assert "conv2.0.conv2a.conv1.weight" in read.tensors or "conv2.0.conv1.conv.weight" in read.tensors


@pytest.mark.weights
def test_the_real_weapon_detector_says_what_it_is(assets: Path) -> None:
    read = read_checkpoint(assets / "weights" / "threat_yolov8n_ultralight_256.pt")
    assert read.kind == "ultralytics"
    assert read.names == ("Knife", "Pistol", "weapon", "rifle")
    assert (read.task, read.stride, read.image_size) == ("detect", 32, (256, 256))
    assert read.licence == "AGPL-3.0 (https://ultralytics.com/license)"
    assert read.yaml is not None
    assert (read.yaml["nc"], read.yaml["scale"], len(read.yaml["backbone"])) == (4, "n", 9)
    assert read.yaml["head"][-1] == [[15, 18, 21], 1, "Detect", ["nc"]]
    assert read.facts["modules"]["model.22"] == "ultralytics.nn.modules.head.Detect"
    assert read.facts["version"] == "8.3.146"


@pytest.mark.weights
def test_the_real_yolov5_is_recognised_as_what_it_is(assets: Path) -> None:
    read = read_checkpoint(assets / "weights" / "yolov5n.pt")
    assert read.facts["class"] == "models.yolo.Model"
    assert read.facts["modules"]["model.2"] == "models.common.C3"
    assert read.yaml is not None
    assert read.yaml["head"][-1][2] == "Detect"
    assert (len(read.names), read.names[0], read.stride, read.task) == (80, "person", 32, None)


@pytest.mark.weights
@pytest.mark.parametrize("file", ["threat_yolov8n_ultralight_256.pt", "yolov5n.pt"])
def test_the_real_networks_have_the_tensors_that_torch_finds_in_them(torch: Any, assets: Path, file: str) -> None:
    path = assets / "weights" / file
    saved = torch.load(path, weights_only=False, pickle_module=stand_ins(torch))
    expected = saved["model"].state_dict()
    assert_same(read_checkpoint(path), {label: value.numpy() for label, value in expected.items()})


@pytest.mark.weights
@pytest.mark.parametrize("file", ["threat_yolov8n_ultralight_256.pt", "yolov5n.pt"])
def test_the_real_zip_files_are_listed_as_zipfile_lists_them(assets: Path, file: str) -> None:
    path = assets / "weights" / file
    with path.open("rb") as stream:
        ours = read_directory(stream, path.stat().st_size, file)
        theirs = {info.filename: info for info in zipfile.ZipFile(path).infolist()}
        assert set(ours) == set(theirs)
        for entry, info in theirs.items():
            stream.seek(ours[entry].start)
            assert stream.read(ours[entry].size) == zipfile.ZipFile(path).read(info)
