"""A network to an ONNX file with dynamic batch, through torch's exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from hearthwatch.networks.build import Network

#: Above it, weights go into a file beside the graph: protocol buffers end at 2 GiB.
MAX_EMBEDDED_BYTES = 1 << 30


def export_onnx(
    network: Network, path: Path, *, input_name: str, output_names: Sequence[str], size: tuple[int, int]
) -> None:
    """Write the network's graph.

    Args:
        network: on the CPU, in evaluation mode.
        path: the file to write.
        input_name: of the one (batch, 3, height, width) input.
        output_names: one per output of the module.
        size: (height, width) that the graph takes; only the batch is dynamic.
    """
    # It lists operators of torchvision that it could have known; the networks here have none of them.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch 2.13's own use of its deprecated LeafSpec while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            network.module,
            # Two and not one: the exporter takes a batch of one for a constant.
            (torch.zeros(2, 3, *size),),
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.module.state_dict().values())
    program.save(path, external_data=weights > MAX_EMBEDDED_BYTES)
