"""`hearthwatch models convert`: a checkpoint becomes an ONNX file that gives the same answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.conversion import Conversion, build, card_for, convert
from hearthwatch.adapter.prompts import judged_by
from hearthwatch.artifacts.checkpoint import Checkpoint, read_checkpoint
from hearthwatch.cli.terminal import say
from hearthwatch.errors import UnknownModel, WeightsInvalid
from hearthwatch.models import MODELS, get_model
from hearthwatch.vision.decode import decode, read_picture
from hearthwatch.vision.image import Image

#: Which model's preprocessing and agreement judge a checkpoint of that task where neither option nor card names one.
MODEL_OF_TASK = {"detect": "yolo26", "pose": "pose_estimator"}
#: Tensors that only one model's networks have: torchreid's name of OSNet's last layer, the first of Depth Anything's
#: neck and of ViTPose's blocks, what reads X-CLIP's frames in order (first, for CLIP's names are there as well), and
#: CLIP's two towers, of which the vision tower is meant where a checkpoint has both.
MODEL_OF_KEY = {
    "fc.0.weight": "person_reid",
    "neck.reassemble_stage.layers.0.projection.weight": "depth_estimator",
    "backbone.encoder.layer.0.layernorm_before.weight": "pose_estimator",
    "mit.position_embedding": "action_recognizer",
    "vision_model.embeddings.class_embedding": "clip",
    "text_model.embeddings.token_embedding.weight": "clip_text",
}

EXAMPLES = """Examples:

  hearthwatch models convert yolov8n-pose.pt --output yolov8n-pose.onnx

  hearthwatch models convert osnet_x0_25_msmt17.pth --output osnet.onnx --pictures crops/

  hearthwatch models convert /models/vitpose-plus-small --output vitpose.onnx

  hearthwatch models convert /models/clip-vit-l --model clip_text --output text_encoder.onnx

The checkpoint is read without running anything in it. The ONNX file is written only if it gives the same answers as
PyTorch. Needs the extra: pip install "hearthwatch[torch]"
"""


def convert_command(
    file: Annotated[Path, typer.Argument(help="A checkpoint (.pt, .pth) or a Hugging Face folder.")],
    output: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    model: Annotated[
        str | None, typer.Option(help="Model that it serves; else its card or its task says so.", show_default=False)
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder with pictures to compare on, beside those that come along.", exists=True, file_okay=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")] = False,
) -> None:
    """Convert a checkpoint to ONNX, checked against PyTorch."""
    errors = Console(stderr=True)
    checkpoint = read_checkpoint(file)
    build(checkpoint)  # an architecture that is not built here is the first thing to say
    adapter_class = _model_for(checkpoint, model)
    with errors.status("converting") as status:

        def show(step: str) -> None:
            status.update(step)
            if not errors.is_terminal:
                say(errors, step)

        result = convert(file, output, adapter_class, pictures=_read_pictures(pictures), progress=show)
    _tell(result, adapter_class, errors, as_json=as_json)


convert_command.__doc__ = f"{convert_command.__doc__}\n\n{EXAMPLES}"


def _model_for(checkpoint: Checkpoint, asked: str | None) -> type[Adapter[Any]]:
    """The model whose rules judge the file.

    Raises:
        WeightsInvalid: nobody says which one.
    """
    if asked is not None:
        return get_model(asked)
    named = card_for(checkpoint, MODELS[0]).model if checkpoint.path.with_suffix(".json").is_file() else None
    by_task = next((model for key, model in MODEL_OF_KEY.items() if key in checkpoint.tensors), None)
    by_task = by_task or MODEL_OF_TASK.get(checkpoint.task or "")
    for name in (named, by_task):
        try:
            if name is not None:
                return get_model(name)
        except UnknownModel:
            continue  # a card of a model that comes with a later version: the task knows its head
    names = ", ".join(spec.SPEC.name for spec in MODELS)
    raise WeightsInvalid(f"{checkpoint.path} does not say which model it serves; name one with --model ({names})")


def _read_pictures(folder: Path | None) -> list[Image]:
    if folder is None:
        return []
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix.lower() != ".json"]
    return [decode(read_picture(path)) for path in files]


def _tell(result: Conversion, adapter_class: type[Adapter[Any]], errors: Console, *, as_json: bool) -> None:
    measure = judged_by(adapter_class).SPEC.agreement.name
    if as_json:
        facts = {
            "path": str(result.path), "kind": result.kind, "raw_difference": result.raw_difference,
            "agreement": result.agreement, "measure": measure, "pictures": result.pictures,
        }  # fmt: skip
        sys.stdout.write(orjson.dumps(facts).decode() + "\n")
    said = "no results to compare" if result.agreement is None else f"{measure} {result.agreement:.4f}"
    say(errors, f"{result.path}: {result.kind}, equal to PyTorch on {result.pictures} pictures "
        f"(raw outputs within {result.raw_difference:.1e}; {said})")  # fmt: skip
