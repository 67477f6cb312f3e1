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
from training.lessons import Pictures  # noqa: E402
from training.loop import RUNNING, load_tensors  # noqa: E402
from training.pair import CONTEXT, PairPlan, fitting_loss, train_pair  # noqa: E402
from training.planted import WRONG_VOCABULARY  # noqa: E402
from training.progress import Progress, Tell  # noqa: E402
from training.recipe import Workplace  # noqa: E402
from training.recipes import clip, clip_text  # noqa: E402
from training.scenes.finish import COLOURS  # noqa: E402
from training.weights import opened  # noqa: E402

from hearthwatch.artifacts.card import read_card  # noqa: E402
from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES, CLIPAdapter  # noqa: E402
from hearthwatch.models.clip_text import CLIPTextAdapter  # noqa: E402
from hearthwatch.vision.boxes import Box  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402

PAINTS = ("red", "blue")
PLAN = PairPlan(24, batch=8, side=112)


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


# The loss


def test_the_loss_is_small_where_all_that_fits_is_near() -> None:
    truth = torch.tensor([[1, 1, 0], [0, 0, 1]])
    near = torch.where(truth == 1, 20.0, -20.0)
    assert abs(fitting_loss(near, truth)) < 1e-4  # also where two texts fit one picture
    assert fitting_loss(-near, truth) > 10


def test_what_nobody_can_say_counts_neither_way() -> None:
    truth = torch.tensor([[1, 0, -1], [0, 1, -1]])
    logits = torch.tensor([[3.0, 0.0, 50.0], [0.0, 3.0, -50.0]], requires_grad=True)
    loss = fitting_loss(logits, truth)
    loss.backward()
    assert loss < 0.1
    assert logits.grad is not None
    assert (logits.grad[:, 2] == 0).all()


def test_a_batch_without_a_choice_teaches_nothing_and_is_no_error() -> None:
    logits = torch.ones(2, 2, requires_grad=True)
    loss = fitting_loss(logits, torch.tensor([[-1, -1], [1, -1]]))
    loss.backward()
    assert loss == 0


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


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.SAVE_EVERY_S", 0.0)
    plan = PairPlan(3, batch=4, side=32)
    whole = load_tensors(train_pair(words(), pictures(), plan, workplace(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train_pair(words(), pictures(), plan, replace(workplace(tmp_path / "again"), progress=Stopping(2)))
    assert (tmp_path / "again" / RUNNING).is_file()
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
