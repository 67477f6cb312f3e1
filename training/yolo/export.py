"""From a trained network to the files of a sample network: the graph, and the card that says how to feed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hearthwatch.artifacts.graph import write_metadata
from training.cards import LICENCE, write_card

if TYPE_CHECKING:
    from hearthwatch.networks.yolov8 import YOLOv8

#: The names that the exporter of the real ones gives.
INPUT, OUTPUT = "images", "output0"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files say.

    Attributes:
        model: that the network serves.
        names: of the classes, by index.
        size: (height, width) of the input.
    """

    model: str
    names: tuple[str, ...]
    size: tuple[int, int]


def export(network: YOLOv8, output: Path, facts: Facts) -> None:
    """Write `output`, and its card beside it.

    Args:
        network: trained; its batch norms are folded.
        output: the ONNX file.
        facts: about it.
    """
    from hearthwatch.networks import Kind, Network
    from hearthwatch.networks.export import export_onnx

    network.eval().fuse()
    kind: Kind = "yolov8-pose" if network.task == "pose" else "yolov8-detect"
    whole = Network(network, facts.size, network.stride, kind, (OUTPUT,))
    export_onnx(whole, output, input_name=INPUT, output_names=(OUTPUT,), size=facts.size)
    # As other tools read them from YOLO files.
    metadata = {
        "names": str(dict(enumerate(facts.names))),
        "task": network.task,
        "stride": str(network.stride),
        "imgsz": str(list(facts.size)),
        "license": LICENCE,
    }
    write_metadata(output, metadata)
    write_card(
        output,
        facts.model,
        input={
            "name": INPUT,
            "size": list(facts.size),
            "layout": "NCHW",
            "color": "RGB",
            "dtype": "float32",
            "scale": 1 / 255,
            "resize": "letterbox",
            "interpolation": "linear",
        },
        names=list(facts.names),
    )
