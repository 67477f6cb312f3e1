"""The annotated picture and its labels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import armed_event, busy_event, face, make_event, person, plate, pose, ramp
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.report import annotate, encode_jpeg
from hearthwatch.report.annotate import Canvas, find_marks
from hearthwatch.report.labels import REACH, Label, Size, overlapping, place_labels
from hearthwatch.report.palette import COLORS, contrast, ink_on
from hearthwatch.report.pictures import cut, fit_within
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.picture import Picture

SIZES = ((150, 24), (110, 24), (80, 24), (24, 24))


@st.composite
def crowds(draw: st.DrawFn, most: int = 12) -> tuple[Size, list[Label]]:
    """A canvas of 1280 x 720 and labels of boxes anywhere on it."""
    canvas = (1280, 720)
    labels = []
    for _ in range(draw(st.integers(1, most))):
        x1, y1 = draw(st.integers(0, 1240)), draw(st.integers(0, 680))
        x2, y2 = draw(st.integers(x1 + 4, 1280)), draw(st.integers(y1 + 4, 720))
        labels.append(Label(Box(x1, y1, x2, y2), SIZES))
    return canvas, labels


def gap(a: Box, b: Box) -> float:
    return math.hypot(max(b.x1 - a.x2, a.x1 - b.x2, 0), max(b.y1 - a.y2, a.y1 - b.y2, 0))


@given(crowds())
@settings(deadline=None)
def test_where_there_is_room_every_label_is_placed_inside_the_picture_and_none_covers_another(
    crowd: tuple[Size, list[Label]],
) -> None:
    canvas, labels = crowd
    places = place_labels(labels, canvas)
    found = [place for place in places if place is not None]
    assert len(found) == len(labels)
    for place, label in zip(found, labels, strict=True):
        rect = place.rect
        assert (rect.width, rect.height) == label.sizes[place.wording]
        assert rect.x1 >= 0
        assert rect.y1 >= 0
        assert rect.x2 <= canvas[0]
        assert rect.y2 <= canvas[1]
        assert place.distance == pytest.approx(gap(rect, label.box), abs=1)
        assert place.distance <= REACH * rect.height
    for a, b in itertools.combinations([place.rect for place in found], 2):
        assert not overlapping(a, [b])


@given(crowds(most=6), st.integers(20, 400), st.integers(10, 60))
@settings(deadline=None)
def test_where_there_is_little_room_labels_still_never_touch(
    crowd: tuple[Size, list[Label]], width: int, height: int
) -> None:
    canvas = (width, height)
    labels = [Label(Box(0, 0, width, height), label.sizes) for label in crowd[1]]
    rects = [place.rect for place in place_labels(labels, canvas) if place is not None]
    assert all(Box(0, 0, *canvas).x2 >= rect.x2 and canvas[1] >= rect.y2 for rect in rects)
    assert not any(overlapping(a, [b]) for a, b in itertools.combinations(rects, 2))


def test_the_most_important_label_gets_the_last_place() -> None:
    labels = [Label(Box(0, 0, 100, 30), ((90, 28),)), Label(Box(0, 0, 100, 30), ((90, 28),))]
    first, second = place_labels(labels, (100, 30))
    assert first is not None
    assert second is None


def test_a_label_uses_a_shorter_wording_rather_than_leave_its_box() -> None:
    (place,) = place_labels([Label(Box(0, 0, 60, 60), ((150, 20), (50, 20)))], (100, 60))
    assert place is not None
    assert place.wording == 1
    assert place.distance == 0


def test_a_label_says_less_rather_than_cover_what_another_box_holds() -> None:
    mine, neighbour = Box(0, 40, 50, 100), Box(55, 0, 200, 100)
    place, _ = place_labels([Label(mine, ((150, 20), (45, 20))), Label(neighbour, ((60, 20),))], (200, 100))
    assert place is not None
    assert place.wording == 1
    assert not overlapping(place.rect, [neighbour])


def test_a_label_covers_no_face_while_another_place_is_free() -> None:
    label = Label(Box(50, 50, 150, 150), ((80, 20),))
    above = Box(50, 30, 150, 50)
    free, shy = place_labels([label], (200, 200)), place_labels([label], (200, 200), avoid=[above])
    assert free[0] is not None
    assert shy[0] is not None
    assert overlapping(free[0].rect, [above])
    assert not overlapping(shy[0].rect, [above])


def test_a_label_that_has_to_move_stays_near_and_says_how_far_it_went() -> None:
    label = Label(Box(90, 90, 100, 100), ((30, 10),))
    places = place_labels([label] * 20, (200, 200))
    found = [place for place in places if place is not None]
    assert len(found) == 20
    assert any(place.distance > 0 for place in found)
    assert max(place.distance for place in found) <= REACH * 10


def test_the_picture_keeps_its_size_and_its_own_pixels_are_not_drawn_on() -> None:
    event = busy_event()
    before = event.picture.image().pixels.copy()
    annotated = annotate(event)
    assert annotated.shape == before.shape
    assert annotated.dtype == np.uint8
    assert np.array_equal(event.picture.image().pixels, before)
    assert not np.array_equal(annotated, before)


def test_what_is_far_from_every_detection_is_left_alone() -> None:
    event = make_event([person("a", Box(20, 100, 60, 200))], size=(640, 480))
    annotated = annotate(event)
    assert np.array_equal(annotated[:, 300:], event.picture.image().pixels[:, 300:])


def _differs(a: UInt8, b: UInt8) -> np.ndarray:
    return np.asarray((a != b).any(axis=2))


def test_a_skeleton_is_drawn_where_its_joints_are() -> None:
    box = Box(60, 40, 200, 220)
    without = annotate(make_event([person("a", box)]))
    drawn = annotate(make_event([person("a", box)], EnrichmentResult(pose_results={"a": pose(box, "unknown")})))
    changed = _differs(without, drawn)
    for joint in pose(box).keypoints:
        assert changed[int(joint.y) - 1 : int(joint.y) + 2, int(joint.x) - 1 : int(joint.x) + 2].any(), joint.name
    assert changed[:, 200:].sum() == 0


def test_joints_that_the_network_does_not_believe_in_are_not_drawn() -> None:
    box = Box(60, 40, 200, 220)
    without = annotate(make_event([person("a", box)]))
    unsure = annotate(make_event([person("a", box)], EnrichmentResult(pose_results={"a": pose(box, "unknown", 0.49)})))
    assert np.array_equal(unsure, without)


def test_faces_and_plates_are_framed_from_outside() -> None:
    spot = Box(100, 100, 140, 130)
    event = make_event([], EnrichmentResult(faces=[face(spot)]))
    changed = _differs(annotate(event), event.picture.image().pixels)
    assert changed.any()
    assert not changed[100:130, 100:140].any()


def test_boxes_follow_a_picture_that_was_decoded_at_half_size() -> None:
    small = ramp(160, 120)
    picture = Picture.of(Image(small, (0.0, 0.0, 320.0, 240.0)))
    annotated = annotate(make_event([person("a", Box(200, 160, 300, 230))], picture=picture))
    changed = _differs(annotated, small)
    assert annotated.shape == small.shape
    assert changed[80:115, 100:150].any()
    assert not changed[:60, :90].any()


def test_a_box_in_pixels_of_another_size_is_drawn_in_the_picture_s() -> None:
    given_small = DetectionInput("a", "person", 0.9, Box(40, 30, 60, 60), source_size=(160, 120))
    marks = find_marks(make_event([given_small]), Canvas.of(Image.of(ramp(320, 240))))
    assert [tuple(mark.box) for mark in marks] == [(80, 60, 120, 120)]


@pytest.mark.parametrize("box", [Box(400, 10, 500, 50), Box(-50, -50, -1, -1), Box(math.nan, 0, 10, 10)], ids=str)
def test_a_box_outside_of_the_picture_is_not_drawn(box: Box) -> None:
    event = make_event([person("a", box)])
    assert np.array_equal(annotate(event), event.picture.image().pixels)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (32, 32), (6000, 1), (1, 2000), (320, 240), (3840, 2160)], ids=str)
def test_any_size_of_picture_can_be_drawn_on(size: Size) -> None:
    box = Box(0, 0, size[0], size[1])
    data = EnrichmentResult(pose_results={"a": pose(box)}, faces=[face(box)], license_plates=[plate(box)])
    picture = Picture.of(np.zeros((size[1], size[0], 3), np.uint8))
    annotated = annotate(make_event([person("a", box)], data, picture=picture))
    assert annotated.shape == (size[1], size[0], 3)
    assert annotated.any()


def _wordings(event_class: str, known: str | None = None) -> tuple[str, ...]:
    detection = DetectionInput("a", event_class, 0.87, Box(20, 20, 90, 90), known=known)
    return find_marks(make_event([detection]), Canvas.of(Image.of(ramp(320, 240))))[0].wordings


def test_a_label_has_the_number_the_class_the_confidence_and_who_it_is() -> None:
    assert _wordings("person", "Anna") == ("1 person 87% · Anna", "1 person 87%", "1 person", "1")


def test_letters_that_the_font_lacks_lose_their_accents_and_foreign_scripts_leave_the_number() -> None:
    assert _wordings("person", "Jürgen")[0] == "1 person 87% · Jurgen"
    assert _wordings("кошка") == ("1 87%", "1")


def test_a_label_never_shows_control_characters_or_endless_names() -> None:
    for name in ("\x1b[31mred", "evil\u202egpj", "x" * 500):
        for wording in _wordings(name):
            assert wording.isprintable()
            assert len(wording) < 60


def test_the_most_important_marks_choose_their_places_first() -> None:
    box = Box(20, 20, 90, 90)
    classes = ("bench", "dog", "car", "person", "Knife")
    event = make_event([DetectionInput(name, name, 0.9, box) for name in classes])
    marks = find_marks(event, Canvas.of(Image.of(ramp(320, 240))))
    assert [mark.wordings[-1] for mark in marks] == ["5", "4", "3", "2", "1"]


def test_a_weapon_of_the_weapon_detector_has_a_box_with_its_name_and_comes_first() -> None:
    mark = find_marks(armed_event(), Canvas.of(Image.of(ramp(320, 240))))[0]
    assert (mark.kind, mark.wordings, mark.box) == ("weapon", ("knife 90%", "knife"), Box(30, 120, 60, 160))


def test_a_plate_s_label_is_its_text() -> None:
    event = make_event([], EnrichmentResult(license_plates=[plate(Box(20, 20, 90, 40), "AB123CD")]))
    (mark,) = find_marks(event, Canvas.of(Image.of(ramp(320, 240))))
    assert mark.wordings == ("AB123CD 91%", "AB123CD")


@pytest.mark.parametrize("kind", COLORS)
def test_text_can_be_read_on_every_colour(kind: str) -> None:
    assert contrast(ink_on(COLORS[kind]), COLORS[kind]) >= 4.5


def test_every_kind_has_a_colour_of_its_own() -> None:
    assert len(set(COLORS.values())) == len(COLORS)


def test_black_on_white_has_the_contrast_that_wcag_states() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)


def test_a_jpeg_gives_back_the_colours_in_their_order() -> None:
    pixels = np.full((40, 60, 3), (200, 60, 20), np.uint8)
    decoded = decode(encode_jpeg(pixels)).pixels
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).max() <= 4


def test_a_picture_wider_than_jpeg_allows_is_shrunk_and_not_lost() -> None:
    wide = np.zeros((2, 70_000, 3), np.uint8)
    assert decode(encode_jpeg(wide)).pixels.shape[1] == 65_500


def test_shrinking_keeps_the_shape_and_never_enlarges() -> None:
    assert fit_within(ramp(320, 240), 160).shape == (120, 160, 3)
    assert fit_within(ramp(32, 24), 160).shape == (24, 32, 3)
    assert fit_within(ramp(5000, 1), 100).shape == (1, 100, 3)


def test_a_cut_stays_inside_and_is_none_outside() -> None:
    pixels = ramp(32, 24)
    inside = cut(pixels, Box(-5, -5, 10.2, 8))
    assert inside is not None
    assert np.array_equal(inside, pixels[0:8, 0:11])
    assert cut(pixels, Box(40, 0, 50, 10)) is None
