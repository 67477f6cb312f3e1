"""Real or sample weights: chosen once for all models of a run, never mixed in silence, said in plain words."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch import models
from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.facade import Model, options_from
from hearthwatch.adapter.loading import find, load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.catalog import FOLDERS, default_entry, entries_for
from hearthwatch.artifacts.choice import choose_weights
from hearthwatch.artifacts.lookup import find_weights
from hearthwatch.artifacts.samples import SAMPLE, SAMPLES_DIR, SENTENCE, has_samples, notice, sample_weights
from hearthwatch.artifacts.search import WeightsQuery, holds_weights
from hearthwatch.errors import WeightsError, WeightsInvalid, WeightsMissing
from hearthwatch.models import MODELS, get_model
from hearthwatch.settings import PACKAGE_SAMPLES, read_settings
from made_up import OUTPUTS, write_network, write_samples
from served import NumbersEngine

SPECS = {model.SPEC.name: model.SPEC for model in MODELS}
OWN = [name for name, spec in SPECS.items() if not spec.bundled]
#: In the tests this model has no sample weights.
WITHOUT = "face_detector"
WISHES = ("auto", "real", "sample")
CLASSES = {
    value.ADAPTER.SPEC.name: value
    for value in vars(models).values()
    if isinstance(value, type) and issubclass(value, Model) and value is not Model
}


def put(path: Path, content: str = "weights", **card: str) -> Path:
    """A file that only the lookup looks at, with a card where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if card:
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def put_samples(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        put(folder / f"{name}.onnx", model=name, weights="sample")
    return folder


def put_real(folder: Path, model: str) -> Path:
    """Where `pull` would write them."""
    entry = default_entry(model)
    return put(folder / entry.folder / entry.file)


def served_by(model: str) -> set[str]:
    """The models that this file serves: one may hold both towers of a pair."""
    entry = default_entry(model)
    return {entry.model, *entry.also}


def clean(patch: pytest.MonkeyPatch, home: Path, samples: Path) -> Path:
    """A machine where nobody set anything, with these samples in the package; its default models folder."""
    names = {name for spec in SPECS.values() for name in spec.path_variables}
    for name in (*names, "HEARTHWATCH_WEIGHTS", "HEARTHWATCH_MODELS_DIR", "HEARTHWATCH_CONTAINER"):
        patch.delenv(name, raising=False)
    patch.setenv("XDG_CACHE_HOME", str(home))
    patch.setenv("HEARTHWATCH_CACHE_DIR", str(home / "cache"))
    patch.setenv("HEARTHWATCH_SAMPLES_DIR", str(samples))
    folder = read_settings().models_dir
    assert folder.is_relative_to(home)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default models folder of a machine where nobody set anything; every model but one has a sample."""
    samples = put_samples(tmp_path / "samples", [name for name in OWN if name != WITHOUT])
    return clean(monkeypatch, tmp_path / "home", samples)


def options(paths: Mapping[str, Path] | None = None) -> LoadOptions:
    """As an entry point makes them for a whole run."""
    return options_from(read_settings(), *SPECS.values(), paths=paths)


def how(model: str, chosen: LoadOptions) -> str:
    """Where a model's weights come from, or what is missing."""
    try:
        return find(get_model(model), chosen).how
    except WeightsMissing as error:
        return "no sample" if error.sample else "nowhere"


class TestEveryModel:
    """Each model, whatever is asked for, whatever is given."""

    @pytest.mark.parametrize("wish", ["", *WISHES])
    @pytest.mark.parametrize("model", SPECS)
    def test_where_nothing_is_given(self, model: str, wish: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", wish)
        chosen = options()
        assert chosen.weights == ("real" if wish == "real" else "sample")
        absent = "nowhere" if wish == "real" else "no sample"
        sample = "nowhere" if wish == "real" else SAMPLE
        assert how(model, chosen) == ("package" if SPECS[model].bundled else absent if model == WITHOUT else sample)

    @pytest.mark.parametrize("wish", WISHES)
    @pytest.mark.parametrize("model", OWN)
    def test_with_a_models_directory(
        self, model: str, wish: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_real(tmp_path / "zoo", model)
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", wish)
        monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path / "zoo"))
        chosen = options()
        assert chosen.weights == ("sample" if wish == "sample" else "real")
        for other in OWN:
            if wish == "sample":
                assert how(other, chosen) == ("no sample" if other == WITHOUT else SAMPLE)
            else:
                assert how(other, chosen) == ("models directory" if other in served_by(model) else "nowhere")

    @pytest.mark.parametrize("wish", WISHES)
    @pytest.mark.parametrize("variable", [name for spec in SPECS.values() for name in spec.path_variables])
    def test_with_a_variable(
        self, variable: str, wish: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = {name for name, spec in SPECS.items() if variable in spec.path_variables}
        monkeypatch.setenv(variable, str(put(tmp_path / "mine.onnx")))
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", wish)
        chosen = options()
        self.check_given(given, variable, wish, chosen)
        # Another entry point, which knows nothing of that model, chooses the same.
        alone = next(spec for name, spec in SPECS.items() if name not in given)
        assert options_from(read_settings(), alone).weights == chosen.weights

    @pytest.mark.parametrize("wish", WISHES)
    @pytest.mark.parametrize("model", SPECS)
    def test_with_an_explicit_path(
        self, model: str, wish: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", wish)
        chosen = options({model: put(tmp_path / "mine.onnx")})
        self.check_given({model}, "given path", wish, chosen)

    def check_given(self, given: set[str], origin: str, wish: str, chosen: LoadOptions) -> None:
        """The named file wins for its models; others use samples only where that was asked for, and it is said."""
        assert chosen.weights == ("sample" if wish == "sample" else "real")
        for other in set(OWN) - given - {WITHOUT}:
            assert how(other, chosen) == (SAMPLE if wish == "sample" else "nowhere")
        for model in given:
            assert how(model, chosen) == origin
            assert (model in " ".join(chosen.remarks())) is (wish == "sample")


class TestWhenNobodySays:
    @pytest.mark.parametrize("model", OWN)
    def test_weights_of_any_model_in_the_default_folder_make_all_real(self, model: str, home: Path) -> None:
        put_real(home, model)
        chosen = options()
        assert {name: how(name, chosen) for name in OWN} == {
            name: "models directory" if name in served_by(model) else "nowhere" for name in OWN
        }

    @pytest.mark.parametrize("model", OWN)
    def test_every_file_and_folder_of_the_catalog_counts(self, model: str, tmp_path: Path) -> None:
        assert not holds_weights(tmp_path)
        places = [entry.file for entry in entries_for(model)]
        places += [f"{folder}/model.onnx" for folder in FOLDERS[model]]
        for number, place in enumerate(places):
            put(tmp_path / str(number) / place)
            assert holds_weights(tmp_path / str(number)), place

    def test_a_file_that_says_which_model_it_serves_counts_also_under_an_alias(self, home: Path) -> None:
        put(home / "mine.onnx", model="pose")
        assert options().weights == "real"

    def test_two_files_that_claim_one_model_are_weights_too(self, home: Path) -> None:
        for name in ("a", "b"):
            put(home / f"{name}.onnx", content=name, model="yolo26")
        assert options().weights == "real"

    @pytest.mark.parametrize("name", ["notes.txt", ".staging/yolo26--yolo26n.onnx.partial", "stray.onnx"])
    def test_what_is_nobodys_weights_changes_nothing(self, name: str, home: Path) -> None:
        put(home / name)
        assert options().weights == "sample"

    def test_in_a_container_the_mounted_folder_is_meant(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTHWATCH_CONTAINER", "1")
        assert options().weights == "real"

    @pytest.mark.parametrize("name", ["VEHICLE_MODEL_PATH", "FLORENCE_MODEL_PATH", "HEARTHWATCH_X_MODEL_PATH"])
    def test_a_variable_of_a_later_model_counts_and_one_of_another_program_does_not(
        self, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"WHISPER_{name}", "/whisper")
        assert options().weights == "sample"
        monkeypatch.setenv(name, "/mine")
        assert options().weights == "real"

    def test_a_package_without_samples_asks_for_real_weights(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("empty", "gone"):
            monkeypatch.setenv("HEARTHWATCH_SAMPLES_DIR", str(tmp_path / folder))
            assert options().weights == "real"
            (tmp_path / "empty").mkdir(exist_ok=True)

    def test_weights_that_come_during_a_run_change_the_next_one_only(self, home: Path) -> None:
        chosen = options()
        put_real(home, "yolo26")
        assert how("yolo26", chosen) == SAMPLE
        assert how("yolo26", options()) == "models directory"


WORLD = {
    "wish": st.sampled_from(WISHES),
    "samples": st.sets(st.sampled_from(OWN)),
    "installed": st.sets(st.sampled_from(OWN), max_size=3),
    "variables": st.sets(st.sampled_from(OWN), max_size=2),
    "paths": st.sets(st.sampled_from(OWN), max_size=2),
    "folder": st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(**WORLD)
def test_no_run_mixes_sample_weights_with_others_in_silence(
    tmp_path_factory: pytest.TempPathFactory,
    wish: str,
    samples: set[str],
    installed: set[str],
    variables: set[str],
    paths: set[str],
    folder: bool,
) -> None:
    world = tmp_path_factory.mktemp("world")
    mine = put(world / "mine.onnx")
    with pytest.MonkeyPatch.context() as patch:
        home = clean(patch, world / "home", put_samples(world / "samples", sorted(samples)))
        if folder:
            home = world / "zoo"
            patch.setenv("HEARTHWATCH_MODELS_DIR", str(home))
        for model in installed:
            put_real(home, model)
        for model in variables:
            patch.setenv(SPECS[model].path_variables[0], str(mine))
        patch.setenv("HEARTHWATCH_WEIGHTS", wish)
        chosen = options(dict.fromkeys(sorted(paths), mine))
    named = {
        name for name, spec in SPECS.items() if {SPECS[m].path_variables[0] for m in variables} & {*spec.path_variables}
    }
    found = {model: how(model, chosen) for model in OWN}
    sampled = {model for model, origin in found.items() if origin == SAMPLE}
    others = {model for model, origin in found.items() if origin not in {SAMPLE, "nowhere", "no sample"}}
    if wish == "real" or (wish == "auto" and (folder or installed or variables or paths)):
        assert not sampled
    if sampled:
        assert chosen.remarks()[0] == SENTENCE
        assert others == named | paths
        assert all(f"{model} (" in chosen.remarks()[1] for model in others)
    for model in named | paths:
        assert found[model] not in {SAMPLE, "nowhere", "no sample"}
    assert {model for model in OWN if chosen.uses_sample(SPECS[model])} >= sampled


class TestTheFiles:
    def test_the_packages_folder_is_the_one_that_is_looked_in(self) -> None:
        assert SAMPLES_DIR == PACKAGE_SAMPLES == Path(models.__file__).parents[1] / "sample"
        assert LoadOptions(Path("/nowhere")).samples_dir == SAMPLES_DIR
        assert read_settings().samples_dir == SAMPLES_DIR

    @pytest.mark.parametrize("model", OWN)
    def test_what_the_package_brings_is_sound(self, model: str) -> None:
        path = sample_weights(model)
        assert path is None or path.parent == SAMPLES_DIR

    def test_every_file_that_the_package_brings_serves_a_model(self) -> None:
        assert {path.stem for path in SAMPLES_DIR.glob("*.onnx")} <= set(OWN)

    @pytest.mark.parametrize(
        "card",
        [
            {},
            {"model": "yolo26"},
            {"model": "yolo26", "weights": "real"},
            {"model": "pose_estimator", "weights": "sample"},
            {"weights": "sample"},
        ],
        ids=str,
    )
    def test_a_file_whose_card_does_not_say_sample_is_refused(self, card: dict[str, str], tmp_path: Path) -> None:
        put(tmp_path / "yolo26.onnx", **card)
        with pytest.raises(WeightsInvalid, match="yolo26"):
            sample_weights("yolo26", tmp_path)

    def test_a_broken_one_is_no_reason_to_answer_with_another(self, tmp_path: Path) -> None:
        put(tmp_path / "yolo26.onnx")
        with pytest.raises(WeightsInvalid):
            find(get_model("yolo26"), LoadOptions(tmp_path, weights="sample", samples_dir=tmp_path))

    def test_only_files_are_samples(self, tmp_path: Path) -> None:
        (tmp_path / "yolo26.onnx").mkdir()
        assert sample_weights("yolo26", tmp_path) is None
        assert not has_samples(tmp_path)

    @pytest.mark.parametrize("wish", ["real", "sample"])
    def test_who_says_which_gets_it_without_a_look_at_any_folder(self, wish: Any, tmp_path: Path) -> None:
        for given_, folder in itertools.product([True, False], [tmp_path, tmp_path / "gone"]):
            assert choose_weights(wish, given=given_, models_dir=folder, samples_dir=folder) == wish


class TestTheWords:
    def test_what_is_missing_among_samples_says_so_and_how_to_get_real_ones(self, home: Path) -> None:
        with pytest.raises(WeightsMissing, match=f"^no sample weights exist for {WITHOUT}") as told:
            find(get_model(WITHOUT), options())
        assert f"hearthwatch models pull {WITHOUT}" in told.value.remedy
        assert not told.value.named

    @pytest.mark.parametrize("model", OWN)
    def test_where_real_weights_are_missing_samples_are_offered_if_there_are_any(
        self, model: str, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "real")
        with pytest.raises(WeightsMissing, match=r"^no weights for") as told:
            find(get_model(model), options())
        assert ("HEARTHWATCH_WEIGHTS=sample" in told.value.remedy) is (model != WITHOUT)

    def test_the_lookup_alone_never_finds_samples(self, tmp_path: Path) -> None:
        put_samples(tmp_path, OWN)
        for model in OWN:
            with pytest.raises(WeightsMissing):
                find_weights(WeightsQuery.for_model(model), models_dir=tmp_path / "gone", samples_dir=tmp_path)

    def test_a_notice_names_models_where_not_all_are_sampled(self) -> None:
        assert notice([]) is None
        assert notice([], ["yolo26"]) is None
        assert notice(["yolo26", "pose_estimator"]) == SENTENCE
        assert notice(["yolo26"], ["pose_estimator"]) == f"yolo26: {SENTENCE}"

    def test_real_weights_need_no_remark(self) -> None:
        assert LoadOptions(Path("/nowhere"), paths={"yolo26": Path("x")}).remarks() == []


# ------------------------------------------------------------------------------------------------------------ loading


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample weights that real engines run."""
    return write_samples(tmp_path_factory.mktemp("networks"))


@pytest.mark.parametrize("model", OUTPUTS)
def test_what_is_loaded_says_where_it_comes_from(model: str, networks: Path, tmp_path: Path) -> None:
    adapter: type[Adapter[Any]] = get_model(model)
    given_path = write_network(model, tmp_path / f"{model}.onnx")
    sampled = LoadOptions(
        tmp_path / "gone", weights="sample", samples_dir=networks, engines=(NumbersEngine(),), precision="f32"
    )
    loaded = load(adapter, sampled)
    assert loaded.weights == "sample"
    assert not any("sample" in note for note in loaded.notes)
    sampled.paths[model] = given_path
    loaded = load(adapter, sampled)
    assert loaded.weights == "custom"
    assert f"sample weights were asked for; {model} uses those that a given path names" in loaded.notes


@pytest.mark.parametrize("model", OUTPUTS)
def test_a_class_without_any_weights_answers_with_samples_and_warns_once(
    model: str,
    networks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clean(monkeypatch, tmp_path, networks)
    monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
    made = CLASSES[model]()
    with caplog.at_level(logging.WARNING):
        assert made.get_backend_info()["weights"] == "sample"
        made.unload()
        assert made.load_model().get_backend_info()["weights"] == "sample"
    made.unload()
    # One that watches is two networks.
    asked = [name for name in (model, get_model(model).SPEC.reader) if name]
    assert [record.getMessage() for record in caplog.records] == [f"{name}: {SENTENCE}" for name in asked]


@pytest.mark.parametrize("give", ["path", "variable"])
def test_a_class_that_is_given_weights_among_samples_says_that_they_are_mixed(
    give: str,
    networks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clean(monkeypatch, tmp_path, networks)
    monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
    monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "sample")
    path = write_network("person_reid", tmp_path / "mine.onnx")
    if give == "variable":
        monkeypatch.setenv("REID_MODEL_PATH", str(path))
    made: Callable[..., Model[Any]] = CLASSES["person_reid"]
    model = made(path) if give == "path" else made()
    with caplog.at_level(logging.WARNING):
        info = model.get_backend_info()
    model.unload()
    assert info["weights"] == "custom"
    assert any("sample weights were asked for" in note for note in info["notes"])
    assert any("person_reid (" in record.getMessage() for record in caplog.records)


def test_a_class_never_takes_samples_where_real_weights_are_asked_for(
    networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(monkeypatch, tmp_path, networks)
    monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "real")
    for model in OUTPUTS:
        with pytest.raises(WeightsError, match="HEARTHWATCH_WEIGHTS=sample"):
            CLASSES[model]().load_model()
