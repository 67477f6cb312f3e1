"""`python -m training.scenes.evening`: draw the demo's picture, and write down what is in it.

`evening.jpg` and `evening.json` lie beside the sample networks; `hearthwatch demo` holds what it finds in the one
against what the other says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import orjson

from training.scenes.cast import evening_spec
from training.scenes.draw import draw
from training.scenes.labels import Person, RenderedScene, Thing

SAMPLES = Path(__file__).parents[2] / "src/hearthwatch/sample"
#: The moment and the camera that the picture is said to be of.
TIME, CAMERA = "2026-11-20T21:40", "drive"
JPEG_QUALITY = 92


def main(arguments: Sequence[str]) -> int:
    """Draw it; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m training.scenes.evening", description="Draw the demo's picture.")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to write it to")
    out: Path = parser.parse_args(arguments).out
    scene = draw(evening_spec())
    out.mkdir(parents=True, exist_ok=True)
    picture = cv2.cvtColor(scene.picture, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    (out / "evening.jpg").write_bytes(encoded.tobytes())
    told = orjson.dumps(what_is_drawn(scene), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (out / "evening.json").write_bytes(told)
    sys.stdout.write(f"{out / 'evening.jpg'}: {scene.caption}\n")
    return 0


def what_is_drawn(scene: RenderedScene) -> dict[str, Any]:
    """What `hearthwatch.cli.evening` reads, and where each thing is, for people."""
    plates = [plate.text for plate in scene.plates if plate.visible > 0]
    return {
        "caption": scene.caption,
        "time": TIME,
        "camera": CAMERA,
        "plate": plates[0] if plates else None,
        "things": [_thing(thing) for thing in (*scene.people, *scene.vehicles, *scene.animals)],
    }


def _thing(thing: Thing) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": thing.kind,
        "box": [round(side, 1) for side in thing.box],
        "distance_m": round(thing.distance_m, 2),
    }
    if isinstance(thing, Person):
        told |= {"posture": thing.posture, "holds": thing.holds}
    return told


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
