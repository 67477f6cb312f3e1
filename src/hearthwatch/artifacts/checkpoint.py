"""Checkpoints: weights as their authors publish them, read without running anything in them.

With numpy alone, these are read: torch's zip files and its older row of pickles, holding a state dict or a network that
was pickled whole (Ultralytics' `.pt`), and folders in Hugging Face's layout. A pickle can ask for any program to run;
here none does (`unpickling`), and a file that asks is refused with the name of what it asked for.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

from hearthwatch.artifacts.card import MAX_SIDE_PX
from hearthwatch.artifacts.elements import Array, digest_of
from hearthwatch.artifacts.hugging_face import is_hugging_face, read_hugging_face
from hearthwatch.artifacts.inert import Record, shown
from hearthwatch.artifacts.labels import class_names, labels_of
from hearthwatch.artifacts.limits import DEFAULT_LIMITS, CheckpointLimits
from hearthwatch.artifacts.pickled_model import PickledModel, is_module, take_apart, to_plain
from hearthwatch.artifacts.state_dict import state_dict_of
from hearthwatch.artifacts.torch_files import TorchFile, read_torch_file
from hearthwatch.errors import WeightsInvalid

__all__ = ["DEFAULT_LIMITS", "Checkpoint", "CheckpointKind", "CheckpointLimits", "read_checkpoint"]

CheckpointKind = Literal["ultralytics", "state_dict", "hugging_face"]

#: Where a training program keeps the network, the better one first: `ema` is the running mean of `model` over the
#: training, which Ultralytics validates and publishes.
_MODEL_KEYS = ("ema", "model")
#: Facts beside the network that are handed on.
_FACTS = ("version", "date", "epoch", "license", "docs")
_TASKS: Mapping[str, str] = {
    "DetectionModel": "detect",
    "SegmentationModel": "segment",
    "PoseModel": "pose",
    "ClassificationModel": "classify",
    "OBBModel": "obb",
}
#: YOLOv8-P6 has 64, image classifiers 32.
_MAX_STRIDE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Weights and what their file says about them.

    Attributes:
        path: the file or folder.
        kind: `ultralytics` is a network that Ultralytics' programs pickled whole, YOLOv5's too; `state_dict` are
            tensors alone; `hugging_face` a folder or a file of one.
        digest: SHA-256 of the file; of several, of their digests in the order of `facts["files"]`.
        tensors: by the names of torch's `state_dict()`, without `module.`; writable, in the file's own type, bfloat16
            as float32. Tensors that share memory in the file may share it here.
        yaml: the architecture's description, Ultralytics only.
        names: of the classes, by index; empty where neither the file nor what lies beside it names any.
        task: `detect`, `segment`, `pose`, `classify` or `obb`; Ultralytics only.
        stride: the coarsest stride of the heads in pixels; Ultralytics only.
        image_size: (height, width) of the network's input in pixels.
        config: Hugging Face's config.json.
        licence: as the file words it.
        facts: what else it says. Ultralytics: class, modules (the class of each module by its path), weights ("ema" or
            "model"), args of the training, version, date, epoch. State dicts: what stood beside the tensors. Hugging
            Face: files, and the metadata of the safetensors files.
    """

    path: Path
    kind: CheckpointKind
    digest: str
    tensors: Mapping[str, Array]
    yaml: Mapping[str, Any] | None = None
    names: tuple[str, ...] = ()
    task: str | None = None
    stride: int | None = None
    image_size: tuple[int, int] | None = None
    config: Mapping[str, Any] | None = None
    licence: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path, limits: CheckpointLimits = DEFAULT_LIMITS) -> Checkpoint:
    """Read a checkpoint without executing it.

    Args:
        path: a `.pt`, `.pth`, `.bin` or `.safetensors` file, or a Hugging Face folder.
        limits: bounds of size, depth and number.

    Raises:
        WeightsInvalid: not a checkpoint, damaged, over a limit, self-contradictory, or it asks for something that no
            network needs; the message names the file and what it asked for. Nothing of it was run.
    """
    if "\0" in str(path):
        raise WeightsInvalid(f"{path!r} cannot be read: no path has a null byte")
    try:
        if is_hugging_face(path):
            return _from_hugging_face(path, limits)
        # Before it is opened: a pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise WeightsInvalid(f"{path} is no plain file")
        with path.open("rb") as stream:
            return _from_torch(path, stream, limits)
    except OSError as error:
        raise WeightsInvalid(f"{path} cannot be read: {error.strerror or error}") from error


