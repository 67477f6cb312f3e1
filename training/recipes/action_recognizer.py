"""Tells what a drawn person does in several frames.

Network  the picture tower of the pair `clip` and `clip_text` on each frame, and the mean of the frames, which was found
         to be a strong beginning for a CLIP that watches clips (CLIP4Clip, Luo et al. 2021, arXiv:2104.08860). The
         sentences are read by `clip_text`.
Input    8 frames: the shorter side at 224 px, the square in the middle, CLIP's mean and standard deviation.
Output   (1, 768) of the clip, (T, 768) of the sentences as they came.
Limits   The mean knows no order of frames. Measured are the five of the documented actions that drawn postures show:
         walking, running, creeping, carrying, loitering; the others are sentences that it has never read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hearthwatch.adapter.frames import Sentences, clips_of
from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.models.action_recognizer import ActionAdapter
from hearthwatch.models.action_text import ActionTextAdapter
from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD
from hearthwatch.vision.image import Image
from training.cards import imagenet_input, write_card
from training.clip_pair import FAMILY, SIZE, train
from training.clip_pair import opened as opened_pair
from training.clips import FRAMES, MOTIONS, Clip, clip_of
from training.dataset import VALIDATION
from training.gather import in_parallel
from training.recipe import Recipe
from training.weights import opened

if TYPE_CHECKING:
    import torch

HELD_OUT = range(VALIDATION, VALIDATION + 120)
#: What is chosen from.
LABELS = tuple(MOTIONS)


def export(checkpoint: Path, onnx: Path) -> None:
    """Under the names of the converter for X-CLIP."""
    from hearthwatch.models.clip import EMBEDDING_DIMENSION
    from hearthwatch.networks import Network
    from hearthwatch.networks.export import export_onnx

    pair, _, facts = opened_pair(checkpoint)
    names = ("video_embeds", "text_embeds")
    whole = Network(
        _watcher(pair.pictures.tower()), SIZE, 1, "clip-mean", names, frames=FRAMES, text_width=EMBEDDING_DIMENSION
    )
    export_onnx(whole, onnx, input_name="pixel_values", output_names=names, size=SIZE)
    given = imagenet_input("pixel_values", SIZE) | {"mean": CLIP_MEAN, "std": CLIP_STD, "resize": "crop"}
    write_card(onnx, "action_recognizer", input=given, **facts)


def _watcher(tower: torch.nn.Module) -> torch.nn.Module:
    import torch
    from torch.nn import functional

    class Watcher(torch.nn.Module):
        """(F, 3, H, W) and (T, D) to (1, D) and (T, D)."""

        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, frames: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return functional.normalize(self.tower(frames)).mean(dim=0, keepdim=True), texts * 1.0

    return Watcher().eval()


def evaluate(onnx: Path, clips: Sequence[Clip] | None = None) -> dict[str, float]:
    """Which of `LABELS` it says of each clip, looking where the person is in the middle of it."""
    shown = held_out() if clips is None else clips
    with opened(ActionTextAdapter, _reader(onnx)) as reader:
        read, _ = reader.read(LABELS)
    sentences = Sentences(LABELS, np.stack([one.embedding for one in read]), read[0].digest)
    hits: dict[str, list[bool]] = {}
    with opened(ActionAdapter, onnx) as model:
        for clip in shown:
            inputs = clips_of(model.watching, [Image.of(frame) for frame in clip.frames], [clip.box])
            (result,), _ = model.watch(inputs, sentences)
            hits.setdefault(clip.action, []).append(result.action == clip.action)
    return _accuracies({action: float(np.mean(right)) for action, right in hits.items()})


def _accuracies(by_action: Mapping[str, float]) -> dict[str, float]:
    each = {f"accuracy {action}": share for action, share in by_action.items()}
    return {"accuracy": float(np.mean(list(by_action.values()))), **each}


def _reader(onnx: Path) -> Path:
    beside = onnx.with_name("clip_text.onnx")
    return beside if beside.is_file() else SAMPLES_DIR / beside.name


@functools.cache
def held_out(seeds: range = HELD_OUT, processes: int = 2) -> tuple[Clip, ...]:
    """Clips that no training has seen; drawn once in a process."""
    return tuple(clip for clip in in_parallel(clip_of, seeds, processes) if clip is not None)


RECIPE = Recipe("action_recognizer", "Action recogniser", 1, train, export, evaluate, shared=FAMILY)
