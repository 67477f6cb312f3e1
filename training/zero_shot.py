"""What a CLIP pair makes of things that it was never asked about by name: zero-shot classification, as `/classify`.

Labels are compared with one bare prompt, with each of the surveillance templates by itself, and with all of them
averaged (`use_ensemble`), through the models' own adapters. Asked is only what is fair: things that are large and
clear, colours that light shows, postures that the joints tell, and what is in a hand only where enough of it is seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES, CLIPAdapter, class_scores
from hearthwatch.models.clip_text import CLIPTextAdapter
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import average_embedding
from hearthwatch.vision.image import Float, Image, UInt8
from training.dataset import VALIDATION
from training.gather import in_parallel
from training.scenes.draw import draw, render
from training.scenes.labels import RenderedScene
from training.scenes.spec import ANIMALS, VEHICLES
from training.statements import SEEN_AT, known
from training.subjects import Facts, clear, close_spec, facts_of
from training.weights import opened
from training.wording import NOTHING

#: Shares by question and way of asking.
Figures = dict[str, dict[str, float]]
BARE_PROMPT, ENSEMBLED = "one bare prompt", "ensembled"


def one_template(template: str) -> str:
    """How asking with this one alone is called."""
    return f'"{template}"'


#: Ways to ask, each with the templates that it averages.
WAYS: Mapping[str, tuple[str, ...]] = {
    BARE_PROMPT: ("{}",),
    **{one_template(template): (template,) for template in SURVEILLANCE_TEMPLATES},
    ENSEMBLED: SURVEILLANCE_TEMPLATES,
}
#: Scenes: of one subject, and whole ones at a camera's size. A third of the former has six to ten pictures of some
#: colours, and what comes out has a standard error of 0.03.
CLOSE, WHOLE = range(VALIDATION, VALIDATION + 1800), range(VALIDATION, VALIDATION + 80)
#: Of who and what is asked about: least longer side in pixels, and least visible share.
ASKED_PX, ASKED_VISIBLE = 90, 0.8
#: Lights that show colours, and colours that are no shades of each other.
LIT = ("day", "dusk", "rain")
PLAIN = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
PAINTS = ("white", "black", "grey", "red", "blue", "green", "yellow", "brown", "orange")
#: Least pixels of a thing in a hand, where the picture has `SEEN_AT` on a side; knives and phones never have so many.
ASKED_HELD_PX = 40


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked.

    Attributes:
        topic: of `statements.TOPICS`.
        labels: value to prompt.
        fair: whether it may be asked about a picture of which these facts are known.
    """

    topic: str
    labels: Mapping[str, str]
    fair: Callable[[Facts], bool]


def _any(_facts: Facts) -> bool:
    return True


def _in_light(facts: Facts) -> bool:
    return facts["light"] in LIT


def _holds_something_large(facts: Facts) -> bool:
    pixels: float = max(facts["held_px"], facts["carried_px"]) * (SEEN_AT / facts["px"]) ** 2
    return not (facts["holds"] or facts["carries"]) or pixels >= ASKED_HELD_PX


