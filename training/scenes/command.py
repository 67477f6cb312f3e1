"""`python -m training scene`: draw one scene into a file, with its labels beside it where asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.keypoints import SKELETON
from training.scenes.cast import evening_spec, random_spec
from training.scenes.draw import draw
from training.scenes.labels import HIDDEN, SEEN, RenderedScene, Thing

UInt8 = npt.NDArray[np.uint8]
_COLOURS = {"person": (255, 220, 60), "plate": (60, 255, 120), "cat": (255, 120, 255), "dog": (255, 120, 255)}
_WEAPON, _OTHER = (255, 60, 60), (90, 180, 255)
#: Depths are drawn up to here; the rest is one colour, metres.
_DEEPEST_M = 30.0


def main(arguments: Sequence[str]) -> int:
    """Draw what the arguments say; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m training scene", description="Draw one scene.")
    parser.add_argument("--seed", type=int, default=0, help="which scene; the demo's with --evening")
    parser.add_argument("--out", type=Path, required=True, help="file to write; .jpg or .png")
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT of the picture, pixels")
    parser.add_argument("--labels", action="store_true", help="draw boxes, joints, depth and ids beside it")
    parser.add_argument("--evening", action="store_true", help="the demo's scene instead of a random one")
    options = parser.parse_args(arguments)
    width, height = (int(side) for side in options.size.split("x"))
    scene = draw(evening_spec() if options.evening else random_spec(options.seed, (width, height)))
    picture = labelled(scene) if options.labels else scene.picture
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if options.out.suffix.lower() in (".jpg", ".jpeg") else []
    if not cv2.imwrite(str(options.out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality):
        parser.error(f"could not write {options.out}")
    print(f"{options.out}: {scene.caption}")
    return 0


def labelled(scene: RenderedScene) -> UInt8:
    """Four panels: the picture, its boxes and joints, its depth, its ids."""
    height, width = scene.picture.shape[:2]
    marked = scene.picture.copy()
    for thing in (*scene.vehicles, *scene.plates, *scene.animals, *scene.people, *scene.weapons):
        _mark(marked, thing)
    for person in scene.people:
        _joints(marked, person.keypoints)
    cv2.putText(marked, scene.caption[: width // 7], (6, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    near = 1 - np.clip(scene.depth / _DEEPEST_M, 0, 1)
    depth = cv2.cvtColor(cv2.applyColorMap((near * 255).astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    shades = np.random.default_rng(1).integers(70, 256, (int(scene.ids.max()) + 1, 3)).astype(np.uint8)
    shades[0] = 20
    top, bottom = np.hstack([scene.picture, marked]), np.hstack([depth, shades[scene.ids]])
    return np.ascontiguousarray(np.vstack([top, bottom]), np.uint8)


def _mark(picture: UInt8, thing: Thing) -> None:
    colour = _COLOURS.get(thing.kind, _WEAPON if hasattr(thing, "holder") else _OTHER)
    x1, y1, x2, y2 = (round(side) for side in thing.box)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
    words = getattr(thing, "text", None) or getattr(thing, "posture", None) or thing.kind
    label = f"{words} {thing.visible:.2f} {thing.distance_m:.1f} m"
    cv2.putText(picture, label, (x1, max(y1 - 3, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, 1, cv2.LINE_AA)


def _joints(picture: UInt8, keypoints: npt.NDArray[np.float32]) -> None:
    for a, b in SKELETON:
        if keypoints[a, 2] and keypoints[b, 2]:
            ends = [(round(float(keypoints[i, 0])), round(float(keypoints[i, 1]))) for i in (a, b)]
            cv2.line(picture, ends[0], ends[1], (255, 255, 255), 1, cv2.LINE_AA)
    for x, y, state in keypoints.tolist():
        if state in (SEEN, HIDDEN):
            colour = (60, 255, 60) if state == SEEN else (255, 90, 0)
            cv2.circle(picture, (round(x), round(y)), 2, colour, -1, cv2.LINE_AA)
