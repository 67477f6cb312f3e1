"""Tells drawn cats from drawn dogs.

Network  ResNet-18 (He et al. 2016, arXiv:1512.03385) at a quarter of its width, two classes.
Input    a crop of one animal with the adapter's margin, squashed to 224 x 224, ImageNet mean and std.
Output   (N, 2) logits: cat, dog.
Limits   Everything is a cat or a dog to it, also a fox, a bush or a bag.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from hearthwatch.models.pet_classifier import ANIMALS, PetAdapter
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image, UInt8
from training import crops
from training.cards import imagenet_input, write_card
from training.gather import gather, in_parallel
from training.recipe import Recipe, Workplace
from training.version import version_of
from training.weights import predict

LEARNED = range(3000)
HELD_OUT = range(1_000_000, 1_000_240)
STEPS = 2200
SIZE = (224, 224)
STEM = 16


def train(workplace: Workplace) -> Path:
    """From scratch, on `LEARNED`."""
    from hearthwatch.networks.resnet import create_resnet
    from training.classify import ClassifierPlan, Examples, Pointer, train_classifier
    from training.loop import first_weights

    drawn = gather(
        crops.pets,
        LEARNED,
        title="drawing pets, 20 at a time",
        folder=workplace.scenes / f"pets-{version_of(crops.__name__)}",
        progress=workplace.progress,
        processes=workplace.threads,
    )
    network = first_weights(lambda: create_resnet(18, len(ANIMALS), stem=STEM))
    pointer = first_weights(lambda: Pointer(network.layer3, 4 * STEM))
    examples = Examples(**drawn)  # type: ignore[arg-type]
    return train_classifier(network, pointer, examples, ClassifierPlan(STEPS), workplace)


def export(checkpoint: Path, onnx: Path) -> None:
    """With logits, as its card says."""
    from hearthwatch.networks.resnet import create_resnet
    from training.loop import load_tensors
    from training.onnx_file import write_onnx

    network = create_resnet(18, len(ANIMALS), stem=STEM)
    network.load_state_dict(load_tensors(checkpoint))
    write_onnx(network, onnx, inputs="pixel_values", outputs="logits", size=SIZE)
    write_card(
        onnx,
        "pet_classifier",
        input=imagenet_input("pixel_values", SIZE),
        outputs={"logits": {"name": "logits"}},
        names=list(ANIMALS),
        classes={animal: [index] for index, animal in enumerate(ANIMALS)},
    )


def evaluate(onnx: Path, seeds: range = HELD_OUT, processes: int = 2) -> dict[str, float]:
    """Which animal it says that each is."""
    shown = _shown(seeds, processes)
    said = [result.pet_type for result in predict(PetAdapter, onnx, [Image.of(pixels) for pixels, _ in shown])]
    right = np.array([answer == kind for answer, (_, kind) in zip(said, shown, strict=True)])
    kinds = np.array([kind for _, kind in shown])
    return {"accuracy": float(right.mean())} | {
        f"accuracy_of_{animal}s": float(right[kinds == animal].mean()) for animal in ANIMALS
    }


@functools.cache
def _shown(seeds: range, processes: int) -> list[tuple[UInt8, str]]:
    return [pair for pairs in in_parallel(_animals, seeds, processes) for pair in pairs]


def _animals(seed: int) -> list[tuple[UInt8, str]]:
    """The crops that the adapter would be given, with what they show."""
    scene = crops.pet_scene(seed)
    image, margin = Image.of(scene.picture), PetAdapter.SPEC.margin
    return [(crop(image, animal.box, margin=margin).pixels, animal.kind) for animal in crops.clear_pets(scene)]


RECIPE = Recipe("pet_classifier", "Pet classifier", 6, train, export, evaluate)
