"""Which weight file serves a model, in folders as people have them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.artifacts.catalog import FOLDERS, entries_for, model_names
from hearthwatch.artifacts.inventory import take_stock
from hearthwatch.artifacts.lookup import FoundWeights, find_weights
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.errors import WeightsAmbiguous, WeightsInvalid, WeightsMissing

QUERY = WeightsQuery.for_model("pose_estimator", ("pose",), ("POSE_MODEL_PATH",))


def put(folder: Path, *names: str) -> None:
    """Files, each with content of its own."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"weights called {name}")


def put_card(folder: Path, name: str, content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def put_graph(path: Path, metadata: dict[str, str]) -> None:
    """A real ONNX file of one node."""
    from onnx import TensorProto, helper, save

    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shapes[:1], shapes[1:])
    model = helper.make_model(graph)
    helper.set_model_props(model, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(model, str(path))


def look(models_dir: Path, query: WeightsQuery = QUERY) -> FoundWeights:
    return find_weights(query, models_dir=models_dir)


class TestOrderOfSources:
    def test_an_explicit_path_comes_before_everything(self, tmp_path: Path) -> None:
        put(tmp_path, "mine.onnx", "other.onnx", "yolov8n-pose.onnx")
        found = find_weights(
            QUERY,
            explicit=str(tmp_path / "mine.onnx"),
            variable=("POSE_MODEL_PATH", str(tmp_path / "other.onnx")),
            models_dir=tmp_path,
        )
        assert (found.path.name, found.how, found.kind) == ("mine.onnx", "given path", "onnx")

    def test_an_explicit_file_of_another_model_is_taken_whatever_lies_beside_it(self, tmp_path: Path) -> None:
        """A detector's decoder may be asked to read a weapon detector's file, as the conversion's test does."""
        put(tmp_path, "mine.onnx", "other.onnx")
        put_card(tmp_path, "mine.json", {"model": "threat_detector"})
        put_card(tmp_path, "other.json", {"model": "pose_estimator"})
        assert find_weights(QUERY, explicit=tmp_path / "mine.onnx", models_dir=tmp_path).path == tmp_path / "mine.onnx"

    def test_one_variable_names_both_towers_of_clip(self, tmp_path: Path) -> None:
        put(tmp_path, "vision.onnx", "text.onnx")
        put_card(tmp_path, "vision.json", {"model": "clip"})
        put_card(tmp_path, "text.json", {"model": "clip_text"})
        given = ("CLIP_MODEL_PATH", str(tmp_path / "vision.onnx"))
        found = find_weights(WeightsQuery.for_model("clip_text"), variable=given, models_dir=tmp_path)
        assert found.path == tmp_path / "text.onnx"

    def test_a_variable_comes_before_the_models_directory(self, tmp_path: Path) -> None:
        put(tmp_path, "other.pt", "yolov8n-pose.onnx")
        variable = ("POSE_MODEL_PATH", str(tmp_path / "other.pt"))
        found = find_weights(QUERY, variable=variable, models_dir=tmp_path)
        assert (found.path.name, found.how, found.kind) == ("other.pt", "POSE_MODEL_PATH", "checkpoint")

    def test_an_explicit_path_that_leads_nowhere_is_an_error_and_not_passed_over(self, tmp_path: Path) -> None:
        put(tmp_path, "yolov8n-pose.onnx")
        with pytest.raises(WeightsMissing, match=r"given path = .*gone\.onnx, which does not exist") as caught:
            find_weights(QUERY, explicit=tmp_path / "gone.onnx", models_dir=tmp_path)
        assert "hearthwatch models pull pose_estimator" in caught.value.remedy

    def test_a_variable_that_leads_nowhere_is_an_error_and_not_passed_over(self, tmp_path: Path) -> None:
        put(tmp_path, "yolov8n-pose.onnx")
        variable = ("POSE_MODEL_PATH", str(tmp_path / "gone"))
        with pytest.raises(WeightsMissing, match=r"POSE_MODEL_PATH = .*gone, which does not exist") as caught:
            find_weights(QUERY, variable=variable, models_dir=tmp_path)
        assert "Correct POSE_MODEL_PATH" in caught.value.remedy
        assert "hearthwatch models pull pose_estimator" in caught.value.remedy

    @pytest.mark.parametrize("path", ["", None])
    def test_an_empty_path_is_no_path(self, path: str | None, tmp_path: Path) -> None:
        put(tmp_path, "yolov8n-pose.onnx")
        found = find_weights(QUERY, explicit=path, variable=("POSE_MODEL_PATH", path or ""), models_dir=tmp_path)
        assert found.how == "models directory"

    def test_a_file_that_cannot_be_weights_is_refused_by_name(self, tmp_path: Path) -> None:
        put(tmp_path, "photo.jpg")
        with pytest.raises(WeightsInvalid, match=r"photo\.jpg is no weight file of pose_estimator: allowed are"):
            find_weights(QUERY, explicit=tmp_path / "photo.jpg", models_dir=tmp_path)

    def test_the_home_folder_may_be_written_short(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        put(tmp_path, "mine.onnx")
        assert find_weights(QUERY, explicit="~/mine.onnx", models_dir=tmp_path).path == tmp_path / "mine.onnx"
        with pytest.raises(WeightsMissing):
            find_weights(QUERY, explicit="~nobody-of-this-name/mine.onnx", models_dir=tmp_path)


class TestRulesInAModelsDirectory:
    def test_a_card_comes_before_a_file_name(self, tmp_path: Path) -> None:
        put(tmp_path, "yolov8n-pose.onnx", "mine.onnx")
        put_card(tmp_path, "mine.json", {"model": "pose_estimator"})
        found = look(tmp_path)
        assert (found.path.name, found.why) == ("mine.onnx", "named by mine.json")

    def test_an_alias_on_a_card_is_the_model(self, tmp_path: Path) -> None:
        put(tmp_path, "mine.pt")
        put_card(tmp_path, "mine.json", {"model": " pose "})
        assert look(tmp_path).path.name == "mine.pt"

    @pytest.mark.parametrize(
        "metadata",
        [{"model": "pose_estimator"}, {"hearthwatch.card": '{"model": "pose"}'}],
        ids=["key", "card inside"],
    )
    def test_an_onnx_file_may_name_the_model_itself(self, metadata: dict[str, str], tmp_path: Path) -> None:
        put_graph(tmp_path / "mine.onnx", metadata)
        assert look(tmp_path).why == "named by its own metadata"

    def test_a_card_beats_the_metadata_of_its_file(self, tmp_path: Path) -> None:
        put_graph(tmp_path / "mine.onnx", {"model": "pose_estimator"})
        put_card(tmp_path, "mine.json", {"model": "yolo26"})
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    @pytest.mark.parametrize("folder", ["", *FOLDERS["pose_estimator"]])
    def test_files_count_at_the_top_and_in_the_models_own_folders(self, folder: str, tmp_path: Path) -> None:
        put(tmp_path / folder, "yolov8n-pose.onnx")
        assert look(tmp_path).path == tmp_path / folder / "yolov8n-pose.onnx"

    @pytest.mark.parametrize("folder", FOLDERS["person_reid"])
    def test_twin_names_of_a_folder_are_all_looked_up(self, folder: str, tmp_path: Path) -> None:
        put(tmp_path / folder, "osnet_x0_25.pth")
        found = look(tmp_path, WeightsQuery.for_model("person_reid"))
        assert (found.path, found.kind) == (tmp_path / folder / "osnet_x0_25.pth", "checkpoint")

    @pytest.mark.parametrize(
        "layout",
        [
            "weights/best.pt",
            "weights/best.onnx",
            "yolov8n-pose.pt",
            "pose_estimator.onnx",
            "model.onnx",
            "onnx/model.onnx",
        ],
    )
    def test_known_layouts_count_in_the_models_own_folder(self, layout: str, tmp_path: Path) -> None:
        put(tmp_path / "yolov8n-pose", layout)
        assert look(tmp_path).path == tmp_path / "yolov8n-pose" / layout

    def test_layouts_do_not_count_at_the_top_where_all_models_are(self, tmp_path: Path) -> None:
        put(tmp_path, "model.onnx", "weights/best.pt")
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    def test_a_hugging_face_checkpoint_is_its_folder(self, tmp_path: Path) -> None:
        put(tmp_path / "yolov8n-pose", "config.json", "model-00001-of-00002.safetensors")
        found = look(tmp_path)
        assert (found.path, found.kind) == (tmp_path / "yolov8n-pose", "checkpoint")

    def test_weights_with_the_names_of_their_classes_are_one_as_well(self, tmp_path: Path) -> None:
        put(tmp_path / "yolov8n-pose", "classes.txt", "pytorch_model.bin")
        found = look(tmp_path)
        assert (found.path, found.kind) == (tmp_path / "yolov8n-pose", "checkpoint")

    def test_an_onnx_file_comes_before_a_checkpoint(self, tmp_path: Path) -> None:
        put(tmp_path / "yolov8n-pose", "weights/best.pt", "model.onnx")
        assert look(tmp_path).path.name == "model.onnx"

    def test_formats_of_one_name_are_one_candidate(self, tmp_path: Path) -> None:
        put(tmp_path, "mine.pt", "mine.pth", "mine.safetensors")
        put_card(tmp_path, "mine.json", {"model": "pose_estimator"})
        assert look(tmp_path).path.name == "mine.safetensors"
        put(tmp_path, "mine.onnx")
        assert look(tmp_path).path.name == "mine.onnx"

    def test_two_candidates_are_an_error_that_names_both(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            put(tmp_path, f"{name}.onnx")
            put_card(tmp_path, f"{name}.json", {"model": "pose_estimator"})
        with pytest.raises(
            WeightsAmbiguous, match=r"2 files claim pose_estimator: .*a\.onnx, .*b\.onnx; .*POSE_MODEL_PATH"
        ):
            look(tmp_path)

    def test_the_same_bytes_in_two_places_are_one_candidate(self, tmp_path: Path) -> None:
        for folder in ("osnet", "osnet-reid"):
            put(tmp_path / folder, "osnet_x0_25.pth")
        assert look(tmp_path, WeightsQuery.for_model("person_reid")).path.name == "osnet_x0_25.pth"
        (tmp_path / "osnet" / "osnet_x0_25.pth").write_text("other weights")
        with pytest.raises(WeightsAmbiguous):
            look(tmp_path, WeightsQuery.for_model("person_reid"))

    def test_a_link_to_a_file_is_that_file(self, tmp_path: Path) -> None:
        put(tmp_path / "store", "a.onnx")
        (tmp_path / "yolov8n-pose").mkdir()
        for place in ("yolov8n-pose.onnx", "yolov8n-pose/yolov8n-pose.onnx"):
            (tmp_path / place).symlink_to(tmp_path / "store" / "a.onnx")
        assert look(tmp_path).path.resolve() == tmp_path / "store" / "a.onnx"


class TestForeignAndBrokenFiles:
    @pytest.mark.parametrize(
        "card", ["", "{", "[1]", '"pose_estimator"', '{"model": 3}', '{"model": null}', "\x00", "{}"], ids=repr
    )
    def test_a_card_that_says_nothing_breaks_nothing(self, card: str, tmp_path: Path) -> None:
        put(tmp_path, "stray.onnx", "yolov8n-pose.onnx")
        put_card(tmp_path, "stray.json", card)
        put_card(tmp_path, "yolov8n-pose.json", card)
        assert look(tmp_path).path.name == "yolov8n-pose.onnx"

    def test_a_huge_card_is_not_read(self, tmp_path: Path) -> None:
        put(tmp_path, "stray.onnx")
        put_card(tmp_path, "stray.json", json.dumps({"model": "pose_estimator", "filler": "x" * (2 << 20)}))
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    def test_a_broken_onnx_file_with_the_catalogs_name_is_found_and_fails_where_it_is_loaded(
        self, tmp_path: Path
    ) -> None:
        put(tmp_path, "yolov8n-pose.onnx", "broken.onnx")
        assert look(tmp_path).path.name == "yolov8n-pose.onnx"

    def test_a_file_whose_card_names_another_model_is_left_to_that_model(self, tmp_path: Path) -> None:
        put(tmp_path / "yolov8n-pose", "yolov8n-pose.onnx", "model.onnx")
        for name in ("yolov8n-pose", "model"):
            put_card(tmp_path / "yolov8n-pose", f"{name}.json", {"model": "threat_detector"})
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    def test_folders_with_the_name_of_a_file_are_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "yolov8n-pose.onnx").mkdir()
        (tmp_path / "yolov8n-pose" / "model.onnx").mkdir(parents=True)
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    def test_links_that_lead_nowhere_or_in_circles_are_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "yolov8n-pose.onnx").symlink_to(tmp_path / "gone")
        (tmp_path / "yolov8n-pose").symlink_to(tmp_path / "yolov8n-pose")
        with pytest.raises(WeightsMissing):
            look(tmp_path)

    @given(name=st.text(min_size=1, max_size=40), value=st.text(max_size=40))
    def test_any_path_in_a_variable_gives_weights_or_a_sentence(self, name: str, value: str) -> None:
        with contextlib.suppress(WeightsMissing, WeightsInvalid, WeightsAmbiguous):
            assert find_weights(QUERY, variable=(name, value), models_dir=Path(os.devnull)).path


class TestGivenFolder:
    @pytest.mark.parametrize(
        "layout",
        ["weights/best.pt", "yolov8n-pose.onnx", "mine.pt", "model.onnx", "onnx/model.onnx", "pose_estimator.pt"],
    )
    def test_the_known_layouts_are_searched(self, layout: str, tmp_path: Path) -> None:
        put(tmp_path / "mine", layout)  # NAME.pt by the folder's own name
        found = find_weights(QUERY, variable=("POSE_MODEL_PATH", str(tmp_path / "mine")), models_dir=tmp_path)
        assert (found.path, found.how) == (tmp_path / "mine" / layout, "POSE_MODEL_PATH")

    def test_nothing_outside_it_is_taken(self, tmp_path: Path) -> None:
        put(tmp_path, "yolov8n-pose.onnx")
        (tmp_path / "mine").mkdir()
        with pytest.raises(WeightsMissing) as caught:
            find_weights(QUERY, explicit=tmp_path / "mine", models_dir=tmp_path)
        for layout in ("weights/best.pt", "mine.onnx", "model.onnx", "onnx/model.onnx", "config.json"):
            assert layout in str(caught.value), "the error lists what was looked for"

    def test_a_folder_with_the_weights_of_all_models_may_be_given(self, tmp_path: Path) -> None:
        put(tmp_path, "a.onnx", "b.onnx")
        put_card(tmp_path, "a.json", {"model": "pose_estimator"})
        put_card(tmp_path, "b.json", {"model": "yolo26"})
        assert find_weights(QUERY, explicit=tmp_path, models_dir=tmp_path / "x").path.name == "a.onnx"


class TestMissing:
    def test_the_error_names_every_place_and_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsMissing) as caught:
            look(tmp_path)
        assert "POSE_MODEL_PATH is not set" in caught.value.looked_at
        for place in (tmp_path, tmp_path / "yolov8n-pose"):
            assert any(text.startswith(str(place)) for text in caught.value.looked_at)
        assert "`hearthwatch models pull pose_estimator`" in caught.value.remedy
        assert "POSE_MODEL_PATH can name a file or folder" in caught.value.remedy

    def test_a_models_directory_that_does_not_exist_is_one_more_place(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsMissing) as caught:
            look(tmp_path / "gone")
        assert f"{tmp_path / 'gone'} (no such folder)" in caught.value.looked_at

    def test_where_no_hub_has_the_file_the_error_says_how_to_get_it(self, tmp_path: Path) -> None:
        query = WeightsQuery("x", remedy="Ask the author", variables=("X_PATH", "Y_PATH"))
        with pytest.raises(WeightsMissing, match=r"Ask the author; X_PATH or Y_PATH can name"):
            look(tmp_path, query)

    def test_weights_inside_a_package_need_no_folder(self, tmp_path: Path) -> None:
        found = look(tmp_path / "gone", WeightsQuery.for_model("plate_ocr"))
        assert (found.kind, found.how) == ("bundled", "package")
        assert list(found.path.glob("*.onnx"))

    def test_a_package_that_is_not_installed_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsMissing, match="Install no_such_package"):
            look(tmp_path, WeightsQuery("x", bundled_in="no_such_package"))


