"""`hearthwatch models`, run as a person runs it, against a hub on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import hearthwatch
from fake_hub import COMMIT, FakeHub
from hearthwatch.artifacts.catalog import default_entry, entries_for, model_names
from hearthwatch.artifacts.pull import STAGING
from hearthwatch.artifacts.samples import SENTENCE
from hearthwatch.cli.models import app
from hearthwatch.models import MODELS

NAMES = [model.SPEC.name for model in MODELS]
BUNDLED = {model.SPEC.name for model in MODELS if model.SPEC.bundled}
BODY = bytes(range(256)) * 4096
#: Rows without a digest in the catalog: any bytes will do.
DETECTOR, PLATES = default_entry("yolo26"), default_entry("license_plate_detector")
#: A row with one: these bytes are not the ones.
FACES = default_entry("face_detector")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    rows = (DETECTOR, PLATES, FACES)
    files = {(row.repository or "", row.path_in_repository): BODY for row in rows}
    licences = {row.repository or "": row.licence.lower() for row in rows}
    with FakeHub(files=files, licences=licences).running() as hub:
        yield hub


@pytest.fixture
def models_dir(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the environment names, with the hub on loopback, and nothing else set."""
    unset = {
        "HEARTHWATCH_OFFLINE",
        "HEARTHWATCH_LICENSE_POLICY",
        "HEARTHWATCH_CONTAINER",
        "HEARTHWATCH_WEIGHTS",
        "FORCE_COLOR",
    }
    for name in unset.union(*(model.SPEC.path_variables for model in MODELS)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return tmp_path / "models"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)["models"]}


def staged(models_dir: Path) -> int:
    """Bytes that have arrived of downloads that are not complete."""
    return sum(part.stat().st_size for part in (models_dir / STAGING).glob("*.partial"))


def put_card(models_dir: Path, name: str, card: dict[str, str]) -> None:
    models_dir.mkdir(exist_ok=True)
    (models_dir / f"{name}.onnx").write_bytes(b"weights")
    (models_dir / f"{name}.json").write_text(json.dumps(card))


