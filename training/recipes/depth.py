"""Tells near from far in drawn scenes.

Network  an encoder of five halvings and a decoder that joins its levels again (U-Net, Ronneberger et al. 2015,
         arXiv:1505.04597), told where in the picture it is.
Input    the whole picture, squashed to 192 x 320, ImageNet mean and std.
Output   (N, 96, 160) 1 / metres in the format of Depth Anything: large is near.
Limits   It knows level cameras above flat ground. Its order is to be trusted, not its metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from hearthwatch.models.depth_estimator import DepthAdapter, DepthResult
from hearthwatch.vision.image import Float, Image
from training import crops
from training.cards import imagenet_input, write_card
from training.gather import gather, in_parallel
from training.recipe import Recipe, Workplace
from training.scenes.draw import render
from training.scenes.labels import RenderedScene
from training.version import version_of
from training.weights import predict

LEARNED = range(800)
HELD_OUT = range(1_000_000, 1_000_080)
STEPS = 1300
#: Depths that differ by less are not asked about.
LEAST_RATIO = 1.15
POINTS = 200


def train(workplace: Workplace) -> Path:
    """From scratch, on `LEARNED`."""
    from training.depth_net import DepthNet, DepthPlan, Views, train_depth
    from training.loop import first_weights

    drawn = gather(
        crops.views,
        LEARNED,
        title="drawing scenes with their depth, 20 at a time",
        folder=workplace.scenes / f"views-{version_of(crops.__name__)}",
        progress=workplace.progress,
        processes=workplace.threads,
    )
    return train_depth(first_weights(DepthNet), Views(**drawn), DepthPlan(STEPS), workplace)  # type: ignore[arg-type]


def export(checkpoint: Path, onnx: Path) -> None:
    """Under the names of Depth Anything's export."""
    from training.depth_net import DepthNet
    from training.loop import load_tensors
    from training.onnx_file import write_onnx

    network = DepthNet()
    network.load_state_dict(load_tensors(checkpoint))
    write_onnx(network, onnx, inputs="pixel_values", outputs="predicted_depth", size=crops.VIEW_SIZE)
    write_card(
        onnx,
        "depth_estimator",
        input=imagenet_input("pixel_values", crops.VIEW_SIZE),
        outputs={"depth": {"name": "predicted_depth"}},
        near="large",
    )


def evaluate(onnx: Path, known: Sequence[RenderedScene] | None = None, processes: int = 2) -> dict[str, float]:
    """Of two things, and of two points, the nearer one: in held-out scenes, or in those that are given."""
    things: list[bool] = []
    points: list[bool] = []
    drawn = list(in_parallel(_scene, HELD_OUT, processes)) if known is None else known
    results = predict(DepthAdapter, onnx, [Image.of(scene.picture) for scene in drawn])
    for scene, result in zip(drawn, results, strict=True):
        things += _things_in_order(result, scene)
        points += _points_in_order(result, scene.depth, np.random.default_rng([4, scene.seed]))
    return {"things_in_order": float(np.mean(things)), "points_in_order": float(np.mean(points))}


def _things_in_order(result: DepthResult, scene: RenderedScene) -> list[bool]:
    """Whether the nearer of each pair is found, by the median inside its box."""
    clear = [thing for thing in (*scene.people, *scene.vehicles, *scene.animals) if crops.is_clear(thing)]
    said = [result.inside(thing.box).distance("median").relative_depth for thing in clear]
    true = [thing.distance_m for thing in clear]
    pairs = ((a, b) for a, b in combinations(range(len(clear)), 2) if _differ(true[a], true[b]))
    return [(said[a] < said[b]) == (true[a] < true[b]) for a, b in pairs]


def _points_in_order(result: DepthResult, depth: Float, rng: np.random.Generator) -> list[bool]:
    height, width = depth.shape
    said = result.depth
    answers = []
    for a, b in rng.random((POINTS, 2, 2)):
        true = [float(depth[int(v * height), int(u * width)]) for v, u in (a, b)]
        told = [float(said[int(v * said.shape[0]), int(u * said.shape[1])]) for v, u in (a, b)]
        if _differ(*true):
            answers.append((told[0] < told[1]) == (true[0] < true[1]))
    return answers


def _differ(a: float, b: float) -> bool:
    return max(a, b) / min(a, b) >= LEAST_RATIO


def _scene(seed: int) -> RenderedScene:
    return render(seed)


RECIPE = Recipe("depth_estimator", "Depth estimator", 12, train, export, evaluate)
