"""From a checkpoint to an ONNX file that gives the same answers, or to no file."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hearthwatch.adapter.conversion import convert, converted
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.parity import raw_difference
from hearthwatch.artifacts.description import describe
from hearthwatch.errors import LoadFailed, WeightsInvalid
from hearthwatch.models import get_model
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.vision.boxes import iou
from hearthwatch.vision.decode import to_image

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed (make test-all installs it)")
REID, DETECTOR = get_model("person_reid"), get_model("yolo26")


def command(*arguments: str | Path, **variables: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "hearthwatch", "-v", "models", "convert", *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | variables)


@pytest.fixture
def osnet(assets: Path, tmp_path: Path) -> Path:
    """The checkpoint alone, without its card: what somebody downloads."""
    path = tmp_path / "models" / "osnet-x0-25" / "osnet_x0_25.pth"
    path.parent.mkdir(parents=True)
    shutil.copy(assets / "weights/osnet_x0_25_msmt17.pt", path)
    return path


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed here")
def test_without_torch_the_one_command_is_named(tmp_path: Path) -> None:
    source = tmp_path / "osnet_x0_25.pth"
    source.write_bytes(b"anything")
    with pytest.raises(WeightsInvalid, match=r"hearthwatch models convert .*osnet_x0_25\.pth --output") as refused:
        converted(source, REID, tmp_path)
    assert "hearthwatch[torch]" in str(refused.value)


def test_a_booby_trapped_checkpoint_is_refused_and_its_payload_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {marker}",)

    trap = tmp_path / "trap.pt"
    trap.write_bytes(pickle.dumps(Trap()))
    process = command(trap, "--output", tmp_path / "out.onnx")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"posix.system" in err
    assert not marker.exists()
    assert not (tmp_path / "out.onnx").exists()


def test_a_folder_of_pictures_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    process = command(tmp_path / "net.pt", "--output", tmp_path / "out.onnx", "--pictures", tmp_path / "none")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert b"--pictures" in err
    assert b"Traceback" not in err


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_a_converted_weapon_detector_finds_the_same_weapons(assets: Path, tmp_path: Path) -> None:
    """Compared with the given file, which was exported by somebody else from the same weights."""
    output = tmp_path / "t.onnx"
    process = command(assets / "weights/threat_yolov8n_ultralight_256.pt", "--output", output, "--json")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    assert orjson.loads(out)["kind"] == "yolov8-detect"
    given = assets / "weights/threat_yolov8n_ultralight_256.onnx"
    ours, theirs = (LoadOptions(tmp_path, paths={"yolo26": path}) for path in (output, given))
    first, second = load(DETECTOR, ours), load(DETECTOR, theirs)
    assert first.looking.description.class_names == second.looking.description.class_names
    compared = 0
    for photo in sorted((assets / "data/weapons/images").glob("*.jpg")):
        image = to_image(photo)
        a, b = (model.predict([image])[0][0].detections for model in (first, second))
        sure = [d for d in b if d.confidence >= 0.5]
        compared += len(sure)
        for expected in sure:
            same = [d for d in a if d.class_name == expected.class_name]
            overlaps = iou(np.array([expected.box], np.float32), np.array([d.box for d in same], np.float32))
            assert overlaps.max() >= 0.95
    assert compared >= 20


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_a_checkpoint_converts_itself_on_first_use_and_only_once(osnet: Path, assets: Path, tmp_path: Path) -> None:
    options = LoadOptions(osnet.parents[1], cache_dir=tmp_path / "cache")
    steps: list[tuple[str, str]] = []
    first = load(REID, replace(options, progress=lambda model, step: steps.append((model, step))))
    assert [step.rpartition(": ")[2] for _, step in steps] == [
        "reading the checkpoint", "exporting", "comparing with PyTorch", "loading",
    ]  # fmt: skip
    assert all(model == "person_reid" for model, _ in steps)
    files = list((tmp_path / "cache/converted").glob("*.onnx"))
    assert len(files) == 1
    written = files[0].stat().st_mtime_ns
    again = load(REID, replace(options, progress=lambda _model, _step: pytest.fail("there was nothing to wait for")))
    assert files[0].stat().st_mtime_ns == written
    given = load(REID, LoadOptions(assets / "weights"))
    photos = sorted((assets / "data/reid").glob("*.jpg"))[:9]
    images = [to_image(photo) for photo in photos]
    for model in (first, again):
        for a, b in zip(model.predict(images)[0], given.predict(images)[0], strict=True):
            assert float(a.embedding @ b.embedding) >= 0.9999
    assert first.looking.description.input.origins["mean"] == "metadata"


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_a_converted_file_says_everything_about_itself(osnet: Path, tmp_path: Path) -> None:
    output = tmp_path / "osnet.onnx"
    result = convert(osnet, output, REID, engines=[ONNXRuntimeEngine()])
    assert result.raw_difference <= 1e-4
    description = describe(output, REID.SPEC.pixels)
    assert description.card.model == "person_reid"
    assert description.graph.inputs[0].shape[0] is None
    assert description.graph.metadata["source_sha256"]
    assert description.conflicts == ()
    assert b"site-packages" not in output.read_bytes(), "it tells where it was made"


class Drifting(ONNXRuntimeEngine):
    """An engine whose answers are a little wrong."""

    def load(self, request: Any) -> Any:
        runtime = super().load(request)
        exact = runtime.run
        runtime.run = lambda inputs: {name: np.multiply(array, 1.05) for name, array in exact(inputs).items()}  # type: ignore[method-assign]
        return runtime


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_no_file_is_written_when_the_answers_differ(osnet: Path, tmp_path: Path) -> None:
    output = tmp_path / "osnet.onnx"
    output.write_bytes(b"what was there before")
    with pytest.raises(WeightsInvalid, match=r"differs from PyTorch by 0\.05"):
        convert(osnet, output, REID, engines=[Drifting()])
    assert output.read_bytes() == b"what was there before"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["osnet.onnx"]
    assert list(tmp_path.glob(".*")) == []


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["reading", "exporting", "comparing"])
def test_a_kill_at_any_moment_leaves_no_half_file(moment: str, osnet: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "osnet.onnx"
    process = command(osnet, "--output", output)
    assert process.stderr is not None
    while line := process.stderr.readline():
        if moment.encode() in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not output.exists()
    result = convert(osnet, output, REID, engines=[ONNXRuntimeEngine()])
    assert list(output.parent.iterdir()) == [result.path], "what the killed one left is still there"


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_processes_that_ask_together_convert_once(osnet: Path, tmp_path: Path) -> None:
    script = (
        "import logging, sys; logging.basicConfig(level='INFO', stream=sys.stdout)\n"
        "from pathlib import Path\n"
        "from hearthwatch.adapter.conversion import converted\n"
        "from hearthwatch.models import get_model\n"
        f"print(converted(Path({str(osnet)!r}), get_model('person_reid'), Path({str(tmp_path)!r})))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sum("converting file=" in text for text in said) == 1
    assert len({text.splitlines()[-1] for text in said}) == 1


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_weights_beside_the_graph_are_found_under_its_new_name(osnet: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "osnet.onnx"
    convert(osnet, output, REID, engines=[ONNXRuntimeEngine()], embedded_bytes=0)
    [data] = [file for file in output.parent.iterdir() if file != output]
    assert data.stat().st_size > 700_000
    given, moved = (
        load(REID, LoadOptions(tmp_path, cache_dir=tmp_path, paths={"person_reid": path})) for path in (osnet, output)
    )
    image = to_image(Path(__file__).parents[1] / "src/hearthwatch/adapter/pictures/astronaut.jpg")
    first, second = (model.predict([image])[0][0].embedding for model in (given, moved))
    assert float(first @ second) >= 0.9999


@needs_torch
@pytest.mark.weights
@pytest.mark.slow
def test_a_checkpoint_that_changes_while_it_is_converted_is_not_kept_under_the_old_one_s_key(
    osnet: Path, tmp_path: Path
) -> None:
    card = osnet.with_suffix(".json")

    def change(step: str) -> None:
        if "comparing" in step:
            card.write_bytes(b'{"model": "person_reid"}')

    with pytest.raises(WeightsInvalid, match="was changed while it was converted"):
        convert(osnet, tmp_path / "out.onnx", REID, progress=change, unchanged=lambda: not card.exists())
    assert not (tmp_path / "out.onnx").exists()


@needs_torch
def test_a_file_that_is_too_large_is_not_even_read_for_its_digest(tmp_path: Path) -> None:
    source = tmp_path / "net.pt"
    with source.open("wb") as stream:
        stream.truncate(1 << 43)  # a hole: 8 TB that take no room
    with pytest.raises(WeightsInvalid, match=r"has 8796093022208 bytes; allowed 8589934592"):
        converted(source, REID, tmp_path)


@needs_torch
@pytest.mark.weights
def test_a_size_that_the_strides_do_not_divide_is_refused_before_the_export(assets: Path, tmp_path: Path) -> None:
    source = shutil.copy(assets / "weights/threat_yolov8n_ultralight_256.pt", tmp_path)
    Path(source).with_suffix(".json").write_bytes(b'{"input": {"size": [250, 256]}}')
    with pytest.raises(WeightsInvalid, match=r"250 x 256 px, and its network takes multiples of 32 px; `input\.size`"):
        convert(Path(source), tmp_path / "out.onnx", DETECTOR)
    assert not (tmp_path / "out.onnx").exists()


@needs_torch
@pytest.mark.weights
def test_an_output_that_cannot_be_written_is_one_sentence(osnet: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LoadFailed, match=r"cannot be converted to .*file/out\.onnx: .*(Not a directory|File exists)"):
        convert(osnet, tmp_path / "file" / "out.onnx", REID)


def test_a_wrong_probability_beside_boxes_of_hundreds_of_pixels_is_seen() -> None:
    expected = np.zeros((2, 6, 50), np.float32)
    expected[:, :4] = 500.0
    got = expected.copy()
    got[1, 5, 7] = 0.4
    assert raw_difference({"output0": expected}, {"output0": got}) == pytest.approx(0.4)
    got[1, 5, 7], got[0, 2, 3] = 0.0, 500.4
    assert raw_difference({"output0": expected}, {"output0": got}) == pytest.approx(0.4 / 500, rel=1e-3)


@pytest.mark.parametrize(
    ("got", "share"),
    [
        ([[0.1, 0.2]], 0.0),
        ([[0.1, 0.21]], 0.05),
        ([[0.1, np.nan]], np.inf),
        ([[0.1, np.inf]], np.inf),
        ([[0.1]], np.inf),
    ],
)
def test_a_raw_difference_is_a_share_and_what_is_not_finite_agrees_with_nothing(got: Any, share: float) -> None:
    expected = {"y": np.array([[0.1, 0.2]], np.float32)}
    assert raw_difference(expected, {"y": np.array(got, np.float32)}) == pytest.approx(share, rel=1e-3)
