"""The CLIP pair learns what texts say about pictures, and its two files answer through the models' own adapters."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import pytest
from rich.console import Console

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
pytest.importorskip("tokenizers", reason="no library of vocabularies is installed")

from training import clip_pair, vocabulary, zero_shot  # noqa: E402
from training.lessons import VALUES, Pictures  # noqa: E402
from training.loop import RUNNING, TRAINED, first_weights, load_tensors  # noqa: E402
from training.pair import CONTEXT, PICTURES, Pair, PairPlan, label_loss, text_loss, train_pair  # noqa: E402
from training.planted import WRONG_VOCABULARY  # noqa: E402
from training.progress import Progress, Tell  # noqa: E402
from training.recipe import Workplace  # noqa: E402
from training.recipes import clip, clip_text  # noqa: E402
from training.scenes.finish import COLOURS  # noqa: E402
from training.sentences import Said  # noqa: E402
from training.weights import opened  # noqa: E402

from hearthwatch.adapter.clip_tokenizer import ClipTokenizer  # noqa: E402
from hearthwatch.artifacts.card import read_card  # noqa: E402
from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES, CLIPAdapter  # noqa: E402
from hearthwatch.models.clip_text import CLIPTextAdapter  # noqa: E402
from hearthwatch.vision.boxes import Box  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402

PAINTS = ("red", "blue")
PLAN = PairPlan(24, batch=8, side=112, text_steps=60, texts=16)


def facts(number: int) -> dict[str, Any]:
    colour = PAINTS[number % 2]
    return {"kind": "car", "place": "street", "light": "day", "px": 120, "visible": 1.0, "colour": colour}


def pictures(count: int = 16) -> Pictures:
    """Plain squares of a car's colour, with noise."""
    rng = np.random.default_rng(0)
    paint = np.array([COLOURS[facts(number)["colour"]] for number in range(count)])
    pixels = rng.integers(0, 60, (count, 128, 128, 3)) + (paint[:, None, None] * 190).astype(int)
    return Pictures(pixels.astype(np.uint8), [orjson.dumps(facts(number)).decode() for number in range(count)])


def workplace(folder: Path) -> Workplace:
    return Workplace(folder, folder.parent / "scenes", threads=1, progress=Progress(Console(file=io.StringIO())))


@functools.cache
def words() -> Any:
    return vocabulary.learn(["a red car", "a blue car", "a red vehicle", "a blue vehicle"] * 3, 530)


def seen() -> list[zero_shot.Seen]:
    """As they are asked about: boxes in wider pictures."""
    wide = [np.pad(pixels, ((10, 10), (40, 40), (0, 0))) for pixels in pictures().pixels[:8]]
    return [zero_shot.Seen(pixels, [Box(40, 10, 168, 138)], [facts(n)]) for n, pixels in enumerate(wide)]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of both files, of a training that sees only two colours."""
    before = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("pair")
    vocabulary.save(words(), folder)
    checkpoint = train_pair(vocabulary.load(folder), pictures(), PLAN, workplace(folder))
    clip_pair.export(checkpoint, folder / "clip_text.onnx")
    torch.set_num_threads(before)
    return folder


# The losses


def test_one_value_of_those_that_may_be_true_is_enough() -> None:
    may_be = torch.tensor([[True, True, False]])
    assert label_loss(torch.tensor([[20.0, -20.0, 0.0]]), may_be) < 1e-4
    assert label_loss(torch.tensor([[-20.0, 20.0, 0.0]]), may_be) < 1e-4
    assert label_loss(torch.tensor([[-20.0, -20.0, 0.0]]), may_be) > 10


def test_pictures_of_which_nobody_can_say_teach_nothing() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = label_loss(logits, torch.tensor([[True] * 3, [False] * 3]))
    loss.backward()
    assert loss == 0


def test_a_text_lies_where_all_that_it_claims_points_together() -> None:
    pair = first_weights(lambda: Pair(words()))
    tokens = ClipTokenizer(words(), CONTEXT).encode(["a red car"]).ids
    claims = np.zeros((1, len(VALUES)), np.float32)
    claims[0, [0, 5]] = 1
    with torch.no_grad():
        read = pair.text(torch.from_numpy(tokens))[0]
        prototypes = pair.pictures.prototypes
        prototypes[0], prototypes[5] = read * 7, read  # of any length
        assert text_loss(pair, Said(tokens, claims)) < 1e-5
        prototypes[0] = -read
        prototypes[5] = -read
        assert text_loss(pair, Said(tokens, claims)) > 2 - 1e-5


def test_texts_change_nothing_about_pictures(towers: Path) -> None:
    """Where they did, the text tower drew all colours together before they were told apart."""
    seen = load_tensors(towers / PICTURES / TRAINED)
    whole = load_tensors(towers / TRAINED)
    assert seen
    assert all(torch.equal(whole[f"pictures.{name}"], tensor) for name, tensor in seen.items())


# The training


class Stopping(Progress):
    """Somebody presses Ctrl-C after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.steps = steps

    @contextmanager
    def of(self, title: str, total: int, *, begin: int = 0) -> Iterator[Tell]:
        with super().of(title, total, begin=begin) as tell:

            def move(done: int, note: str = "") -> None:
                tell(done, note)
                if done == self.steps:
                    raise KeyboardInterrupt

            yield move


