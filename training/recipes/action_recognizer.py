"""Tells what a drawn person does in several frames.

Network  the picture tower of the pair `clip` and `clip_text` on each frame, and the mean of the frames, which was found
         to be a strong beginning for a CLIP that watches clips (CLIP4Clip, Luo et al. 2021, arXiv:2104.08860). It
         learns further on single frames, against what the pair's text tower makes of the sentences, which is locked
         (LiT, Zhai et al. 2022, arXiv:2111.07991): the sentences are read by `clip_text`.
Input    8 frames: the shorter side at 224 px, the square in the middle, ImageNet mean and std.
Output   (1, 768) of the clip, (T, 768) of the sentences as they came.
Limits   The mean knows no order of frames. Learned and measured are the five of the documented actions that drawn
         postures show: walking, running, creeping, carrying, loitering; the others it has never seen.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.adapter.frames import Sentences, clips_of
from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.models.action_recognizer import ActionAdapter
from hearthwatch.models.action_text import ActionTextAdapter
from hearthwatch.models.clip import EMBEDDING_DIMENSION
from hearthwatch.vision.image import Image
from training import clip_pair
from training.augment import Variation
from training.cards import imagenet_input, write_card
from training.clips import FRAMES, MOTIONS, Clip, clip_of
from training.dataset import TRAINING, VALIDATION, WINDOWS, scenes
from training.gather import in_parallel
from training.recipe import Recipe, Workplace
from training.single_frames import examples
from training.weights import opened

HELD_OUT = range(VALIDATION, VALIDATION + 120)
#: What is chosen from.
LABELS = tuple(MOTIONS)
STEPS, RATE = 2000, 5e-4
#: Who moves is not in the middle of every frame.
MOVING = Variation(jitter=0.15, gain=0.4)
#: Folder of the pair that it began with, beside its own checkpoint.
PAIR = "pair"


def train(work: Workplace) -> Path:
    """The pair's picture tower, trained further on everybody who does one of `LABELS`."""
    import torch

    from training.classify import ClassifierPlan, Examples, train_classifier
    from training.pair import CONTEXT
    from training.watcher import Chooser

    first = clip_pair.train(work)
    shutil.copytree(first.parent, work.folder / PAIR, ignore=shutil.ignore_patterns("pictures"), dirs_exist_ok=True)
    pair, words, _ = clip_pair.opened(first)
    with torch.no_grad():
        read = pair.text(torch.from_numpy(ClipTokenizer(words, CONTEXT).encode(list(LABELS)).ids))
    sets = [scenes(each, work.scenes, processes=work.threads, progress=work.progress) for each in (TRAINING, WINDOWS)]
    shown = Examples(**examples(chain(*sets)))  # type: ignore[arg-type]
    side = clip_pair.SIZE[0] // 2
    plan = ClassifierPlan(STEPS, (side, side), half_until=0.0, rate=RATE, variation=MOVING)
    return train_classifier(Chooser(pair.pictures.image.requires_grad_(), read), None, shown, plan, work)


def export(checkpoint: Path, onnx: Path) -> None:
    """Under the names of the converter for X-CLIP."""
    from hearthwatch.networks import Network
    from hearthwatch.networks.export import export_onnx
    from training.loop import load_tensors
    from training.watcher import Chooser, Watcher

    tensors = load_tensors(checkpoint)
    pair, _, facts = clip_pair.opened(checkpoint.parent / PAIR / checkpoint.name)
    chooser = Chooser(pair.pictures.image, tensors["texts"])
    chooser.load_state_dict(tensors)
    names, size = ("video_embeds", "text_embeds"), clip_pair.SIZE
    watcher = Watcher(chooser.image).eval()
    whole = Network(watcher, size, 1, "xclip-video", names, frames=FRAMES, text_width=EMBEDDING_DIMENSION)
    export_onnx(whole, onnx, input_name="pixel_values", output_names=names, size=size)
    write_card(onnx, "action_recognizer", input=imagenet_input("pixel_values", size) | {"resize": "crop"}, **facts)


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
    by_action = {f"accuracy {action}": float(np.mean(right)) for action, right in hits.items()}
    return {"accuracy": float(np.mean(list(by_action.values()))), **by_action}


def _reader(onnx: Path) -> Path:
    beside = onnx.with_name("clip_text.onnx")
    return beside if beside.is_file() else SAMPLES_DIR / beside.name


@functools.cache
def held_out(seeds: range = HELD_OUT, processes: int = 2) -> tuple[Clip, ...]:
    """Clips that no training has seen; drawn once in a process."""
    return tuple(clip for clip in in_parallel(clip_of, seeds, processes) if clip is not None)


RECIPE = Recipe("action_recognizer", "Action recogniser", 5, train, export, evaluate, shared=clip_pair.FAMILY)