def _from_torch(path: Path, stream: BufferedReader, limits: CheckpointLimits) -> Checkpoint:
    size = stream.seek(0, 2)
    if size > limits.file_bytes:
        raise WeightsInvalid(f"{path} has {size} bytes; allowed {limits.file_bytes}")
    file = read_torch_file(stream, size, str(path), limits)
    found = _find_model(file.root)
    if found is None:
        state = state_dict_of(file, limits)
        return Checkpoint(path, "state_dict", digest_of([stream]), state.tensors, facts=state.facts)
    key, module = found
    model = take_apart(module, file.where, limits)
    beside = file.root if isinstance(file.root, dict) else {}
    facts: dict[str, Any] = {
        "class": model.type,
        "modules": model.classes,
        "weights": key,
        "args": model.attributes.get("args"),
    }
    facts |= {name: to_plain(beside[name], file.where, limits) for name in _FACTS if beside.get(name) is not None}
    trained = to_plain(beside.get("train_args"), file.where, limits)
    return Checkpoint(
        path,
        "ultralytics" if model.type.startswith(("ultralytics.", "models.")) else "state_dict",
        digest_of([stream]),
        file.arrays(model.tensors),
        yaml=_mapping(model.attributes.get("yaml")),
        names=class_names(model.attributes.get("names"), file.where),
        task=_task(model, trained),
        stride=_stride(file, model),
        image_size=_image_size(model.attributes.get("args"), file.where) or _image_size(trained, file.where),
        licence=facts["license"] if isinstance(facts.get("license"), str) else None,
        facts=facts,
    )


def _find_model(root: Any) -> tuple[str, Record] | None:
    """The pickled network: the whole file, or an entry of what the training program saved."""
    if is_module(root):
        return "model", root
    if not isinstance(root, dict):
        return None
    return next(((key, root[key]) for key in _MODEL_KEYS if is_module(root.get(key))), None)


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _task(model: PickledModel, trained: Any) -> str | None:
    """The task that is stated; else what the class of the network is for."""
    sources = (model.attributes, model.attributes.get("args"), trained)
    stated = next((source["task"] for source in sources if isinstance(source, dict) and source.get("task")), None)
    return stated if isinstance(stated, str) else _TASKS.get(model.type.rpartition(".")[2])


def _stride(file: TorchFile, model: PickledModel) -> int | None:
    if model.stride is None:
        return None
    strides = file.arrays({"stride": model.stride})["stride"]
    coarsest = float(strides.max(initial=0))
    if not (1 <= coarsest <= _MAX_STRIDE and coarsest.is_integer()):
        raise WeightsInvalid(
            f"{file.where} has the stride {coarsest}; allowed are whole numbers from 1 to {_MAX_STRIDE}"
        )
    return int(coarsest)


def _image_size(source: Any, where: str) -> tuple[int, int] | None:
    """Height and width from `imgsz` (Ultralytics) or `image_size` (Hugging Face): one side, a pair, or named sides."""
    if not isinstance(source, dict):
        return None
    size = next((source[key] for key in ("imgsz", "image_size") if source.get(key) is not None), None)
    if size is None:
        return None
    if isinstance(size, dict):
        size = [size.get("height"), size.get("width")]
    sides = size if isinstance(size, list) else [size, size]
    # Not isinstance: true and false are integers too.
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= MAX_SIDE_PX for side in sides):
        told = shown(str(size)) if isinstance(size, int | float | str) else "no side"
        raise WeightsInvalid(f"{where} has the image size {told}; allowed are sides from 1 to {MAX_SIDE_PX} px")
    return sides[0], sides[1]


def _from_hugging_face(path: Path, limits: CheckpointLimits) -> Checkpoint:
    files = read_hugging_face(path, limits)
    config = files.config or {}
    parts = (config, config.get("vision_config"), config.get("backbone_config"))
    return Checkpoint(
        path,
        "hugging_face",
        files.digest,
        files.tensors,
        names=labels_of(config, str(path), files.classes),
        image_size=next(filter(None, (_image_size(part, str(path)) for part in parts)), None),
        config=files.config,
        facts={"files": files.files, "metadata": files.metadata},
    )
