"""`hearthwatch export clip`: CLIP's towers as ONNX files, its vision tower as a TensorRT engine, ahead of their use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.conversion import Conversion, convert
from hearthwatch.adapter.engine_export import (
    Validation,
    build_engine,
    engine_request,
    refuse_wrong_engine,
    validate_engine,
    validate_graph,
)
from hearthwatch.cli.terminal import say
from hearthwatch.models.clip import CLIPAdapter
from hearthwatch.models.clip_text import CLIPTextAdapter
from hearthwatch.runtimes.base import Precision
from hearthwatch.runtimes.tensorrt import TensorRTEngine
from hearthwatch.settings import read_settings

VISION_FILE, TEXT_FILE = "vision_encoder.onnx", "text_encoder.onnx"
#: The folder of the documented default under the models directory.
FOLDER = "clip-vit-l"

EXAMPLES = """Examples:

  hearthwatch export clip pipeline --model-path /models/clip-vit-l --output-dir /models/clip-vit-l --precision fp16

  hearthwatch export clip export --model-path /models/clip-vit-l --output /models/clip-vit-l/vision_encoder.onnx

  hearthwatch export clip tensorrt --onnx vision_encoder.onnx --output vision_encoder_fp16.engine --precision fp16

  hearthwatch export clip validate --model-path /models/clip-vit-l

A checkpoint is read without running anything in it. A file is written only if it gives the same answers as PyTorch.
Needs the extra: pip install "hearthwatch[torch]". An engine needs an NVIDIA GPU and the extra gpu; without one the
services run the ONNX files.
"""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Export models ahead of their first use.")
clip_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Export CLIP's towers.", epilog=EXAMPLES)
app.add_typer(clip_app, name="clip")


class PrecisionName(StrEnum):
    """How the engine computes."""

    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"

    @property
    def ours(self) -> Precision:
        """The same as runtimes call it."""
        names: dict[str, Precision] = {"fp16": "f16", "bf16": "bf16", "fp32": "f32"}
        return names[self.value]


ModelPath = Annotated[
    Path | None,
    typer.Option(help="Folder in Hugging Face's layout; CLIP_MODEL_PATH, else clip-vit-l in the models directory."),
]
PrecisionOption = Annotated[PrecisionName, typer.Option(help="Of the engine.")]
MaxBatch = Annotated[int, typer.Option(min=1, max=64, help="Largest batch of the engine; services ask for 8.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")]


@clip_app.command("export", epilog=EXAMPLES)
def export_command(
    model_path: ModelPath = None,
    output: Annotated[Path, typer.Option(help="The vision tower's ONNX file.")] = Path(VISION_FILE),
    text_output: Annotated[
        Path | None, typer.Option(help="The text tower's; else text_encoder.onnx beside the other.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write both towers as ONNX files, each compared with PyTorch."""
    errors = Console(stderr=True)
    written = _export(_folder(model_path), output, text_output or output.with_name(TEXT_FILE), errors)
    _print_json({"files": [str(one.path) for one in written]}, wanted=as_json)


@clip_app.command("tensorrt", epilog=EXAMPLES)
def tensorrt_command(
    onnx: Annotated[Path, typer.Option(help="The vision tower's ONNX file.")],
    output: Annotated[Path | None, typer.Option(help="The engine; else vision_encoder_fp16.engine beside it.")] = None,
    precision: PrecisionOption = PrecisionName.FP16,
    max_batch: MaxBatch = 8,
    as_json: AsJson = False,
) -> None:
    """Build the vision tower's TensorRT engine."""
    errors = Console(stderr=True)
    engine = output or _engine_path(onnx.parent, precision)
    built = _build(onnx, engine, precision, max_batch, errors)
    _print_json({"files": [str(file) for file in built]}, wanted=as_json)


@clip_app.command("validate", epilog=EXAMPLES)
def validate_command(
    model_path: ModelPath = None,
    onnx: Annotated[Path | None, typer.Option(help="The vision tower's ONNX file; else that of the folder.")] = None,
    engine: Annotated[Path | None, typer.Option(help="An engine; else that of the folder, where it has one.")] = None,
    precision: PrecisionOption = PrecisionName.FP16,
    max_batch: MaxBatch = 8,
    as_json: AsJson = False,
) -> None:
    """Compare what is on disk with PyTorch on real pictures; what does not agree is not used, and that is an error."""
    errors = Console(stderr=True)
    folder = _folder(model_path)
    graph = onnx or folder / VISION_FILE
    path = engine or _engine_path(graph.parent, precision)
    found = [_told(validate_graph(CLIPAdapter, graph, folder), errors)]
    text = graph.with_name(TEXT_FILE)
    if text.is_file():
        found.append(_told(validate_graph(CLIPTextAdapter, text, folder), errors))
    if engine is not None or _is_there(path):
        found.append(_validate_engine(graph, path, precision, max_batch, folder, errors))
    _print_json({"validated": [_row(one) for one in found]}, wanted=as_json)


