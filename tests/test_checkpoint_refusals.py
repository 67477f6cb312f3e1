"""What is refused, by name, and that nothing in a checkpoint is ever run."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hearthwatch
from hearthwatch.artifacts.checkpoint import CheckpointLimits, read_checkpoint
from hearthwatch.errors import WeightsInvalid
from hostile import PAYLOADS, Payload
from malformed import MALFORMED, Malformed
from malformed_folders import MALFORMED_FOLDERS
from small_checkpoints import CONV, NET, SIX, TENSORS, network, save_float32
from torch_by_hand import (
    Code,
    legacy_file,
    name,
    pickled,
    push,
    save_legacy,
    save_zip,
    storage,
    tensor,
    write_safetensors,
    zip_file,
)

SMALL = CheckpointLimits(
    file_bytes=100_000, pickle_bytes=20_000, opcodes=5_000, tensors=50, values=500, depth=20, json_bytes=5_000
)


def in_a_zip(path: Path, code: bytes) -> Path:
    return zip_file(path, {"model": Code(code)}, {"0": SIX.tobytes()})


def in_a_legacy_file(path: Path, code: bytes) -> Path:
    return legacy_file(path, {"model": Code(code)})


def as_a_bare_pickle(path: Path, code: bytes) -> Path:
    path.write_bytes(pickled(Code(code)))
    return path


def in_a_folder(path: Path, code: bytes) -> Path:
    folder = path.with_suffix("")
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return in_a_zip(folder / "pytorch_model.bin", code).parent


CONTAINERS = [in_a_zip, in_a_legacy_file, as_a_bare_pickle, in_a_folder]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_booby_trap_is_refused_by_name_and_does_not_run(
    payload: Payload, container: Callable[[Path, bytes], Path], tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    path = container(tmp_path / "net.pt", payload.code(str(marker)))
    with pytest.raises(WeightsInvalid) as refusal:
        read_checkpoint(path)
    message = str(refusal.value)
    assert payload.culprit in message
    assert str(path) in message
    assert "Nothing in it was run" in message
    assert not marker.exists()


@pytest.mark.parametrize("label", [label for label, payload in PAYLOADS.items() if payload.live])
def test_the_booby_traps_of_the_zoo_are_live(label: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    trap = as_a_bare_pickle(tmp_path / "trap.pkl", PAYLOADS[label].code(str(marker)))
    # A process of its own: these run whatever they carry.
    script = f"import pickle; pickle.load(open({str(trap)!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60, capture_output=True)
    assert marker.exists()


@pytest.mark.parametrize(
    "case", [*MALFORMED.values(), *MALFORMED_FOLDERS.values()], ids=[*MALFORMED, *MALFORMED_FOLDERS]
)
def test_what_breaks_a_rule_is_refused_with_the_rule(case: Malformed, tmp_path: Path) -> None:
    path = case.build(tmp_path)
    with pytest.raises(WeightsInvalid) as refusal:
        read_checkpoint(path)
    assert case.complaint in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_a_path_with_a_null_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="null byte"):
        read_checkpoint(tmp_path / "a\0b.pt")


def test_a_deep_structure_that_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    deep = {
        "lists": Code(b"]" * 50_000 + b"a" * 49_999),
        "tuples": Code(b")" + b"\x85" * 200_000),
        "objects": Code(CONV + b"q\x01" + b"h\x01" * 50_000 + b")" + b"\x81\x85" * 50_000 + b"\x81"),
    }
    path = zip_file(tmp_path / "net.pt", {"w": tensor(storage("0", 6), (6,)), **deep}, {"0": SIX.tobytes()})
    assert list(read_checkpoint(path).tensors) == ["w"]


@pytest.mark.parametrize("cut", range(0, 100, 3))
@pytest.mark.parametrize("save", [save_zip, save_legacy, save_float32])
def test_a_file_that_was_cut_off_is_refused(save: Callable[..., Path], cut: int, tmp_path: Path) -> None:
    file = tmp_path / ("net.safetensors" if save is save_float32 else "net.pt")
    save(file) if save is save_float32 else save(file, TENSORS)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * cut // 100])
    with pytest.raises(WeightsInvalid):
        read_checkpoint(file)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (CheckpointLimits(file_bytes=100), "allowed 100"),
        (CheckpointLimits(pickle_bytes=100), "allowed 100"),
        (CheckpointLimits(opcodes=10), "more than 10 pickle opcodes"),
        (CheckpointLimits(tensors=3), "allowed 3"),
    ],
)
def test_the_limits_are_the_callers(limits: CheckpointLimits, complaint: str, tmp_path: Path) -> None:
    path = save_zip(tmp_path / "net.pt", TENSORS)
    with pytest.raises(WeightsInvalid, match=complaint):
        read_checkpoint(path, limits)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (CheckpointLimits(file_bytes=100), "allowed 100"),
        (CheckpointLimits(json_bytes=20), "allowed 20"),
        (CheckpointLimits(tensors=1), "allowed 1"),
    ],
)
def test_the_limits_hold_for_folders_too(limits: CheckpointLimits, complaint: str, tmp_path: Path) -> None:
    save_float32(tmp_path / "model.safetensors")
    with pytest.raises(WeightsInvalid, match=complaint):
        read_checkpoint(tmp_path, limits)


def test_nothing_of_ours_unpickles_and_torch_is_not_needed() -> None:
    """By reading the source: nothing that finds, fetches or reads files may even import what runs pickles."""
    for file in sorted((Path(hearthwatch.__file__).parent / "artifacts").glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        roots = {module_name.partition(".")[0] for module_name in imported}
        assert not roots & {"pickle", "_pickle", "cPickle", "dill", "joblib", "torch", "copyreg", "marshal"}, file
    script = (
        "import sys; from hearthwatch.artifacts.checkpoint import read_checkpoint; "
        "raise SystemExit(any(name in sys.modules for name in ('torch', 'onnx', 'onnxruntime', 'safetensors')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(hearthwatch.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environment)


# Anything at all.


def read_or_refuse(path: Path) -> None:
    with contextlib.suppress(WeightsInvalid):
        read = read_checkpoint(path, SMALL)
        assert all(isinstance(array, np.ndarray) and array.dtype != object for array in read.tensors.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anything")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["net.pt", "net.safetensors"]))
def test_any_bytes_are_read_or_refused(folder: Path, data: bytes, file: str) -> None:
    (folder / file).write_bytes(data)
    read_or_refuse(folder / file)


#: Opcodes of every kind, with arguments that fit: random bytes hardly ever make a pickle that goes far.
OPCODES = st.sampled_from(
    [
        *(
            bytes([code])
            for code in b"(.012Nabdelostu)]}R"
            + bytes([0x81, 0x85, 0x86, 0x87, 0x88, 0x8F, 0x90, 0x91, 0x92, 0x93, 0x94])
        ),
        *(b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"K\x02", b"K\x00", b"Q", b"I5\n", b"p3\n", b"g3\n", b"G" + bytes(8)),
        *(push(text) for text in ("storage", "0", "_modules", "_parameters", "model", "state_dict")),
        *(CONV, NET, name("torch", "FloatStorage"), name("torch._utils", "_rebuild_tensor_v2"), name("os", "system")),
        *(name("collections", "OrderedDict"), name("numpy", "dtype"), storage("0", 6), tensor(storage("0", 6), (6,))),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPCODES, max_size=40))
def test_any_opcodes_are_read_or_refused(folder: Path, opcodes: list[bytes]) -> None:
    read_or_refuse(zip_file(folder / "net.pt", None, {"0": SIX.tobytes()}, data=b"".join(opcodes) + b"."))


def valid(folder: Path) -> list[Path]:
    code, storages = network(yaml={"nc": 1}, names=["a"], args={"imgsz": 64})
    return [
        zip_file(folder / "ultralytics.pt", {"model": code, "epoch": 1}, storages),
        save_zip(folder / "zip.pt", TENSORS),
        save_legacy(folder / "legacy.pt", TENSORS),
        save_float32(folder / "one.safetensors"),
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(
    st.integers(0, 3),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6), st.integers(0, 6)), min_size=1, max_size=4
    ),
)
def test_any_change_of_a_file_is_read_or_refused(
    folder: Path, which: int, changes: list[tuple[float, bytes, int]]
) -> None:
    path = valid(folder)[which]
    data = path.read_bytes()
    for where, inserted, removed in changes:
        position = int(where * len(data))
        data = data[:position] + inserted + data[position + removed :]
    path.write_bytes(data)
    read_or_refuse(path)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=3
    )
)
def test_any_change_of_the_pickle_alone_is_read_or_refused(
    folder: Path, changes: list[tuple[float, bytes, int]]
) -> None:
    code, storages = network(yaml={"nc": 1}, names=["a"], args={"imgsz": 64})
    data = pickled({"model": code, "epoch": 1})
    for where, inserted, removed in changes:
        position = int(where * len(data))
        data = data[:position] + inserted + data[position + removed :]
    read_or_refuse(zip_file(folder / "net.pt", None, storages, data=data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1000) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("01ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["id2label", "image_size", "vision_config", "backbone_config"]), JSON))
def test_any_config_is_read_or_refused(folder: Path, config: dict[str, Any]) -> None:
    inner = folder / "configured"
    inner.mkdir(exist_ok=True)
    save_float32(inner / "model.safetensors")
    (inner / "config.json").write_text(json.dumps(config))
    read_or_refuse(inner)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__"]),
        JSON
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "U8", "BF16"]),
                "shape": st.lists(st.integers(-1, 4), max_size=3),
                "data_offsets": st.lists(st.integers(-1, 12), min_size=2, max_size=2),
            }
        ),
    )
)
def test_any_safetensors_header_is_read_or_refused(folder: Path, rows: dict[str, Any]) -> None:
    read_or_refuse(write_safetensors(folder / "any.safetensors", rows, bytes(8)))
