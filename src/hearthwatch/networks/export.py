"""A network to an ONNX file with dynamic batch, through torch's exporter.

One at a time in a process: the exporter keeps the state of its trace in the process, and two at once fail both, or one.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hearthwatch.errors import LoadFailed
from hearthwatch.networks.build import Network

#: Above it, weights go into a file beside the graph: protocol buffers end at 2 GiB, and a file is read whole to see
#: what it says about itself.
MAX_EMBEDDED_BYTES = 1 << 28

#: The input of text embeddings, for networks that compare pictures with them.
TEXTS_INPUT = "text_features"
#: Height and width in strides of the picture that a network of any size is traced with.
_EXAMPLE_PATCHES = (6, 8)

_turn = threading.Lock()


def export_onnx(
    network: Network,
    path: Path,
    *,
    input_name: str,
    output_names: Sequence[str],
    size: tuple[int, int],
    embedded_bytes: int | None = None,
) -> None:
    """Write the network's graph.

    Args:
        network: on the CPU, in evaluation mode.
        path: the file to write.
        input_name: of the (batch, 3, height, width) or (batch, tokens) input. A network that takes text embeddings as
            well has them as `TEXTS_INPUT`, any number of rows.
        output_names: one per output of the module.
        size: (height, width) that the graph takes, if it takes pictures, and not any; the batch is dynamic.
        embedded_bytes: weights above it are written to a file beside the graph, `path` with `.data` at its end; None is
            `MAX_EMBEDDED_BYTES`.

    Raises:
        LoadFailed: the exporter could not follow the network.
        OSError: the file cannot be written.
    """
    # It lists operators of torchvision that it could have known; the networks here have none of them.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with _turn:
        program = _export(network, input_name, output_names, size)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.module.state_dict().values())
    most = MAX_EMBEDDED_BYTES if embedded_bytes is None else embedded_bytes
    program.save(path, external_data=weights > most)


def _export(network: Network, input_name: str, output_names: Sequence[str], size: tuple[int, int]) -> Any:
    names = [input_name, *([TEXTS_INPUT] if network.text_width else [])]
    with warnings.catch_warnings():
        # torch 2.13's own use of its deprecated LeafSpec while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return torch.onnx.export(
                network.module,
                _examples(network, size),
                input_names=names,
                output_names=list(output_names),
                dynamic_shapes=_dynamic(network),
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            # Its own message is a page of advice for PyTorch's developers; the cause behind it is the reason.
            cause = error.__cause__ or error
            reason = str(cause).strip().splitlines()[0] if str(cause).strip() else "no reason given"
            place = "" if network.length else f" at {size[0]} x {size[1]} px"
            raise LoadFailed(
                f"PyTorch could not export the {network.kind} network{place}: {type(cause).__name__}: {reason}"
            ) from error


def _examples(network: Network, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """Two questions and not one, and no square: the exporter takes ones and equal sides for constants."""
    if network.length is not None:
        return (torch.zeros(2, network.length - 1, dtype=torch.int64),)
    sides = tuple(patches * network.stride for patches in _EXAMPLE_PATCHES) if network.any_size else size
    pictures = torch.zeros(network.frames or 2, 3, *sides)
    # Another number of texts than of frames: equal sides would be taken for one.
    return (pictures, torch.zeros(len(pictures) + 1, network.text_width)) if network.text_width else (pictures,)


def _dynamic(network: Network) -> tuple[dict[int, Any], ...]:
    """Which axes of each input are free."""
    free: dict[int, Any] = {} if network.frames else {0: torch.export.Dim("batch")}
    if network.length is not None:
        # What comes behind a text's end changes nothing: the mask is causal.
        free[1] = torch.export.Dim("tokens", min=2, max=network.length)
    if network.any_size:
        # By the stride's multiples: the exporter proves from it that no pixels are left over.
        free |= {axis: network.stride * torch.export.Dim(f"patches_{axis}", min=1) for axis in (2, 3)}
    return (free, {0: torch.export.Dim("texts")}) if network.text_width else (free,)