#: By the name of the measure.
QUESTIONS: Mapping[str, Question] = {
    "posture": Question(
        "posture",
        {
            "standing": "a person standing",
            "walking": "a person walking",
            "running": "a person running",
            "sitting": "a person sitting",
            "crouching": "a person crouching",
            "bending_over": "a person bending over",
            "crawling": "a person crawling",
            "lying_down": "a person lying on the ground",
            "reaching_up": "a person reaching up",
            "arms_raised": "a person raising both arms",
        },
        _any,
    ),
    "clothing_colour": Question("colour", {colour: f"a person wearing {colour}" for colour in PLAIN}, _in_light),
    "vehicle_colour": Question("paint", {colour: f"a {colour} vehicle" for colour in PAINTS}, _in_light),
    "object": Question("what", {kind: f"a {kind}" for kind in ("person", *VEHICLES, *ANIMALS)}, _any),
    "carried": Question(
        "held",
        {
            "box": "a person carrying a box",
            "umbrella": "a person holding an umbrella",
            "bag": "a person holding a bag",
            "bat": "a person holding a bat",
            "crowbar": "a person holding a crowbar",
            NOTHING: "a person with empty hands",
        },
        _holds_something_large,
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture with boxes in it, and what is known of each."""

    pixels: UInt8
    boxes: Sequence[Box]
    facts: Sequence[Facts]


@functools.cache
def held_out(close: range = CLOSE, whole: range = WHOLE, processes: int = 2) -> tuple[Seen, ...]:
    """Pictures that no training has seen; drawn once in a process.

    Args:
        close: seeds of scenes of one subject.
        whole: seeds of whole scenes, at a camera's size.
        processes: that draw at once.
    """
    scenes = [(False, seed) for seed in close] + [(True, seed) for seed in whole]
    return tuple(seen for seen in in_parallel(_seen, scenes, processes) if seen.boxes)


def seen_in(scene: RenderedScene) -> Seen:
    """What is large and clear enough in a scene."""
    things = clear(scene)
    return Seen(scene.picture, [thing.box for thing in things], [facts_of(thing, scene) for thing in things])


def accuracy(
    clip: Path, pictures: Sequence[Seen], ways: Mapping[str, Sequence[str]] = WAYS
) -> dict[str, dict[str, float]]:
    """Share of right answers, each right value counting the same, by question and way of asking.

    Args:
        clip: the image tower, or the text tower; the other lies beside it or is the package's own.
        pictures: with their truth.
        ways: templates by name.

    Raises:
        ValueError: the towers are not of one training.
    """
    vectors, scale, space = _image_vectors(_tower(clip, "clip"), pictures)
    facts = [fact for seen in pictures for fact in seen.facts]
    prompts = {label for question in QUESTIONS.values() for label in question.labels.values()}
    texts = _text_vectors(_tower(clip, "clip_text"), sorted(prompts), ways, space)
    return {
        name: {
            way: _right(question, vectors, facts, [embedded[label] for label in question.labels.values()], scale)
            for way, embedded in texts.items()
        }
        for name, question in QUESTIONS.items()
    }


def table(clip: Path, pictures: Sequence[Seen]) -> str:
    """Markdown: every question, asked in every way."""
    figures = accuracy(clip, pictures)
    lines = [
        f"| asked with | {' | '.join(name.replace('_', ' ') for name in figures)} |",
        "|---" * (len(figures) + 1) + "|",
    ]
    lines += [f"| {way} | {' | '.join(f'{figures[name][way]:.3f}' for name in figures)} |" for way in WAYS]
    return "\n".join(lines) + "\n"


def asked(question: Question, facts: Facts) -> str | None:
    """The right answer, where the question is fair."""
    certain = known(facts).get(question.topic, frozenset())
    is_clear = facts["px"] >= ASKED_PX and facts["visible"] >= ASKED_VISIBLE
    answer = next(iter(certain)) if len(certain) == 1 else None
    return answer if answer in question.labels and is_clear and question.fair(facts) else None


def _right(question: Question, vectors: Float, facts: Sequence[Facts], texts: Sequence[Float], scale: float) -> float:
    values, labels = list(question.labels), np.stack(texts)
    truth = [(vector, answer) for vector, fact in zip(vectors, facts, strict=True) if (answer := asked(question, fact))]
    hits: dict[str, list[bool]] = {}
    for vector, answer in truth:
        said = values[int(class_scores(vector, labels, scale).argmax())]
        hits.setdefault(answer, []).append(said == answer)
    return float(np.mean([np.mean(row) for row in hits.values()])) if hits else 0.0


def _image_vectors(path: Path, pictures: Sequence[Seen]) -> tuple[Float, float, str]:
    results: list[Any] = []
    with opened(CLIPAdapter, path) as model:
        for seen in pictures:
            results += model.for_boxes(Image.of(seen.pixels), seen.boxes)[0]
    return np.stack([result.embedding for result in results]), results[0].logit_scale, results[0].digest


def _text_vectors(
    path: Path, prompts: Sequence[str], ways: Mapping[str, Sequence[str]], space: str
) -> dict[str, dict[str, Float]]:
    """By way and prompt."""
    templates = sorted({template for way in ways.values() for template in way})
    with opened(CLIPTextAdapter, path) as model:
        read, _ = model.read([template.replace("{}", prompt) for template in templates for prompt in prompts])
    if read[0].digest != space:
        raise ValueError(f"{path} is of {read[0].digest}, and the image tower of {space}: they learned apart")
    one = {
        (template, prompt): read[t * len(prompts) + p].embedding
        for t, template in enumerate(templates)
        for p, prompt in enumerate(prompts)
    }
    return {
        way: {prompt: average_embedding([one[template, prompt] for template in some]) for prompt in prompts}
        for way, some in ways.items()
    }


def _tower(given: Path, model: str) -> Path:
    beside = given.with_name(f"{model}.onnx")
    return beside if beside.is_file() else SAMPLES_DIR / beside.name


def _seen(scene: tuple[bool, int]) -> Seen:
    is_whole, seed = scene
    return seen_in(render(seed) if is_whole else draw(close_spec(seed)))