@clip_app.command("pipeline", epilog=EXAMPLES)
def pipeline_command(
    model_path: ModelPath = None,
    output_dir: Annotated[Path | None, typer.Option(help="Where to write; else the model's own folder.")] = None,
    precision: PrecisionOption = PrecisionName.FP16,
    max_batch: MaxBatch = 8,
    as_json: AsJson = False,
) -> None:
    """Export both towers, build the engine where there is a GPU for it, and validate all of it."""
    errors = Console(stderr=True)
    folder = _folder(model_path)
    target = output_dir or folder
    graph, engine = target / VISION_FILE, _engine_path(target, precision)
    refuse_wrong_engine(engine)
    target.mkdir(parents=True, exist_ok=True)
    written = _export(folder, graph, target / TEXT_FILE, errors)
    files = [one.path for one in written]
    validated = [_exported(one) for one in written]
    unavailable = TensorRTEngine().unavailable("cuda:0")
    if unavailable is None:
        files += _build(graph, engine, precision, max_batch, errors)
        validated.append(_row(_validate_engine(graph, engine, precision, max_batch, folder, errors)))
    else:
        refuse_wrong_engine(engine, graph)
        say(errors, f"no TensorRT engine: {unavailable}; services run the ONNX files on another engine")
    say(errors, f"validated: {len(files)} files in {target}")
    _print_json(
        {"files": [str(file) for file in files], "validated": validated, "no_engine": unavailable},
        wanted=as_json,
    )  # fmt: skip


def _export(folder: Path, vision: Path, text: Path, errors: Console) -> list[Conversion]:
    """Both towers, each compared with PyTorch before it is there."""
    towers: list[tuple[type[Adapter[Any]], Path]] = [(CLIPAdapter, vision), (CLIPTextAdapter, text)]
    written: list[Conversion] = []
    for adapter, path in towers:
        with errors.status(f"converting {path.name}") as status:
            result = convert(folder, path, adapter, progress=_progress(errors, path.name, status.update))
        agreement = "no results to compare" if result.agreement is None else f"{result.agreement:.6f}"
        say(errors, f"{path}: {result.kind}, equal to PyTorch ({adapter.SPEC.agreement.name} {agreement} on "
            f"{result.pictures}, raw outputs within {result.raw_difference:.1e})")  # fmt: skip
        written.append(result)
    return written


def _build(graph: Path, engine: Path, precision: PrecisionName, max_batch: int, errors: Console) -> tuple[Path, ...]:
    refuse_wrong_engine(engine)
    request = engine_request(
        graph, engine, precision=precision.ours, max_batch=max_batch, cache_dir=read_settings().cache_dir
    )
    with errors.status(f"building {engine.name}, which takes minutes"):
        files = build_engine(request)
    places = ", ".join(map(str, files))
    say(errors, f"{engine.name}: built for batches of 1 to {max_batch}, as {places}")
    return files


def _validate_engine(
    graph: Path, engine: Path, precision: PrecisionName, max_batch: int, folder: Path, errors: Console
) -> Validation:
    refuse_wrong_engine(engine, graph)
    request = engine_request(
        graph, engine, precision=precision.ours, max_batch=max_batch, cache_dir=read_settings().cache_dir
    )
    return _told(validate_engine(CLIPAdapter, request, folder), errors)


def _told(found: Validation, errors: Console) -> Validation:
    say(errors, f"{found.file}: {found.measure} {found.value:.6f} to {found.reference} on {found.compared}, "
        f"{found.info.engine} {found.info.precision} on {found.info.device}")  # fmt: skip
    return found


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    settings = read_settings()
    named = settings.model_path(CLIPAdapter.SPEC.path_variables)
    return Path(named[1]).expanduser() if named else settings.models_dir / FOLDER


def _engine_path(folder: Path, precision: PrecisionName) -> Path:
    return folder / f"vision_encoder_{precision.value}.engine"


def _is_there(engine: Path) -> bool:
    """The file itself, or what is kept under its stem."""
    return engine.exists() or any(engine.parent.glob(f"{engine.stem}*.key.json"))


def _progress(errors: Console, name: str, update: Callable[[str], None]) -> Callable[[str], None]:
    def show(step: str) -> None:
        update(f"{name}: {step}")
        if not errors.is_terminal:
            say(errors, f"{name}: {step}")

    return show


def _exported(found: Conversion) -> dict[str, Any]:
    """A file that was compared when it was written: its engine is that of the comparison."""
    return {
        "file": str(found.path), "measure": CLIPAdapter.SPEC.agreement.name, "value": found.agreement,
        "compared": found.pictures, "reference": "PyTorch", "raw_difference": found.raw_difference,
    }  # fmt: skip


def _row(found: Validation) -> dict[str, Any]:
    return {
        "file": str(found.file), "measure": found.measure, "value": found.value, "compared": found.compared,
        "reference": found.reference, "engine": found.info.engine, "precision": found.info.precision,
        "device": found.info.device,
    }  # fmt: skip


def _print_json(content: dict[str, Any], *, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n")
