"""Tells drawn vehicles apart, by the classes of MIO-TCD that are drawn.

Network  ResNet-18 (He et al. 2016, arXiv:1512.03385) at a quarter of its width, seven classes.
Input    a crop of one vehicle with the adapter's margin, squashed to 128 x 128, ImageNet mean and std.
Output   (N, 7) logits: background, bicycle, bus, car, pedestrian, single_unit_truck, work_van.
Limits   Four of MIO-TCD's eleven classes are not drawn. A van is a work van to it, and every truck has one unit. The
         colour is the adapter's rule, not the network's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from hearthwatch.models.vehicle_classifier import UNKNOWN, VEHICLE_MARGIN, VehicleAdapter
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image
from training.augment import Variation, with_room
from training.cards import imagenet_input, write_card
from training.crops import is_clear
from training.dataset import TRAINING, WINDOWS, AnyScene, held_out, scenes
from training.gather import Array
from training.recipe import Recipe, Workplace
from training.weights import predict

NAMES = ("background", "bicycle", "bus", "car", "pedestrian", "single_unit_truck", "work_van")
#: The renderer's words to MIO-TCD's.
KINDS: Mapping[str, str] = {
    "bicycle": "bicycle",
    "bus": "bus",
    "car": "car",
    "person": "pedestrian",
    "truck": "single_unit_truck",
    "van": "work_van",
}
#: Of these no colour is asked: too little of a bicycle is painted, and silver is gray or white to a camera.
NO_PAINT = ("bicycle", "silver")
STEPS = 1500
SIZE, KEPT = (128, 128), (160, 160)
STEM = 16
#: Shapes tell them apart; detectors cut vehicles less exactly than people.
VEHICLES_DIFFER = Variation(jitter=0.1, gain=0.5, gamma=0.3)
#: A place without anything: no more of it than this is covered, as intersection over the smaller one.
_MOST_COVERED = 0.1


def train(workplace: Workplace) -> Path:
    """From scratch, on the scenes that all networks learn from."""
    from hearthwatch.networks.resnet import create_resnet
    from training.classify import ClassifierPlan, Examples, train_classifier
    from training.loop import first_weights

    sets = (
        scenes(each, workplace.scenes, processes=workplace.threads, progress=workplace.progress)
        for each in (TRAINING, WINDOWS)
    )
    network = first_weights(lambda: create_resnet(18, len(NAMES), stem=STEM))
    plan = ClassifierPlan(STEPS, SIZE, variation=VEHICLES_DIFFER)
    return train_classifier(network, None, Examples(**examples(chain(*sets))), plan, workplace)  # type: ignore[arg-type]


def export(checkpoint: Path, onnx: Path) -> None:
    """With logits, as its card says."""
    from hearthwatch.networks.resnet import create_resnet
    from training.loop import load_tensors
    from training.onnx_file import write_onnx

    network = create_resnet(18, len(NAMES), stem=STEM)
    network.load_state_dict(load_tensors(checkpoint))
    write_onnx(network, onnx, inputs="pixel_values", outputs="logits", size=SIZE)
    write_card(
        onnx,
        "vehicle_classifier",
        input=imagenet_input("pixel_values", SIZE),
        outputs={"logits": {"name": "logits"}},
        names=list(NAMES),
        classes={name: [index] for index, name in enumerate(NAMES)},
    )


def evaluate(onnx: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """Which kind it says that each is, and the share of colours of cars, vans, trucks and buses that are told right."""
    shown: list[Image] = []
    kinds: list[str] = []
    paints: list[str | None] = []
    for scene in held_out() if known is None else known:
        for box, kind, paint in subjects(scene):
            shown.append(crop(Image.of(scene.picture), box, margin=VEHICLE_MARGIN))
            kinds.append(kind)
            paints.append(paint)
    results = predict(VehicleAdapter, onnx, shown)
    said = [UNKNOWN if kind in {"background", "pedestrian"} else kind for kind in kinds]
    right = [result.vehicle_type == kind for result, kind in zip(results, said, strict=True)]
    colours = [
        result.color == paint
        for result, paint in zip(results, paints, strict=True)
        if paint is not None and result.color is not None
    ]
    return {"accuracy": float(np.mean(right)), "colour": float(np.mean(colours)) if colours else 0.0}


def examples(known: Iterable[AnyScene]) -> dict[str, Array]:
    """All subjects of these scenes: `Examples` by name."""
    rows = [
        (*with_room(scene.picture, box, VEHICLE_MARGIN, KEPT), NAMES.index(kind))
        for scene in known
        for box, kind, _ in subjects(scene)
    ]
    return {
        "pixels": np.stack([pixels for pixels, _, _ in rows]),
        "inner": np.stack([inner for _, inner, _ in rows]),
        "label": np.array([label for _, _, label in rows], np.int64),
    }


def subjects(scene: AnyScene) -> list[tuple[Box, str, str | None]]:
    """Box, MIO-TCD's word and colour of what is shown: each clear vehicle, at most one person, and one empty place."""
    found: list[tuple[Box, str, str | None]] = []
    for vehicle in scene.vehicles:
        if is_clear(vehicle):
            named = not {vehicle.kind, vehicle.colour} & {*NO_PAINT}
            paint = vehicle.colour.replace("grey", "gray") if named else None
            found.append((vehicle.box, KINDS[vehicle.kind], paint))
    boxes = [thing.box for thing in (*scene.vehicles, *scene.people, *scene.animals)]
    for person in scene.people:
        alone = not any(_covered(person.box, vehicle.box) > _MOST_COVERED for vehicle in scene.vehicles)
        if is_clear(person) and alone:
            found.append((person.box, KINDS["person"], None))
            break
    if (place := _empty(scene, boxes)) is not None:
        found.append((place, "background", None))
    return found


def _empty(scene: AnyScene, boxes: list[Box]) -> Box | None:
    """A place as large as a vehicle with next to nothing in it; None where a few tries find none."""
    height, width = scene.picture.shape[:2]
    rng = np.random.default_rng([47, scene.seed])
    for _ in range(10):
        wide = width * rng.uniform(0.1, 0.35)
        tall = wide * rng.uniform(0.5, 1.0)
        x, y = rng.uniform(0, width - wide), rng.uniform(0, max(1.0, height - tall))
        place = Box(x, y, x + wide, min(y + tall, height))
        if all(_covered(place, box) <= _MOST_COVERED for box in boxes):
            return place
    return None


def _covered(a: Box, b: Box) -> float:
    """Intersection over the smaller of two boxes."""
    wide, tall = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, wide) * max(0.0, tall) / max(min(a.area, b.area), 1e-9)


RECIPE = Recipe("vehicle_classifier", "Vehicle classifier", 5, train, export, evaluate)
