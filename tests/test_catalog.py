"""The table of weight files: that every row can be used, and that doubt about a licence is never permission."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.artifacts.catalog import (
    CATALOG,
    FOLDERS,
    PERMISSIVE,
    PERMISSIVE_ALTERNATIVES,
    CatalogEntry,
    default_entry,
    entries_for,
    licence_class,
    model_names,
)
from hearthwatch.errors import UnknownModel

ROWS = pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: f"{entry.model}/{entry.file}")
MODELS = pytest.mark.parametrize("model", model_names())


@ROWS
def test_a_row_says_where_the_file_comes_from(entry: CatalogEntry) -> None:
    assert [bool(entry.repository), bool(entry.bundled_in), bool(entry.manual)].count(True) == 1
    assert entry.repository is None or re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repository)
    assert entry.source


@ROWS
def test_a_digest_and_a_size_can_be_one(entry: CatalogEntry) -> None:
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.size_bytes is None or entry.size_bytes > 0
    assert entry.sha256 is None or entry.size_bytes, "who knows the digest knows the size"


@ROWS
def test_every_licence_of_the_table_is_of_a_known_class(entry: CatalogEntry) -> None:
    assert licence_class(entry.licence) != "unknown"


@MODELS
def test_pull_writes_to_a_folder_in_which_the_model_is_looked_for(model: str) -> None:
    for entry in entries_for(model):
        assert entry.folder in FOLDERS[model] or entry.bundled_in


@MODELS
def test_no_two_rows_of_a_model_write_the_same_file(model: str) -> None:
    places = [(entry.folder, entry.file) for entry in entries_for(model)]
    assert len(set(places)) == len(places)


#: Models that no hub has as ONNX under a name that we know: their default is converted once, with the extra `torch`.
CHECKPOINTS = {
    "threat_detector",
    "vehicle_classifier",
    "fashion_clip",
    "action_recognizer",
    "violence_detector",
    "weather_classifier",
    "vehicle_damage",
}


@MODELS
def test_the_default_can_be_had_and_runs_without_conversion_where_anybody_published_a_graph(model: str) -> None:
    entry = default_entry(model)
    assert entry.bundled_in or entry.pullable
    assert entry.bundled_in or entry.file.endswith(".onnx") != (model in CHECKPOINTS)


@MODELS
def test_a_model_that_the_policy_refuses_names_what_to_use_instead(model: str) -> None:
    assert default_entry(model).permissive or model in PERMISSIVE_ALTERNATIVES


def test_names_of_files_are_unique_so_that_a_file_can_be_pulled_by_its_name() -> None:
    names = [entry.file for entry in CATALOG]
    assert len(set(names)) == len(names)


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"no model 'yolo99'; the catalog has yolo26, pose_estimator"):
        default_entry("yolo99")


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", "permissive"),
        ("mit", "permissive"),
        (" BSD-3-Clause ", "permissive"),
        ("AGPL-3.0", "copyleft"),
        ("AGPL-3.0 License (https://ultralytics.com/license)", "copyleft"),
        ("MIT (README); Ultralytics AGPL-3.0", "copyleft"),
        ("gpl-3.0", "copyleft"),
        ("lgpl-2.1", "copyleft"),
        ("cc-by-nc-4.0", "non-commercial"),
        ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("for non-commercial research only", "non-commercial"),
        ("openrail", "unknown"),
        ("other", "unknown"),
        ("MIT or ask us", "unknown"),
        ("", "unknown"),
    ],
)
def test_licences_fall_into_classes(licence: str, expected: str) -> None:
    assert licence_class(licence) == expected


@given(st.text())
def test_only_the_listed_licences_are_permissive(text: str) -> None:
    assert (licence_class(text) == "permissive") == (text.strip().lower() in PERMISSIVE)


def test_the_verified_digests_are_those_of_the_real_files(assets: Path) -> None:
    checked = [entry for entry in CATALOG if entry.verified and entry.sha256]
    assert checked
    for entry in checked:
        content = (assets / "weights" / entry.file).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.size_bytes)
