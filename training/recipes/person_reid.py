"""Recognises drawn people by clothes and build.

Network  OSNet-x0.25 (Zhou et al. 2019, arXiv:1905.00953), the very layout of the real weights.
Input    a crop of one person, squashed to 256 x 128, ImageNet mean and std.
Output   (N, 512), compared by cosine.
Limits   It knows how drawn people are dressed. Two of them in nearly the same clothes are one to it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from hearthwatch.models.person_reid import DEFAULT_SIMILARITY_THRESHOLD, ReIDAdapter
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Float, Image, UInt8
from training import crops
from training.cards import imagenet_input, write_card
from training.gather import gather, in_parallel
from training.recipe import Recipe, Workplace
from training.scenes.labels import Person
from training.version import version_of
from training.weights import predict

#: Identities to learn from, and those that only the measurement sees.
LEARNED = range(800)
HELD_OUT = range(10_000, 10_120)
#: Of each person and camera, the first that shows him well is taken.
VIEWS = 4
STEPS = 1000


def train(workplace: Workplace) -> Path:
    """From scratch, on `LEARNED`."""
    from hearthwatch.networks.osnet import create_osnet_x0_25
    from training.embedding import EmbeddingPlan, Portraits, train_embedding
    from training.loop import first_weights

    drawn = gather(
        crops.portraits,
        LEARNED,
        title="drawing people, 20 at a time",
        folder=workplace.scenes / f"portraits-{version_of(crops.__name__)}",
        progress=workplace.progress,
        processes=workplace.threads,
    )
    portraits = Portraits(**drawn)  # type: ignore[arg-type]
    network = first_weights(create_osnet_x0_25)
    return train_embedding(network, portraits, EmbeddingPlan(STEPS), workplace)


def export(checkpoint: Path, onnx: Path) -> None:
    """Under the names of torchreid's export."""
    from hearthwatch.networks.osnet import OSNET_INPUT_SIZE, create_osnet_x0_25
    from training.loop import load_tensors
    from training.onnx_file import write_onnx

    network = create_osnet_x0_25()
    network.load_state_dict(load_tensors(checkpoint))
    write_onnx(network, onnx, inputs="input", outputs="output", size=OSNET_INPUT_SIZE)
    write_card(
        onnx, "person_reid", input=imagenet_input("input", OSNET_INPUT_SIZE), outputs={"embedding": {"name": "output"}}
    )


def evaluate(onnx: Path, identities: range = HELD_OUT, processes: int = 2) -> dict[str, float]:
    """Each person, as one camera sees him, among all as the other camera sees them."""
    pairs = _pairs(identities, processes)
    results = predict(ReIDAdapter, onnx, [Image.of(pixels) for pair in pairs for pixels in pair])
    vectors = np.stack([result.embedding for result in results])
    return ranks(vectors[0::2], vectors[1::2])


def ranks(first: Float, second: Float) -> dict[str, float]:
    """Measures of two cameras' vectors.

    Args:
        first: (n, features) of length 1, one row per person.
        second: the same people in the same order, by the other camera.
    """
    likeness = first @ second.T
    same, other = np.diag(likeness), likeness[~np.eye(len(likeness), dtype=bool)]
    own = np.arange(len(likeness))
    found = np.concatenate([likeness.argmax(axis=1) == own, likeness.argmax(axis=0) == own])
    return {
        "rank_1_across_cameras": float(found.mean()),
        "same_person_above_the_threshold": float((same >= DEFAULT_SIMILARITY_THRESHOLD).mean()),
        "other_person_below_the_threshold": float((other < DEFAULT_SIMILARITY_THRESHOLD).mean()),
    }


@functools.cache
def _pairs(identities: range, processes: int) -> list[tuple[UInt8, UInt8]]:
    return [pair for pair in in_parallel(_pair, identities, processes) if pair is not None]


def _pair(identity: int) -> tuple[UInt8, UInt8] | None:
    """A crop by either camera; None where one of them does not see him well."""
    shots = [next(filter(None, (crops.portrait(identity, v, c) for v in range(VIEWS))), None) for c in crops.CAMERAS]
    first, second = (None if shot is None else _cut(*shot) for shot in shots)
    return None if first is None or second is None else (first, second)


def _cut(picture: UInt8, person: Person) -> UInt8:
    return crop(Image.of(picture), person.box, margin=ReIDAdapter.SPEC.margin).pixels


RECIPE = Recipe("person_reid", "Person re-identification", 15, train, export, evaluate)
