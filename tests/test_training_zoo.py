"""The zoo makes sample networks once, keeps them in order, and never leaves half of one behind."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from rich.console import Console
from training import zoo as zoo_module
from training.__main__ import each, main, names
from training.augment import EXACT, ROOM, USUAL, varied, with_room
from training.cards import WARNING, Made, imagenet_input, model_card, write_card
from training.floors import FLOORS
from training.gather import gather
from training.progress import Progress
from training.recipe import Recipe, Workplace
from training.recipes.person_reid import ranks
from training.version import closure, version_of
from training.zoo import LEDGER, MAX_BYTES, OVERVIEW, RECIPES, SAMPLE, SUFFIXES, Entry, Zoo, ZooError, find_recipe

from hearthwatch.artifacts.card import read_card
from hearthwatch.errors import WeightsInvalid
from hearthwatch.models import MODELS
from hearthwatch.vision.boxes import Box

ABOUT = """Tells A from B.

Network  two layers, of which
         one is hidden.
Limits   knows nothing else.
"""


@dataclass
class Trainer:
    """A recipe that trains at once, and says what was asked of it."""

    size: int = 1000
    figures: dict[str, float] = field(default_factory=lambda: {"accuracy": 0.9})
    trained: list[Workplace] = field(default_factory=list)
    fails_with: BaseException | None = None

    @property
    def recipe(self) -> Recipe:
        return Recipe("toy", "Toy", 3, self._train, self._export, lambda _onnx: self.figures)

    def _train(self, workplace: Workplace) -> Path:
        self.trained.append(workplace)
        checkpoint = workplace.folder / "checkpoint"
        checkpoint.write_bytes(b"w" * self.size)
        if self.fails_with is not None:
            raise self.fails_with
        return checkpoint

    def _export(self, checkpoint: Path, onnx: Path) -> None:
        onnx.write_bytes(checkpoint.read_bytes())
        write_card(onnx, "person_reid", input=imagenet_input("input", (256, 128)))


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


def said(zoo: Zoo) -> str:
    stream = zoo.progress._console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def zoo_of(tmp_path: Path, trainer: Trainer, version: str = "1", **rest: object) -> Zoo:
    entry = Entry(trainer.recipe, version, ABOUT)
    zoo = Zoo(
        lambda _name: entry,
        sample=tmp_path / "sample",
        work=tmp_path / "work",
        progress=quiet(),
        finish=lambda _onnx: None,  # a toy's file is no network
    )
    return replace(zoo, **rest)  # type: ignore[arg-type]


# What is made


def test_a_network_comes_with_its_card_its_model_card_and_its_figures(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, Trainer(), floors={"toy": {"accuracy": 0.8}})
    outcome = zoo.make("toy")
    assert (outcome.ending, outcome.figures) == ("made", {"accuracy": 0.9})
    assert sorted(path.name for path in zoo.sample.iterdir()) == ["README.md", "toy.json", "toy.md", "toy.onnx", LEDGER]
    assert read_card(zoo.sample / "toy.json").weights == "sample"
    assert "| accuracy | 0.900 | 0.8 |" in (zoo.sample / "toy.md").read_text()
    assert orjson.loads((zoo.sample / LEDGER).read_bytes())["toy"]["figures"] == {"accuracy": 0.9}
    assert "| [toy](toy.md) | 0.00 MB | accuracy | 0.900 | 0.8 |" in (zoo.sample / OVERVIEW).read_text()


def test_what_is_done_and_unchanged_is_left_alone(tmp_path: Path) -> None:
    trainer = Trainer()
    zoo_of(tmp_path, trainer).make("toy")
    assert zoo_of(tmp_path, trainer).make("toy").ending == "unchanged"
    assert len(trainer.trained) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda zoo: replace(zoo, find=lambda _: replace(zoo.find(""), version="2")),
        lambda zoo: (zoo.sample / "toy.md").unlink() or zoo,
        lambda zoo: (zoo.sample / "toy.onnx").write_bytes(b"other") and zoo,
        lambda zoo: (zoo.sample / LEDGER).unlink() or zoo,
    ],
    ids=["the recipe", "the model card is gone", "the network is another", "the ledger is gone"],
)
def test_what_has_changed_is_made_again(tmp_path: Path, change: Callable[[Zoo], Zoo]) -> None:
    trainer = Trainer()
    zoo = zoo_of(tmp_path, trainer)
    zoo.make("toy")
    assert change(zoo).make("toy").ending == "made"
    assert len(trainer.trained) == 2


def test_what_several_networks_learn_together_is_begun_again_once(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, Trainer())
    entry = replace(zoo.find("toy"), recipe=replace(Trainer().recipe, shared="family"))
    zoo = replace(zoo, find=lambda _name: entry)
    for name in ("family", "scenes"):
        (tmp_path / "work" / name).mkdir(parents=True)
    zoo.forget_shared(["toy", "toy"])
    assert not (tmp_path / "work" / "family").exists()
    assert (tmp_path / "work" / "scenes").exists()


def test_a_stopped_training_finds_its_folder_again_and_a_fresh_one_finds_it_empty(tmp_path: Path) -> None:
    trainer = Trainer(fails_with=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        zoo_of(tmp_path, trainer).make("toy")
    (trainer.trained[0].folder / "running.pt").write_bytes(b"half")
    trainer.fails_with = None
    zoo_of(tmp_path, trainer).make("toy")
    assert trainer.trained[1].folder == trainer.trained[0].folder
    assert (trainer.trained[1].folder / "running.pt").exists()
    zoo_of(tmp_path, trainer).make("toy", fresh=True)
    assert not (trainer.trained[2].folder / "running.pt").exists()


def test_a_trial_does_not_count_as_the_whole_training(tmp_path: Path) -> None:
    trainer = Trainer()
    zoo = zoo_of(tmp_path, trainer)
    zoo.make("toy", minutes=0.5)
    assert "a trial of 0.5 minutes" in (zoo.sample / "toy.md").read_text()
    assert zoo.make("toy").ending == "made"
    assert trainer.trained[0].folder != trainer.trained[1].folder


@pytest.mark.parametrize("limit", ["floor", "bytes"])
def test_a_network_that_is_refused_leaves_the_old_one_in_its_place(tmp_path: Path, limit: str) -> None:
    zoo = zoo_of(tmp_path, Trainer(), floors={"toy": {"accuracy": 0.8}}, max_bytes=5000)
    zoo.make("toy")
    before = {path.name: path.read_bytes() for path in zoo.sample.iterdir()}
    worse = Trainer(figures={"accuracy": 0.7}) if limit == "floor" else Trainer(size=6000)
    with pytest.raises(ZooError, match=r"floor 0\.8" if limit == "floor" else "at most"):
        zoo_of(tmp_path, worse, "2", floors=zoo.floors, max_bytes=5000).make("toy")
    assert {path.name: path.read_bytes() for path in zoo.sample.iterdir()} == before


def test_a_figure_that_is_missing_falls_short_of_its_floor(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="other 0"):
        zoo_of(tmp_path, Trainer(), floors={"toy": {"other": 0.5}}).make("toy")


def test_a_network_in_its_place_can_be_measured_alone_and_accepted(tmp_path: Path) -> None:
    trainer = Trainer()
    zoo_of(tmp_path, trainer).make("toy")
    trainer.figures = {"accuracy": 0.95}
    changed = zoo_of(tmp_path, trainer, "2")
    assert changed.measure("toy").figures == {"accuracy": 0.95}
    assert "0.950" in (changed.sample / "toy.md").read_text()
    assert orjson.loads((changed.sample / LEDGER).read_bytes())["toy"]["version"] == "1"
    changed.measure("toy", accept=True)
    assert changed.make("toy").ending == "unchanged"
    assert len(trainer.trained) == 1


def test_what_is_not_there_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="python -m training toy"):
        zoo_of(tmp_path, Trainer()).measure("toy")


# The command


def test_one_that_fails_does_not_keep_the_others_from_their_turn(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, Trainer())
    tried = []

    def work(name: str) -> zoo_module.Outcome:
        tried.append(name)
        if name == "bad":
            raise ValueError("no wheels")
        return zoo_module.Outcome(name, "made", {"rank_1": 0.5})

    assert each(zoo, ["bad", "good"], work) == 1
    assert tried == ["bad", "good"]
    assert "bad: failed. ValueError: no wheels" in said(zoo)
    assert "good: made. rank 1 0.500" in said(zoo)
    assert each(zoo, ["good"], work) == 0


def test_ctrl_c_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, Trainer(fails_with=KeyboardInterrupt()))
    assert each(zoo, ["toy", "next"], zoo.make) == 130
    assert "toy: stopped. The same command goes on from here." in said(zoo)


def test_all_means_all_in_the_order_of_the_zoo() -> None:
    assert names(["all"]) == list(RECIPES)
    assert names(["pet_classifier", "yolo26"]) == ["yolo26", "pet_classifier"]


@pytest.mark.parametrize("wrong", [[], ["nobody"], ["all", "--minutes", "0"]], ids=str)
def test_a_wrong_command_line_is_a_usage_error(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2


# Cards


def test_a_model_card_says_plainly_what_the_weights_are_for() -> None:
    recipe = Trainer().recipe
    text = model_card(recipe, ABOUT, Made(1_500_000, None, {"rank_1": 0.91234}, {}))
    assert WARNING in text
    assert "| Network | two layers, of which one is hidden. |" in text
    assert "| rank 1 | 0.912 |  |" in text
    assert "Apache-2.0" in text
    assert "1.50 MB" in text


def test_a_card_that_would_be_refused_is_not_written_in_silence(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="size"):
        write_card(tmp_path / "a.onnx", "depth_estimator", input={"size": [0, 1]})


# Versions


def test_a_version_follows_the_code_and_not_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "training"
    (folder / "scenes").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "scenes" / "__init__.py").write_text("")
    scene, inner, outer = folder / "scenes" / "sky.py", folder / "inner.py", folder / "outer.py"
    scene.write_text("BLUE = 1\n")
    inner.write_text("def f():\n    return 1\n")
    outer.write_text("def g():\n    from training.inner import f\n    return f()\n")
    files = {f"training.{path.stem}": path for path in (inner, outer)}
    files |= {"training.scenes": folder / "scenes" / "__init__.py", "training.scenes.sky": scene}
    monkeypatch.setattr("training.version._file", files.__getitem__)
    monkeypatch.setattr("training.version._exists", files.__contains__)
    assert closure("training.outer") == {"training.outer", "training.inner"}
    first = version_of("training.outer")
    inner.write_text('"""Words."""\ndef f():\n    """More."""\n    return 1  # and more\n')
    assert version_of("training.outer") == first
    inner.write_text("def f():\n    return 2\n")
    second = version_of("training.outer")
    scene.write_text("BLUE = 2\n")
    assert len({first, second, version_of("training.outer")}) == 3


def test_every_recipe_is_of_a_model_that_there_is_and_has_a_version() -> None:
    known = {model.SPEC.name for model in MODELS}
    for name in RECIPES:
        entry = find_recipe(name)
        assert entry.recipe.name == name
        assert name in known
        assert len(entry.version) == 16


# What is in the repository


def test_the_sample_folder_is_small_enough() -> None:
    files = [path for path in SAMPLE.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES


@pytest.mark.parametrize("name", RECIPES)
def test_a_sample_network_is_complete_and_reached_its_floors(name: str) -> None:
    assert all((SAMPLE / f"{name}{suffix}").is_file() for suffix in SUFFIXES)
    row = orjson.loads((SAMPLE / LEDGER).read_bytes())[name]
    assert all(row["figures"][measure] >= floor for measure, floor in FLOORS[name].items())
    assert WARNING in (SAMPLE / f"{name}.md").read_text()
    assert read_card(SAMPLE / f"{name}.json").weights == "sample"


# Data


def drawn(seed: int) -> dict[str, np.ndarray]:
    if seed == 3:
        return {}
    return {"seed": np.full((seed % 2 + 1, 1), seed)}


def test_what_was_drawn_is_not_drawn_again(tmp_path: Path) -> None:
    calls = []

    def counted(seed: int) -> dict[str, np.ndarray]:
        calls.append(seed)
        return drawn(seed)

    for _ in range(2):
        rows = gather(counted, range(5), title="", folder=tmp_path / "kept", progress=quiet(), processes=1)
        assert rows["seed"].ravel().tolist() == [0, 1, 1, 2, 4]
    assert calls == [0, 1, 2, 3, 4]


def test_a_shard_that_is_damaged_is_drawn_again(tmp_path: Path) -> None:
    first = gather(drawn, range(3), title="", folder=tmp_path, progress=quiet(), processes=1)
    next(tmp_path.glob("*.npz")).write_bytes(b"PK")
    again = gather(drawn, range(3), title="", folder=tmp_path, progress=quiet(), processes=1)
    assert np.array_equal(first["seed"], again["seed"])


def test_an_exact_crop_is_the_box_and_nothing_of_the_room_around_it() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[50:150, 100:200] = 255
    pixels, inner = with_room(picture, Box(100, 50, 200, 150), 0.0, (124, 124))
    assert inner == pytest.approx([ROOM / (1 + 2 * ROOM), ROOM / (1 + 2 * ROOM), 1 - ROOM / 1.24, 1 - ROOM / 1.24])
    rng = np.random.default_rng(0)
    assert varied(pixels, inner, (32, 32), rng, EXACT).min() > 1.5
    assert varied(pixels, inner, (32, 16), rng, USUAL).shape == (3, 32, 16)


def test_a_box_at_the_edge_of_the_picture_has_room_only_where_there_is_a_picture() -> None:
    _, inner = with_room(np.zeros((100, 100, 3), np.uint8), Box(0, 0, 50, 100), 0.0, (64, 64))
    assert inner[:2] == pytest.approx([0, 0])
    assert inner[2:] == pytest.approx([50 / 56, 1])


def test_rank_1_counts_both_directions() -> None:
    first = np.eye(3, dtype=np.float32)
    second = np.array([[1, 0, 0], [0, 0.6, 0.8], [0, 0, 1]], np.float32)
    figures = ranks(first, second)
    assert figures["rank_1_across_cameras"] == pytest.approx(5 / 6)
    assert figures["same_person_above_the_threshold"] == pytest.approx(2 / 3)
    assert figures["other_person_below_the_threshold"] == pytest.approx(5 / 6)
