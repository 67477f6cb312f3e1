"""Whether an ONNX file gives the answers of the torch module that it was made from, on real pictures and texts.

Both run in float32. Raw outputs are compared for every picture, and results by the model's own agreement: the second
alone has nothing to say where a network finds nothing, and the first alone does not know what matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.adapter.base import Adapter, Array, Tensors
from hearthwatch.adapter.describing import describe_for
from hearthwatch.adapter.prompts import judged_by
from hearthwatch.adapter.samples import try_out
from hearthwatch.errors import WeightsInvalid
from hearthwatch.runtimes.base import Engine, LoadRequest
from hearthwatch.runtimes.select import load_graph
from hearthwatch.vision.image import Image

#: Largest difference between PyTorch's and the engine's raw outputs, as `raw_difference` measures it. Both compute in
#: float32; YOLOv8n-pose and OSNet differ by 2e-6 to 2e-5 between engines.
RAW_TOLERANCE = 1e-3


def compare(
    network: Any, path: Path, adapter_class: type[Adapter[Any]], pictures: Sequence[Image], engines: Sequence[Engine]
) -> tuple[float, float | None]:
    """Run a converted file beside the torch network that it was made from.

    Args:
        network: a `networks.Network`.
        path: the ONNX file.
        adapter_class: the model whose preprocessing and agreement judge.
        pictures: what both are run on, beside what comes with the package.
        engines: one of them must load the file.

    Returns:
        The largest raw difference, and the agreement of results on the worst picture; None where no picture gave
        evidence.

    Raises:
        WeightsInvalid: one of them does not hold.
        LoadFailed: no engine could load the file.
    """
    judge = judged_by(adapter_class)
    description = describe_for(judge.SPEC, path)
    adapter = judge.reading(description)
    outputs = tuple(tensor.name for tensor in description.graph.outputs)
    runtime = load_graph(LoadRequest(path, description.graph.digest, outputs=outputs), engines).runtime
    reference = Reference(network, outputs)
    pairs: list[tuple[Tensors, Tensors]] = []

    def both(inputs: Tensors) -> dict[str, Array]:
        answer = runtime.run(inputs)
        pairs.append((reference(inputs), answer))
        return answer

    try:
        candidate = try_out(adapter, both, pictures)
    finally:
        runtime.close()
    raw = max(raw_difference(expected, got) for expected, got in pairs)
    agreement = adapter.SPEC.agreement.judge(try_out(adapter, reference, pictures), candidate)
    if not raw <= RAW_TOLERANCE:
        raise WeightsInvalid(
            f"the converted file differs from PyTorch by {raw:.2g} of an output's largest value; "
            f"allowed {RAW_TOLERANCE:g}"
        )
    # Not `<`: a NaN is an answer that went wrong, and agrees with nothing.
    if agreement is not None and not agreement >= adapter.SPEC.agreement.at_least:
        measure = adapter.SPEC.agreement
        raise WeightsInvalid(
            f"the converted file does not agree with PyTorch: {measure.name} {agreement:.4f}, "
            f"at least {measure.at_least:g} needed"
        )
    return raw, agreement


def raw_difference(expected: Tensors, got: Tensors) -> float:
    """Largest difference of one raw output, as a share of the largest value of its channel.

    The second axis is the channel. In a YOLO output boxes in pixels and probabilities are channels of one array: a
    share of the whole array's largest value, 640, would let any probability through. A channel that is nearly 0
    everywhere is measured as if it reached 1, or the largest value of the whole array where that is less.

    Args:
        expected: outputs of the reference by name, each (N, channels, ...).
        got: of the other one; infinite where a value is not finite or a shape is another.
    """
    return max((_worst_share(array, got[name]) for name, array in expected.items()), default=0.0)


def _worst_share(expected: Array, got: Array) -> float:
    if expected.shape != got.shape:
        return float("inf")
    exact, other = expected.astype(np.float64), got.astype(np.float64)
    difference = np.abs(exact - other)
    if not np.isfinite(difference).all():  # a number that is not finite agrees with nothing
        return float("inf")
    others = tuple(axis for axis in range(exact.ndim) if axis != 1)
    largest = np.abs(exact).max(axis=others, keepdims=True, initial=0.0)
    least = min(float(largest.max(initial=0.0)), 1.0) or 1.0
    return float((difference / np.maximum(largest, least)).max(initial=0.0))


class Reference:
    """The PyTorch module as a `Run`."""

    def __init__(self, network: Any, outputs: tuple[str, ...]) -> None:
        self._module, self._outputs = network.module, outputs

    def __call__(self, inputs: Tensors) -> dict[str, Array]:
        import torch

        with torch.inference_mode():
            answer = self._module(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs.values()))
        tensors = answer if isinstance(answer, tuple) else (answer,)
        return {name: tensor.numpy() for name, tensor in zip(self._outputs, tensors, strict=True)}
