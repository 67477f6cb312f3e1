"""Which description a model's weight file needs: of pictures or of texts."""

from __future__ import annotations

from pathlib import Path

from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.description import Description, WeightsOrigin, describe
from hearthwatch.artifacts.tokens import TextDescription, TokenSpec, describe_text


def describe_for(spec: Spec, path: Path, *, weights: WeightsOrigin = "custom") -> Description | TextDescription:
    """Check one ONNX file for a model, and describe it.

    Args:
        spec: of the model.
        path: the file.
        weights: what to call the weights where the card does not say.

    Raises:
        WeightsInvalid: the graph, the card or the vocabulary is refused.
    """
    if isinstance(spec.input, TokenSpec):
        return describe_text(path, spec.input, weights=weights)
    return describe(path, spec.input, weights=weights)
