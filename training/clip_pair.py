"""What the recipes of CLIP's two towers share: one training, of which both are exported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from hearthwatch.artifacts.graph import write_metadata
from hearthwatch.artifacts.tokens import MERGES_KEY, VOCABULARY_FILE, VOCABULARY_KEY, Vocabulary
from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD
from training import subjects, vocabulary
from training.cards import LICENCE, imagenet_input, write_card
from training.dataset import TRAINING, WINDOWS, scenes
from training.gather import gather
from training.lessons import Pictures
from training.recipe import Workplace
from training.statements import TOPICS, caption, known, question
from training.version import version_of

if TYPE_CHECKING:
    from training.pair import Pair

#: Pictures of one subject by how they are drawn, and whole scenes and windows that the YOLO networks learn from as
#: well; every so many-th of the former is also learned from as a whole. From the first 3,000 alone it told postures
#: that it had learned from right in 0.92 and others in 0.81, paint of vehicles in 0.99 and 0.81.
CLOSE = ((subjects.shown, range(3000)), (subjects.shown_evenly, range(3000, 12_000)))
SETS = ((TRAINING, 4), (WINDOWS, 0))
STEPS = 24_000
#: Least longer side of a thing, pixels, to be learned from: smaller ones are blurs.
LEAST_PX = 72
#: Of the vocabulary, and how often it reads every question.
TOKENS, ASKED = 1000, 40
#: Folder of the one training's checkpoint.
FAMILY = "clip-pair"
#: That the one training takes on two cores, about.
MINUTES = 60.0
#: (height, width) of the image tower's input.
SIZE = (224, 224)
#: Name of the network in the space of its embeddings.
NETWORK = "clip-sample"


def train(work: Workplace) -> Path:
    """Weights of both towers, from one training: whoever asks first has it done. The vocabulary lies beside them."""
    from training.loop import TRAINED
    from training.pair import PairPlan, train_pair

    trial = "" if work.minutes is None else f"-{work.minutes:g}-minutes"
    folder = work.scenes.parent / FAMILY / f"{version_of(__name__)}{trial}"
    if (folder / TRAINED).is_file():
        return folder / TRAINED
    pictures = learned(work)
    if not (folder / VOCABULARY_FILE).is_file():
        vocabulary.save(vocabulary_of(pictures.facts), folder)
    return train_pair(vocabulary.load(folder), pictures, PairPlan(STEPS), replace(work, folder=folder))


def learned(work: Workplace) -> Pictures:
    """All pictures, drawn now as far as they are not there yet."""
    parts = [
        gather(
            draw,
            seeds,
            title="drawing subjects, 20 at a time",
            folder=work.scenes / f"{draw.__name__}-{version_of(subjects.__name__)}",
            progress=work.progress,
            processes=work.threads,
        )
        for draw, seeds in CLOSE
    ]
    for each, wholes in SETS:
        known_scenes = scenes(each, work.scenes, processes=work.threads, progress=work.progress)
        parts.append(dict(subjects.squares(known_scenes, wholes=wholes)))
    pixels, facts = (np.concatenate([part[name] for part in parts]) for name in ("pixels", "facts"))
    large = np.array([orjson.loads(str(text)).get("px", LEAST_PX) >= LEAST_PX for text in facts])
    return Pictures(np.asarray(pixels[large], np.uint8), [str(text) for text in facts[large]])


def vocabulary_of(facts: Sequence[str]) -> Vocabulary:
    """Learned from a caption of each picture, and from the questions."""
    rng = np.random.default_rng(0)
    read = [orjson.loads(text) for text in facts]
    texts = [caption(each, known(each), rng).text for each in read]
    texts += [asked.text for _ in range(ASKED) for topic in TOPICS for asked in question(topic, rng)]
    return vocabulary.learn(texts, TOKENS)


def export(checkpoint: Path, onnx: Path) -> None:
    """Both towers into the folder of `onnx`, which is one of them: neither can be measured alone."""
    pair, words, facts = opened(checkpoint)
    _export_image(pair, onnx.with_name("clip.onnx"), facts)
    _export_text(pair, onnx.with_name("clip_text.onnx"), words, facts)


def opened(checkpoint: Path) -> tuple[Pair, Vocabulary, dict[str, Any]]:
    """The trained pair, the vocabulary of its texts, and what the cards of its networks say alike. Needs torch."""
    from training.loop import load_tensors
    from training.pair import SCALE, Pair

    words = vocabulary.load(checkpoint.parent)
    pair = Pair(words)
    pair.load_state_dict(load_tensors(checkpoint))
    space = f"sha256:{hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]}"
    return pair.eval(), words, {"network": NETWORK, "space": space, "logit_scale": SCALE}


def _export_image(pair: Pair, onnx: Path, facts: dict[str, Any]) -> None:
    from training.onnx_file import write_onnx

    write_onnx(pair.pictures.tower(), onnx, inputs="pixel_values", outputs="image_embeds", size=SIZE)
    given = imagenet_input("pixel_values", SIZE, "bicubic") | {"mean": CLIP_MEAN, "std": CLIP_STD, "resize": "crop"}
    write_card(onnx, "clip", input=given, outputs={"embedding": {"name": "image_embeds"}}, **facts)


def _export_text(pair: Pair, onnx: Path, words: Vocabulary, facts: dict[str, Any]) -> None:
    from hearthwatch.networks import Network
    from hearthwatch.networks.export import export_onnx
    from training.pair import CONTEXT

    whole = Network(pair.text, (0, 0), 1, "clip-text", ("text_embeds",), CONTEXT)
    export_onnx(whole, onnx, input_name="input_ids", output_names=("text_embeds",), size=(0, 0))
    write_metadata(
        onnx, {"license": LICENCE, **dict(zip((VOCABULARY_KEY, MERGES_KEY), vocabulary.as_files(words), strict=True))}
    )
    outputs = {"embedding": {"name": "text_embeds"}}
    write_card(onnx, "clip_text", outputs=outputs, context_length=CONTEXT, **facts)