@pytest.mark.parametrize("model", model_names())
def test_every_file_of_the_catalog_is_found_where_pull_puts_it(model: str, tmp_path: Path) -> None:
    for entry in entries_for(model):
        if entry.bundled_in:
            continue
        place = tmp_path / entry.file
        put(place / entry.folder, entry.file)
        assert look(place, WeightsQuery.for_model(model)).path == place / entry.folder / entry.file


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_order_in_which_files_were_written_does_not_matter(order: tuple[int, ...], tmp_path: Path) -> None:
    names = ["yolov8n-pose.onnx", "yolov8n-pose.pt", "other.onnx"]
    put(tmp_path, *(names[index] for index in order))
    assert look(tmp_path).path.name == "yolov8n-pose.onnx"


class TestStock:
    def test_what_is_found_has_its_cards_licence_and_source(self, tmp_path: Path) -> None:
        put(tmp_path, "mine.onnx")
        put_card(tmp_path, "mine.json", {"model": "pose_estimator", "license": "Apache-2.0", "source": "me"})
        stock = take_stock(QUERY, variable=None, models_dir=tmp_path)
        assert (stock.state, stock.kind, stock.licence, stock.source) == ("found", "onnx", "Apache-2.0", "me")
        assert stock.size_bytes == (tmp_path / "mine.onnx").stat().st_size

    def test_the_files_own_metadata_states_the_licence_where_no_card_does(self, tmp_path: Path) -> None:
        put_graph(tmp_path / "yolov8n-pose.onnx", {"license": "Special-1.0"})
        assert take_stock(QUERY, variable=None, models_dir=tmp_path).licence == "Special-1.0"

    def test_a_file_of_unknown_origin_has_an_unknown_licence(self, tmp_path: Path) -> None:
        put(tmp_path, "mine.onnx")
        stock = take_stock(QUERY, variable=("P", str(tmp_path / "mine.onnx")), models_dir=tmp_path)
        assert (stock.licence, stock.source) == ("unknown", "unknown")

    @pytest.mark.parametrize(
        ("files", "state"),
        [
            ([], "missing"),
            (["yolov8n-pose.pt"], "checkpoint only"),
            (["yolov8n-pose/model.onnx", "yolov8n-pose/onnx/model.onnx"], "ambiguous"),
        ],
        ids=["nothing", "checkpoint", "two"],
    )
    def test_what_is_wrong_is_a_state_and_not_an_error(self, files: list[str], state: str, tmp_path: Path) -> None:
        put(tmp_path, *files)
        stock = take_stock(QUERY, variable=None, models_dir=tmp_path)
        assert stock.state == state
        assert stock.how

    def test_a_path_that_is_no_weight_file_is_a_state_too(self, tmp_path: Path) -> None:
        put(tmp_path, "photo.jpg")
        stock = take_stock(QUERY, variable=("P", str(tmp_path / "photo.jpg")), models_dir=tmp_path)
        assert stock.state == "refused"

    def test_weights_inside_a_package_are_found(self, tmp_path: Path) -> None:
        stock = take_stock(WeightsQuery.for_model("plate_ocr"), variable=None, models_dir=tmp_path)
        assert (stock.state, stock.licence, stock.source) == ("found", "Apache-2.0", "inside the package rapidocr")
        assert (stock.size_bytes or 0) > 1_000_000


def test_the_real_folder_has_a_file_for_every_model(assets: Path) -> None:
    # Larger than what lies there may be.
    absent = {"clip", "clip_text", "fashion_clip", "fashion_clip_text", "action_recognizer", "action_text"}
    absent |= {"violence_detector", "weather_classifier", "vehicle_damage"}
    for model in set(model_names()) - absent:
        assert find_weights(WeightsQuery.for_model(model), models_dir=assets / "weights").kind in {"onnx", "bundled"}