class TestList:
    def test_an_empty_folder_lists_every_model_with_what_would_be_pulled(self, models_dir: Path) -> None:
        rows = listed()
        assert list(rows) == NAMES
        assert {name for name, row in rows.items() if row["state"] == "missing"} == {*NAMES} - BUNDLED
        assert rows["yolo26"]["license"] == "AGPL-3.0"
        assert rows["yolo26"]["license_class"] == "copyleft"
        assert rows["yolo26"]["source"] == DETECTOR.source
        assert rows["face_detector"]["size_bytes"] == FACES.size_bytes
        assert rows["plate_ocr"]["state"] == "found"

    def test_what_is_there_is_found_with_its_facts(self, models_dir: Path) -> None:
        put_card(models_dir, "mine", {"model": "yolo26", "license": "MIT", "source": "me"})
        row = listed()["yolo26"]
        expected = {"state": "found", "kind": "onnx", "license": "MIT", "source": "me", "size_bytes": 7}
        assert {key: row[key] for key in expected} == expected
        assert row["path"] == str(models_dir / "mine.onnx")

    def test_a_checkpoint_is_called_one(self, models_dir: Path) -> None:
        (models_dir / "yolo26").mkdir(parents=True)
        (models_dir / "yolo26" / "yolo26n.pt").write_bytes(b"pickle")
        assert listed()["yolo26"]["state"] == "checkpoint only"

    def test_a_variable_that_leads_nowhere_is_said(self, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POSE_MODEL_PATH", "/nowhere/pose.onnx")
        row = listed()["pose_estimator"]
        assert row["state"] == "missing"
        assert row["looked_at"] == ["POSE_MODEL_PATH = /nowhere/pose.onnx, which does not exist"]

    def test_two_files_for_one_model_are_said_with_both_names(self, models_dir: Path) -> None:
        for name in ("a", "b"):
            put_card(models_dir, name, {"model": "yolo26"})
            (models_dir / f"{name}.onnx").write_text(name)
        result = run("list")
        assert result.exit_code == 0
        assert "2 files claim yolo26" in result.stderr

    def test_text_for_people_leaves_stdout_alone(self, models_dir: Path) -> None:
        result = run("list")
        assert (result.exit_code, result.stdout) == (0, "")
        for name in NAMES:
            assert name in result.stderr

    def test_another_folder_may_be_named(self, models_dir: Path, tmp_path: Path) -> None:
        put_card(tmp_path / "other", "mine", {"model": "yolo26"})
        assert listed("--models-dir", str(tmp_path / "other"))["yolo26"]["state"] == "found"
        assert listed()["yolo26"]["state"] == "missing"

    def test_verbose_shows_the_preprocessing_with_its_origin(self, models_dir: Path, assets: Path) -> None:
        result = run("list", "-v", "--models-dir", str(assets / "weights"))
        assert "input size: (256, 128) (card)" in result.stderr
        assert "named by osnet_x0_25_msmt17.json" in result.stderr
        details = listed("-v", "--models-dir", str(assets / "weights"))["person_reid"]["details"]
        assert "input size: (256, 128) (card)" in details

    def test_verbose_says_what_will_be_refused(self, models_dir: Path) -> None:
        put_card(models_dir, "mine", {"model": "yolo26"})
        assert "refused when it loads: " in run("list", "-v").stderr

    @pytest.mark.parametrize("terminal", [False, True], ids=["plain", "terminal"])
    def test_text_from_a_card_is_data(self, terminal: bool, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
        put_card(models_dir, "mine", {"model": "yolo26", "license": "[red]\x1b]0;title\x07\n\u202emit", "source": "x"})
        monkeypatch.setenv("COLUMNS", "300")
        output = run("list").stderr
        assert "[red]\N{REPLACEMENT CHARACTER}]0;title" in output
        assert not {"\x1b]", "\x07", "\u202e"} & set(output)
        assert "\x1b]0" not in output


class TestSamples:
    """A machine where nobody set anything, with sample weights of all models but one in the package."""

    @pytest.fixture
    def home(self, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The default folder."""
        for name in set(NAMES) - {"face_detector"} - BUNDLED:
            card = {"model": name, "weights": "sample", "license": "Apache-2.0", "source": "drawn"}
            put_card(tmp_path / "samples", name, card)
        monkeypatch.delenv("HEARTHWATCH_MODELS_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HEARTHWATCH_SAMPLES_DIR", str(tmp_path / "samples"))
        return tmp_path / "home" / "hearthwatch" / "models"

    def test_the_list_says_which_models_use_them(self, home: Path, tmp_path: Path) -> None:
        content = json.loads(run("list", "--json").stdout)
        assert (content["weights"], content["notice"]) == ("sample", SENTENCE)
        rows = {row["name"]: row for row in content["models"]}
        expected = {"state": "sample", "kind": "sample", "license": "Apache-2.0", "source": "drawn"}
        for name in set(NAMES) - {"face_detector"} - BUNDLED:
            assert {key: rows[name][key] for key in expected} == expected
            assert rows[name]["path"] == str(tmp_path / "samples" / f"{name}.onnx")
        assert rows["plate_ocr"]["state"] == "found"
        assert rows["face_detector"]["state"] == "missing"
        assert "no sample weights exist for face_detector" in rows["face_detector"]["how"]
        text = run("list").stderr
        assert SENTENCE in " ".join(text.split())
        assert "refused when it loads" in run("list", "-v").stderr  # its preprocessing is looked at like any other's

    @pytest.mark.parametrize("how", ["real", "folder", "variable"])
    def test_the_list_has_none_where_real_ones_are_meant(
        self, how: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if how == "real":
            monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "real")
        if how == "variable":
            monkeypatch.setenv("POSE_MODEL_PATH", "/nowhere/pose.onnx")
        arguments = ["--models-dir", str(tmp_path / "other")] if how == "folder" else []
        content = json.loads(run("list", "--json", *arguments).stdout)
        assert (content["weights"], content["notice"]) == ("real", None)
        assert {row["state"] for row in content["models"]} == {"missing", "found"}

    def test_a_mixture_is_told_with_names(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put_card(tmp_path, "mine", {"model": "pose_estimator"})
        monkeypatch.setenv("POSE_MODEL_PATH", str(tmp_path / "mine.onnx"))
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "sample")
        content = json.loads(run("list", "--json").stdout)
        assert content["notice"].endswith(SENTENCE)
        assert "person_reid" in content["notice"]
        assert "pose_estimator" not in content["notice"]

    def test_a_pull_says_that_the_next_run_uses_real_weights(self, home: Path) -> None:
        result = run("pull", "yolo26")
        told = " ".join(result.stderr.split())
        assert result.exit_code == 0
        assert "the next run uses real weights and no sample ones; without weights are now " in told
        assert "pose_estimator" in told
        assert json.loads(run("list", "--json").stdout)["weights"] == "real"
        assert "the next run" not in run("pull", "license_plate_detector").stderr

    def test_a_pull_that_changes_nothing_says_why(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        elsewhere = run("pull", "yolo26", "--models-dir", str(tmp_path / "other"))
        assert f"HEARTHWATCH_MODELS_DIR={tmp_path / 'other'}" in elsewhere.stderr.replace("\n", "")
        monkeypatch.setenv("HEARTHWATCH_WEIGHTS", "sample")
        assert "because HEARTHWATCH_WEIGHTS=sample is set" in run("pull", "yolo26").stderr

    def test_a_pull_brings_real_weights_of_every_model_that_has_only_samples(self, home: Path, hub: FakeHub) -> None:
        content = json.loads(run("pull", "--json").stdout)
        asked = {row["model"] for row in content["pulled"]} | {row["model"] for row in content["failed"]}
        assert asked == {model for model in model_names() if not default_entry(model).bundled_in}


class TestPull:
    def test_a_pull_shows_source_size_and_licence_and_brings_the_file(self, hub: FakeHub, models_dir: Path) -> None:
        result = run("pull", "yolo26")
        assert (result.exit_code, result.stdout) == (0, "")
        line = f"yolo26: {DETECTOR.source}, 1.0 MiB, licence agpl-3.0 (copyleft)"
        assert line in result.stderr
        assert result.stderr.index(line) < result.stderr.index("pulled to")
        assert (models_dir / "yolo26" / "yolo26n.onnx").read_bytes() == BODY
        row = listed()["yolo26"]
        assert (row["state"], row["license"]) == ("found", "agpl-3.0")
        assert row["source"] == f"{DETECTOR.repository}@{COMMIT[:8]}"

    def test_progress_is_a_few_lines_without_a_terminal_and_a_bar_on_one(
        self, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = run("pull", "yolo26").stderr
        assert plain.count("yolo26n.onnx: ") == 4
        monkeypatch.setenv("FORCE_COLOR", "1")
        result = run("pull", "license_plate_detector")
        assert result.exit_code == 0
        assert "━" in result.stderr

    def test_json_has_all_of_it_on_stdout(self, models_dir: Path) -> None:
        result = run("pull", "yolo26", "plate_ocr", "--json")
        content = json.loads(result.stdout)
        (row,) = content["pulled"]
        assert (row["model"], row["status"], row["revision"]) == ("yolo26", "downloaded", COMMIT)
        assert row["path"] == str(models_dir / "yolo26" / "yolo26n.onnx")
        assert row["license"] == "agpl-3.0"
        assert any("trusted from this first pull on" in note for note in row["notes"])
        assert content["failed"] == []

    def test_what_a_file_needs_beside_it_comes_with_it(self, hub: FakeHub, models_dir: Path) -> None:
        entry = default_entry("demographics")
        for one in (entry, *entry.companions):
            hub.files[one.repository or "", one.path_in_repository] = one.file.encode()
        result = run("pull", "demographics", entry.file, "--json")
        content = json.loads(result.stdout)
        files = [entry.file, "config.json", "preprocessor_config.json"]
        assert [Path(row["path"]).name for row in content["pulled"]] == files
        assert {path.name: path.read_text() for path in (models_dir / entry.folder).iterdir()} == {
            name: name for name in files
        }
        assert (hub.requests[0].path.count("onnx/model.onnx"), content["failed"]) == (1, [])

    def test_without_names_the_missing_ones_are_pulled(self, hub: FakeHub, models_dir: Path) -> None:
        put_card(models_dir, "mine", {"model": "yolo26"})
        result = run("pull", "--json")
        content = json.loads(result.stdout)
        assert [row["model"] for row in content["pulled"]] == ["license_plate_detector"]
        # Every other model that this hub does not have; a new one is missed unasked.
        others = {model for model in model_names() if not default_entry(model).bundled_in}
        assert {row["model"] for row in content["failed"]} == others - {"yolo26", "license_plate_detector"}
        assert result.exit_code == 1, "some failed, the others are done"
        assert DETECTOR.repository not in {request.path.split("/resolve")[0].strip("/") for request in hub.requests}

    def test_when_all_are_there_nothing_is_pulled(self, hub: FakeHub, models_dir: Path) -> None:
        for name in NAMES:
            put_card(models_dir, name, {"model": name})
        result = run("pull")
        assert result.exit_code == 0
        assert "nothing to pull" in result.stderr
        assert hub.requests == []

    def test_a_second_pull_says_that_the_file_is_there(self, hub: FakeHub, models_dir: Path) -> None:
        run("pull", "yolo26")
        count = len(hub.requests)
        result = run("pull", "yolo26")
        assert (result.exit_code, len(hub.requests)) == (0, count)
        assert "yolo26: already there: " in result.stderr

    @pytest.mark.parametrize("name", ["yolo26", "detector", "yolo26n.onnx"])
    def test_models_aliases_and_files_can_be_named(self, name: str, models_dir: Path) -> None:
        assert run("pull", name).exit_code == 0
        assert (models_dir / "yolo26" / "yolo26n.onnx").is_file()

    def test_a_model_named_twice_is_pulled_once(self, hub: FakeHub, models_dir: Path) -> None:
        assert run("pull", "yolo26", "detector").exit_code == 0
        assert len(hub.downloads) == 1

    def test_an_unknown_name_is_wrong_usage_and_lists_the_names(self, hub: FakeHub, models_dir: Path) -> None:
        result = run("pull", "yolo26", "yolo99")
        assert result.exit_code == 2
        assert all(name in result.stderr for name in ("yolo99", *NAMES))
        assert hub.requests == []

    def test_wrong_digests_fail_and_the_other_models_are_done(self, models_dir: Path) -> None:
        result = run("pull", "face_detector", "yolo26")
        assert result.exit_code == 1
        assert "face_detector: failed: " in result.stderr
        assert "yolo26: pulled to" in result.stderr

    def test_when_no_model_can_run_afterwards_the_exit_code_says_so(
        self, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTHWATCH_OFFLINE", "true")
        result = run("pull", "yolo26", "pose_estimator")
        assert result.exit_code == 3
        assert "HEARTHWATCH_OFFLINE is set" in result.stderr

    def test_a_policy_refuses_and_names_what_to_use(self, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTHWATCH_LICENSE_POLICY", "permissive")
        result = run("pull", "yolo26")
        assert result.exit_code == 3
        assert "yolo26n.onnx of yolo26 is AGPL-3.0 (copyleft)" in result.stderr
        assert "instead: D-FINE" in result.stderr

    def test_a_setting_that_cannot_be_used_is_wrong_usage(
        self, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTHWATCH_LICENSE_POLICY", "some")
        for command in ("list", "pull"):
            result = run(command)
            assert result.exit_code == 2
            assert "HEARTHWATCH_LICENSE_POLICY" in result.stderr

    def test_force_replaces_what_is_there(self, models_dir: Path) -> None:
        run("pull", "yolo26")
        file = models_dir / "yolo26" / "yolo26n.onnx"
        file.write_bytes(b"other")
        assert run("pull", "yolo26").exit_code == 1
        assert file.read_bytes() == b"other"
        assert run("pull", "yolo26", "--force").exit_code == 0
        assert file.read_bytes() == BODY

    def test_a_row_that_no_hub_has_says_how_to_get_it(self, hub: FakeHub, models_dir: Path) -> None:
        (row,) = [entry for entry in entries_for("person_reid") if entry.manual]
        result = run("pull", row.file)
        assert result.exit_code == 3
        assert row.manual in result.stderr
        assert hub.requests == []

    def test_ctrl_c_keeps_the_part_that_has_arrived(self, hub: FakeHub, models_dir: Path) -> None:
        hub.stall_after = len(BODY) // 2
        program = (
            "import signal, sys; sys.path.insert(0, sys.argv.pop(1));"
            "signal.signal(signal.SIGINT, signal.default_int_handler);"  # shells ignore it for background jobs
            "from hearthwatch.cli.models import app; app()"
        )
        source = str(Path(hearthwatch.__file__).parents[1])
        with subprocess.Popen(
            [sys.executable, "-c", program, source, "pull", "yolo26"], stderr=subprocess.PIPE, text=True
        ) as process:
            while not (hub.stalled.is_set() and staged(models_dir)):
                assert process.poll() is None, "it ends before it is interrupted"
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "the next pull continues where this one ended" in errors
        hub.stall_after = None
        assert run("pull", "yolo26").exit_code == 0
        assert "range" in hub.downloads[-1].headers


@pytest.mark.parametrize("command", ["list", "pull"])
def test_help_has_examples(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"hearthwatch models {command}" in result.stdout


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.SPEC.name)
def test_every_model_has_rows_in_the_catalog(model: Any) -> None:
    entry = default_entry(model.SPEC.name)
    assert bool(entry.bundled_in) == model.SPEC.bundled
