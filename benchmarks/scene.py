"""What the models are shown: a 1080p picture of five people and the crops that belong to it, prepared once a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from benchmarks.pictures import JPEG_QUALITY, five_people, to_jpeg, without
from benchmarks.work import Work
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.spec import Scope, Spec
from hearthwatch.analysis import DETECTOR
from hearthwatch.errors import WeightsError, WeightsMissing
from hearthwatch.models import MODELS
from hearthwatch.models.yolo26 import DEFAULT_CONFIDENCE, Detection, select
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.selection import FOLLOW_UPS
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image

PEOPLE = 5
DEVICE = "cpu"


def work(models_dir: str, cache_dir: str, folder: str, frames: Sequence[str], plates: Sequence[str]) -> Work:
    """Choose the pictures and fill the engines' cache.

    Args:
        models_dir: where weights are.
        cache_dir: for compiled networks and verdicts on precision.
        folder: where the pictures are put.
        frames: candidates for the scene; a picture of ours is made where none has five people.
        plates: photos of cars, for the reader of plates.
    """
    place = Path(folder)
    loaded, missing = _load_all(load_options(models_dir, cache_dir))
    source, data, found = _scene(loaded.get(DETECTOR), [Path(frame) for frame in frames])
    (place / "scene.jpg").write_bytes(data)
    inputs: dict[str, list[str]] = {}
    sizes: dict[str, list[str]] = {}
    for name, model in loaded.items():
        pictures = _inputs(model.adapter.SPEC, decode(data), found, loaded, plates)
        if isinstance(pictures, str):
            missing[name] = pictures
        else:
            inputs[name] = [_store(place / f"{name}-{number}.png", image) for number, image in enumerate(pictures)]
            sizes[name] = ["{1} x {0}".format(*image.pixels.shape) for image in pictures]
    facts = {
        "scene": str(place / "scene.jpg"),
        "source": source,
        "persons": len(_people(found)),
        "inputs": inputs,
        "sizes": sizes,
        "missing": missing,
        "engines": [engine.name for engine in ENGINES if engine.unavailable(DEVICE) is None],
    }
    return Work({}, lambda: facts)


def _load_all(options: LoadOptions) -> tuple[dict[str, LoadedModel], dict[str, str]]:
    """Every model that has weights, and why the others are left out."""
    loaded: dict[str, LoadedModel] = {}
    missing: dict[str, str] = {}
    for adapter in MODELS:
        try:
            loaded[adapter.SPEC.name] = load(adapter, options)
        except WeightsMissing:
            missing[adapter.SPEC.name] = "no weights installed"
        except WeightsError as error:
            missing[adapter.SPEC.name] = str(error)
    return loaded, missing


def _scene(detector: LoadedModel | None, frames: Sequence[Path]) -> tuple[str, bytes, list[Detection]]:
    """(what it is, JPEG, what the detector finds): the candidate that comes nearest to five people."""
    if detector is None:
        return "five portraits", five_people(), []
    best: tuple[str, bytes, list[Detection]] | None = None
    for source, data in _candidates(detector, frames):
        found = _find(detector, decode(data))
        if best is None or _distance(found) < _distance(best[2]):
            best = source, data, found
        if _distance(found) == 0:
            break
    assert best is not None  # the portraits are always a candidate
    return best


def _candidates(detector: LoadedModel, frames: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Frames as they are, then those with too many people without the least certain ones, then a picture of ours."""
    for path in frames:
        yield path.name, path.read_bytes()
    for path in frames:
        image = decode(path.read_bytes())
        surplus = _people(_find(detector, image))[PEOPLE:]
        if surplus:
            pixels = image.pixels
            for person in surplus:
                pixels = without(pixels, person.box)
            yield f"{path.name} with {len(surplus)} painted over", to_jpeg(pixels, JPEG_QUALITY)
    yield "five portraits", five_people()


def _find(detector: LoadedModel, image: Image) -> list[Detection]:
    return select(detector.predict([image])[0][0], DEFAULT_CONFIDENCE, None)


def _people(found: Sequence[Detection]) -> list[Detection]:
    return [detection for detection in found if detection.class_name == "person"]


def _distance(found: Sequence[Detection]) -> int:
    return abs(len(_people(found)) - PEOPLE)


def _inputs(
    spec: Spec, scene: Image, found: Sequence[Detection], loaded: dict[str, LoadedModel], plates: Sequence[str]
) -> list[Image] | str:
    """The pictures that a model is timed on, or why there are none."""
    if spec.scope is Scope.FRAME:
        return [scene]
    leader = next((leader for leader, follower in FOLLOW_UPS.items() if follower == spec.name), None)
    if leader is not None:
        return _led(spec, loaded.get(leader), plates)
    boxes = [detection.box for detection in found if detection.class_name in spec.triggers]
    if not boxes:
        return f"nothing in the picture is for it ({', '.join(spec.triggers)})"
    return middle_first(_crops(scene, boxes, spec))


def _led(spec: Spec, leader: LoadedModel | None, photos: Sequence[str]) -> list[Image] | str:
    """A crop of what the model before it finds first."""
    if leader is None:
        return "the model that finds its crops has no weights"
    for path in photos:
        image = decode(Path(path).read_bytes())
        if found := _find(leader, image):
            return _crops(image, [found[0].box], spec)
    return "there is no picture for it"


def _crops(image: Image, boxes: Sequence[Box], spec: Spec) -> list[Image]:
    return [crop(image, box, margin=spec.margin) for box in boxes]


def middle_first(crops: Sequence[Image]) -> list[Image]:
    """The crop of middle size, which stands for the others where one is timed alone; then the rest, small to large."""
    ordered = sorted(crops, key=lambda image: image.pixels.size)
    middle = ordered.pop((len(ordered) - 1) // 2)
    return [middle, *ordered]


def _store(path: Path, image: Image) -> str:
    """As PNG: the pixels stay what they are."""
    cv2.imwrite(str(path), cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR))
    return str(path)


def read_images(paths: Sequence[str]) -> list[Image]:
    """The stored pictures, each a picture of its own."""
    return [decode(Path(path).read_bytes()) for path in paths]


def load_options(models_dir: str, cache_dir: str) -> LoadOptions:
    """What every measuring process loads with."""
    return LoadOptions(Path(models_dir), Path(cache_dir), device=DEVICE)
