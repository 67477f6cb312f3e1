"""Stores a network's weights in half precision, which halves its file; it computes in single precision as before.

Each large constant becomes a float16 constant and a cast to float32, which every engine folds away when it loads.
Rounding to 11 bits changes a weight by at most one part in 2,048.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

#: Constants of fewer numbers stay as they are: they are biases and sizes, and a cast costs as many bytes.
LEAST = 256
_LARGEST = float(np.finfo(np.float16).max)
_STORED = ".half"


def store_in_half(path: Path) -> int:
    """Rewrite an ONNX file without external data; a second time changes nothing.

    Args:
        path: the file.

    Returns:
        How many constants are stored in half precision now.
    """
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        # One number that float16 cannot hold would become infinite.
        if values.size < LEAST or not np.abs(values).max() <= _LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + _STORED))
        casts.append(helper.make_node("Cast", [name + _STORED], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return len(casts)