@pytest.mark.parametrize("steps", [2, 5], ids=["among the pictures", "among the texts"])
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr("training.loop.SAVE_EVERY_S", 0.0)
    plan = PairPlan(3, batch=4, side=32, text_steps=6, texts=4)
    whole = load_tensors(train_pair(words(), pictures(), plan, workplace(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train_pair(words(), pictures(), plan, replace(workplace(tmp_path / "again"), progress=Stopping(steps)))
    stopped = tmp_path / "again" / (PICTURES if steps < plan.steps else "")
    assert (stopped / RUNNING).is_file()
    again = load_tensors(train_pair(words(), pictures(), plan, workplace(tmp_path / "again")))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_pair_learns_two_colours_and_both_files_answer(towers: Path) -> None:
    figures = clip.evaluate(towers / "clip.onnx", seen())
    assert figures["vehicle_colour"] == 1.0
    assert figures["posture"] == 0.0  # nobody was there to be asked about
    by_way = clip_text.evaluate(towers / "clip_text.onnx", seen())
    assert by_way["vehicle_colour_ensembled"] == figures["vehicle_colour"]
    assert set(by_way) == {
        f"{name}_{way}" for name in figures for way in ("with_one_bare_prompt", "with_one_template", "ensembled")
    }


def test_the_ways_to_ask_stand_side_by_side(towers: Path) -> None:
    table = zero_shot.table(towers / "clip.onnx", seen())
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    assert rows == ["one bare prompt", *(f'"{template}"' for template in SURVEILLANCE_TEMPLATES), "ensembled"]


def test_both_files_have_the_interface_of_clip_and_one_space(towers: Path) -> None:
    with opened(CLIPAdapter, towers / "clip.onnx") as image, opened(CLIPTextAdapter, towers / "clip_text.onnx") as text:
        picture = image.predict([Image.of(np.zeros((300, 500, 3), np.uint8))])[0][0]
        short, long = text.read(["a red car", "a red car " * 40])[0]
    assert picture.embedding.shape == short.embedding.shape == (768,)
    assert picture.preprocessing == "224-crop-bicubic"
    assert (picture.network, picture.digest) == (short.network, short.digest)
    assert (short.truncated, long.truncated) == (False, True)
    cards = [read_card(towers / name) for name in ("clip.json", "clip_text.json")]
    assert cards[0].logit_scale == cards[1].logit_scale == picture.logit_scale
    assert all(card.weights == "sample" for card in cards)


def test_the_vocabulary_is_inside_the_file(towers: Path) -> None:
    with opened(CLIPTextAdapter, towers / "clip_text.onnx") as text:
        adapter = text.adapter
        assert isinstance(adapter, CLIPTextAdapter)
        assert adapter.description.vocabulary == words()
        assert adapter.tokens.length == CONTEXT


def test_both_files_together_are_small(towers: Path) -> None:
    """At two bytes a number: the real vocabulary has 1,000 tokens, this one about half as many."""
    numbers = sum(
        int(np.prod(tensor.dims))
        for name in ("clip.onnx", "clip_text.onnx")
        for tensor in onnx.load(towers / name).graph.initializer
    )
    assert 2 * (numbers + (clip_pair.TOKENS - len(words().tokens)) * 128) <= 5_000_000


def test_towers_of_two_trainings_are_not_compared(towers: Path, tmp_path: Path) -> None:
    for name in ("clip.onnx", "clip.json", "clip_text.onnx", "clip_text.json"):
        (tmp_path / name).write_bytes((towers / name).read_bytes())
    card = orjson.loads((tmp_path / "clip_text.json").read_bytes())
    (tmp_path / "clip_text.json").write_bytes(orjson.dumps(card | {"space": "sha256:another"}))
    with pytest.raises(ValueError, match="they learned apart"):
        zero_shot.accuracy(tmp_path / "clip.onnx", seen())


def test_a_wrong_order_of_the_vocabulary_changes_what_is_read(towers: Path, tmp_path: Path) -> None:
    with opened(CLIPTextAdapter, towers / "clip_text.onnx") as text:
        right = text.read(["a red vehicle", "a blue vehicle"])[0]
    with opened(CLIPTextAdapter, WRONG_VOCABULARY.planted(towers / "clip_text.onnx", tmp_path)) as text:
        wrong = text.read(["a red vehicle", "a blue vehicle"])[0]
    assert not np.allclose(right[0].embedding, wrong[0].embedding, atol=1e-2)
