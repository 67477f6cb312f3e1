"""What an appearance says about its own making: only vectors that were made alike are comparable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hearthwatch.artifacts.card import Card
from hearthwatch.enrichment.parts import heard
from hearthwatch.models.person_reid import ReIDAdapter
from test_models_contract import made_up

DIGEST = "sha256:0000000000000000"


def space(card: Card | None = None, **pixels: Any) -> str:
    description = made_up(ReIDAdapter)
    described = replace(description, card=card or Card(), input=replace(description.input, **pixels))
    return ReIDAdapter(described).space


def test_a_space_is_network_weights_and_preprocessing() -> None:
    assert space() == f"osnet/{DIGEST}/256x128-squash-antialias"
    assert space(Card(network="fastreid", space="mine")) == "fastreid/mine/256x128-squash-antialias"


@pytest.mark.parametrize(
    "other",
    [{"resize": "letterbox"}, {"interpolation": "linear"}, {"color": "BGR"}, {"scale": 1.0}, {"std": (1.0, 1.0, 1.0)}],
    ids=str,
)
def test_another_preprocessing_is_another_space(other: dict[str, Any]) -> None:
    assert space(**other) != space()
    assert space(**other).startswith(f"osnet/{DIGEST}/256x128-")


def test_an_answer_that_names_no_space_is_of_no_known_one() -> None:
    numbers = np.eye(1, 512)[0].tolist()
    assert heard({"reid_embedding": numbers, "reid_space": "osnet/a/b"})["reid_embedding"].space == "osnet/a/b"
    assert heard({"reid_embedding": numbers})["reid_embedding"].space == ""
    assert heard({"reid_space": "osnet/a/b"})["reid_embedding"] is None
    with pytest.raises(TypeError, match="reid_space is 7"):
        heard({"reid_embedding": numbers, "reid_space": 7})
