"""A trained module to an ONNX file with dynamic batch that says what it is."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hearthwatch.artifacts.graph import write_metadata


def write_onnx(module: nn.Module, path: Path, *, inputs: str, outputs: str, size: tuple[int, int]) -> None:
    """Write the graph, without what torch's exporter notes about this machine.

    Args:
        module: on the CPU; it is put into evaluation mode.
        path: the file to write.
        inputs: name of its one (batch, 3, height, width) input.
        outputs: name of its one output.
        size: (height, width).
    """
    # It lists operators of torchvision that it could have known; there are none of them here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch 2.13's own use of its deprecated LeafSpec while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        program: Any = torch.onnx.export(
            module.eval(),
            # Two and not one: the exporter takes a batch of one for a constant.
            (torch.zeros(2, 3, *size),),
            input_names=[inputs],
            output_names=[outputs],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    program.save(path, external_data=False)
    write_metadata(path, {"license": "Apache-2.0"})
