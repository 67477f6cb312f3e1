"""What a picture says by its writing: whose a line is, and what is absent with which reason."""

from __future__ import annotations

from hearthwatch.models import LicensePlateResult
from hearthwatch.models.scene_text import SceneLine, SceneText
from hearthwatch.pipeline.extraction import CAPTION, OBJECTS, TEXTS, BatchExtractionResult, extraction_of
from hearthwatch.vision.boxes import Box

SIGN = SceneLine("PARCELS", 0.9, Box(10, 10, 110, 30))
PLATE_LINE = SceneLine("AB 12", 0.6, Box(204, 202, 258, 218))
PLATE = LicensePlateResult("AB12", "AB 12", 0.95, Box(200, 200, 260, 220))


def test_texts_have_their_source_and_what_is_absent_has_its_reason() -> None:
    found = extraction_of(["a"], SceneText((SIGN,), 3), {})
    assert found.detection_ids == ("a",)
    assert found.texts is not None
    (text,) = found.texts
    assert (text.text, text.bbox, text.confidence, text.source) == ("PARCELS", SIGN.bbox, 0.9, "ocr")
    assert (found.caption, found.objects, found.dropped_texts) == (None, None, 3)
    assert set(found.absent) == {CAPTION, OBJECTS}
    assert all("Florence-2" in reason for reason in found.absent.values())


def test_a_picture_that_nobody_read_is_not_one_without_text() -> None:
    unread = extraction_of(["a"], None, {}, unread="scene_text failed")
    assert (unread.texts, unread.absent[TEXTS]) == (None, "scene_text failed")
    empty = extraction_of(["a"], SceneText(), {})
    assert empty.texts == ()
    assert TEXTS not in empty.absent


def test_a_line_inside_a_plate_is_that_plates_and_not_told_twice() -> None:
    beside = LicensePlateResult("", "", 0.0, Box(400, 200, 460, 220))
    found = extraction_of(["a", "b"], SceneText((SIGN, PLATE_LINE)), {"b": PLATE, "a": beside})
    assert [text.plate_of for text in found.texts or ()] == [None, "b"]
    batch = BatchExtractionResult([found])
    assert [text.text for text in batch.texts] == ["PARCELS"]
    assert batch.to_context_string() == 'Visible text: "PARCELS"'


def test_pictures_of_a_batch_are_kept_apart_and_told_together() -> None:
    batch = BatchExtractionResult([extraction_of([key], SceneText((SIGN,)), {}) for key in "ab"])
    assert batch.has_text
    assert batch.captions is None
    assert len(batch.texts) == 2
    assert batch.to_context_string() == 'Visible text: "PARCELS"'
    assert not BatchExtractionResult().has_text
    assert BatchExtractionResult().to_context_string() == ""
