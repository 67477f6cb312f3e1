"""Reports: the JSON object, the page, the terminal and the folder."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from events import (
    HOSTILE,
    armed_event,
    busy_event,
    embedding,
    hostile_event,
    make_event,
    person,
    pose,
    quality,
    vote,
    whole_event,
)
from hearthwatch.analysis import Event
from hearthwatch.errors import SettingsError
from hearthwatch.gallery import HouseholdMatch, How
from hearthwatch.models import ActionResult, DemographicsResult, Keypoint, PoseResult
from hearthwatch.pipeline import DetectionInput, EnrichmentError, EnrichmentResult, EnrichmentStatus
from hearthwatch.report import event_to_json, print_event, render_html, report_to_json, write_reports
from hearthwatch.report.html import POLICY
from hearthwatch.report.text import model_title, percent, plain
from hearthwatch.report.write import picture_names, safe_stem
from hearthwatch.risk import RiskAssessment
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import embedding_hash

BOX = Box(20.04, 60, 80, 220)
VOID = {"meta", "img", "br"}


# --- JSON ---


def test_the_object_has_the_documented_keys_and_no_other() -> None:
    report = report_to_json([busy_event()], [("a.txt", "a.txt is no picture")])
    assert set(report) == {"version", "events", "failed"}
    assert report["version"] == 1
    assert report["failed"] == [{"source": "a.txt", "error": "a.txt is no picture"}]
    (event,) = report["events"]
    assert set(event) == {
        "source", "camera", "time", "width", "height", "detections", "enrichment", "risk", "status", "errors",
        "weights", "timings_ms",
    }  # fmt: skip
    assert set(event["detections"][0]) == {"id", "class", "confidence", "bbox", "enrichment"}
    assert set(event["risk"]) == {
        "risk_score", "risk_level", "summary", "reasoning", "reasons", "source", "version", "bounds", "entities",
        "flags", "recommended_action", "confidence_factors", "latency_ms", "fallback",
    }  # fmt: skip
    assert set(event["enrichment"]) == {
        "license_plates", "faces", "image_quality", "scene_change", "weather", "violence", "texts", "household",
        "conflicts", "skipped",
    }  # fmt: skip


def test_an_event_says_where_when_and_how_large() -> None:
    event = event_to_json(busy_event())
    assert (event["source"], event["camera"], event["time"]) == ("porch.jpg", "Front door", "2026-01-03T23:15:00")
    assert (event["width"], event["height"], event["status"]) == (320, 240, "partial")
    assert event["timings_ms"]["decode"] == 1.23
    assert event["weights"]["pose_estimator"] == "sample"


def test_findings_have_the_names_of_the_wire_contract() -> None:
    found = event_to_json(busy_event())["detections"]
    first, second, car = (detection["enrichment"] for detection in found)
    documented = {"keypoints", "posture", "pose_class", "alerts", "confidence", "is_suspicious"}
    assert set(first["pose"]) == {*documented, "bbox"}
    assert first["pose"]["keypoints"][0] == {"name": "nose", "x": 50.0, "y": 72.8, "confidence": 0.9}
    assert first["pose"]["is_suspicious"] is True
    assert set(first["face"]) == {"bbox", "confidence", "landmarks"}
    assert set(first["reid"]) == {"embedding", "embedding_dim", "embedding_hash", "space"}
    assert car["license_plate"]["text"] == "AB123CD"
    assert car["license_plate"]["raw_text"] == "AB-123CD"
    assert car["license_plate"]["detection_confidence"] == 0.8
    assert first["skipped"] == {"threat_detector": "not part of this version"}
    assert second["errors"] == {"pose_estimator": "the engine stopped"}


def test_weapons_pets_and_distances_are_findings_like_the_others() -> None:
    event = armed_event()
    first, second, cat = (detection["enrichment"] for detection in event_to_json(event)["detections"])
    assert first["threat"]["threats_detected"][0]["class"] == "knife"
    assert (first["threat"]["is_threat"], first["threat"]["max_severity"]) == (True, "high")
    assert second["threat"] is None
    assert (first["clothing"]["clothing_type"], first["clothing"]["is_suspicious"]) == ("mask", True)
    assert set(first["clothing"]["categories"]["suspicious"]) == {
        "top_match", "confidence", "all_scores", "over_casual",
    }  # fmt: skip
    assert second["clothing"]["carrying"] == "backpack"
    assert cat["pet"] == {"pet_type": "cat", "breed": "unknown", "confidence": 0.94, "is_household_pet": True}
    assert cat["depth"]["calibrated"] is False
    assert cat["depth"]["proximity_label"] == "close"
    page, lines = Page(render_html([event], [])).text, printed(event)
    for said in (page, lines):
        assert "knife (high), confirmed" in said
        assert "No weapon seen." in said
        assert "cat by a closer look" in said
        assert "person in ski mask or balaclava, mostly red, which may hide who it is" in said
        assert "carrying: backpack" in said
        assert "close in this picture" in said


def test_an_action_is_a_finding_like_the_others() -> None:
    action = ActionResult({"person picking lock": 0.7, "person walking normally": 0.3})
    event = make_event([person("a", BOX), person("b", BOX)], EnrichmentResult(action_results={"a": action}))
    first, second = (detection["enrichment"] for detection in event_to_json(event)["detections"])
    assert (first["action"]["action"], first["action"]["risk_weight"]) == ("person picking lock", 1.0)
    assert "action" not in second  # nobody was asked
    for said in (Page(render_html([event], [])).text, printed(event)):
        assert "person picking lock" in said


def test_an_apparent_age_is_a_finding_that_says_what_it_is() -> None:
    found = DemographicsResult("60-69", "senior", 0.7, "female", 0.9, {})
    event = make_event([person("a", BOX), person("b", BOX)], EnrichmentResult(demographics_results={"a": found}))
    first, second = (detection["enrichment"] for detection in event_to_json(event)["detections"])
    assert first["demographics"] == found.to_wire()
    assert "demographics" not in second
    for said in (Page(render_html([event], [])).text, printed(event)):
        assert "senior, female by appearance (an estimate, which must not raise the risk)" in said


def test_a_box_is_x_y_width_height_with_one_decimal() -> None:
    event = event_to_json(make_event([person("a", BOX)]))
    assert event["detections"][0]["bbox"] == {"x": 20.0, "y": 60.0, "width": 60.0, "height": 160.0}


def test_a_box_in_pixels_of_another_size_comes_out_in_the_picture_s() -> None:
    detection = DetectionInput("a", "person", 0.9, Box(10, 10, 20, 20), source_size=(160, 120))
    assert event_to_json(make_event([detection]))["detections"][0]["bbox"]["width"] == 20.0


def test_null_means_looked_and_found_nothing_and_a_missing_key_means_not_looked() -> None:
    data = EnrichmentResult(
        skipped={"b": {"pose_estimator": "no weights installed"}},
        structured_errors=[EnrichmentError("face_detector", "b", "internal", "stopped")],
    )
    event = event_to_json(make_event([person("a", BOX), person("b", BOX)], data))
    looked, partly = (detection["enrichment"] for detection in event["detections"])
    assert {name: looked[name] for name in ("pose", "face", "reid")} == {"pose": None, "face": None, "reid": None}
    assert "license_plate" not in looked
    assert "pose" not in partly
    assert "face" not in partly
    assert partly["reid"] is None


def test_a_plate_that_could_not_be_read_for_want_of_a_reader_is_not_called_absent() -> None:
    data = EnrichmentResult(skipped={"car-1": {"plate_ocr": "not part of this version"}})
    cars = [DetectionInput(key, "car", 0.9, BOX) for key in ("car-1", "car-2")]
    first, second = event_to_json(make_event(cars, data))["detections"]
    assert "license_plate" not in first["enrichment"]
    assert second["enrichment"]["license_plate"] is None


def test_a_detection_that_nobody_could_look_at_has_no_findings_at_all() -> None:
    data = EnrichmentResult(structured_errors=[EnrichmentError("pipeline", "a", "bad_box", "box lies outside")])
    (detection,) = event_to_json(make_event([person("a", BOX)], data))["detections"]
    assert detection["enrichment"] == {"skipped": {}, "errors": {"pipeline": "box lies outside"}}


def test_the_embedding_gives_back_the_very_numbers_that_its_hash_is_of() -> None:
    made = embedding()
    event = event_to_json(make_event([person("a", BOX)], EnrichmentResult(reid_embeddings={"a": made})))
    reid = orjson.loads(orjson.dumps(event))["detections"][0]["enrichment"]["reid"]
    assert embedding_hash(np.array(reid["embedding"], np.float32)) == reid["embedding_hash"] == made.hash
    assert reid["embedding_dim"] == len(reid["embedding"]) == 512


def test_numbers_that_are_not_finite_become_null() -> None:
    broken = PoseResult((Keypoint("nose", float("nan"), float("inf"), float("nan")),), "unknown", float("nan"))
    event = make_event([person("a", BOX, confidence=float("nan"))], EnrichmentResult(pose_results={"a": broken}))
    event.timings_ms["total"] = float("inf")
    text = json.dumps(event_to_json(event), allow_nan=False)
    joint = json.loads(text)["detections"][0]["enrichment"]["pose"]["keypoints"][0]
    assert joint == {"name": "nose", "x": None, "y": None, "confidence": None}


def test_an_event_without_any_enrichment_is_still_whole() -> None:
    event = make_event([person("a", BOX)], status=EnrichmentStatus.SKIPPED)
    event.enrichment.data = None
    told = event_to_json(event)["enrichment"]
    assert not any(told.values())
    assert told["license_plates"] == told["faces"] == []
    assert event_to_json(event)["errors"] == []


@given(st.text())
@settings(deadline=None, max_examples=30)
def test_any_name_survives_the_way_through_json(name: str) -> None:
    source = orjson.loads(orjson.dumps(event_to_json(hostile_event(name))))["source"]
    assert source == name


def test_a_file_name_that_is_no_utf8_is_spelled_out() -> None:
    source = os.fsdecode(b"caf\xe9.jpg")
    text = orjson.dumps(report_to_json([make_event(source=source)], [(source, f"{source} is no picture")]))
    assert orjson.loads(text)["events"][0]["source"] == "caf\\udce9.jpg"


def test_what_is_known_about_the_picture_is_under_the_event_and_in_documented_words() -> None:
    event = event_to_json(whole_event())
    whole = event["enrichment"]
    assert (whole["image_quality"]["faults"], whole["image_quality"]["possible_tampering"]) == (["blurred"], True)
    assert (whole["scene_change"]["changed"], whole["scene_change"]["similarity"]) == (True, 0.2)
    assert whole["weather"] == {"weather": "no parking", "confidence": 0.8, "all_scores": {"no parking": 0.8}}
    assert whole["violence"] == {"is_violent": True, "confidence": 0.7, "category": "no parking"}
    bbox = {"x": 10.0, "y": 10.0, "width": 50.0, "height": 10.0}
    assert whole["texts"] == [{"text": "no parking", "confidence": 0.9, "bbox": bbox}]
    assert [(one["name"], one["how"], one["detection_id"]) for one in whole["household"]] == [
        ("no parking", "face", "person-1"),
        ("no parking", "plate", "car-1"),
    ]
    assert whole["conflicts"] == [
        {
            "detection": "car-1",
            "rule": "no_vehicle",
            "said": ["detector: no parking (90%)", "vehicle_classifier: no parking (90%)"],
            "holds": None,
            "reason": "both are sure: one of them is wrong",
        }
    ]
    assert whole["skipped"] == {"scene_text": "no weights installed"}


def test_what_takes_several_pictures_is_with_its_detection() -> None:
    someone, car = (detection["enrichment"] for detection in event_to_json(whole_event("AB12"))["detections"])
    assert someone["movement"] == "approaching"
    assert [(one["identity"], one["sighting_count"]) for one in someone["seen_before"]] == [("AB12", 3)]
    assert car["plate_vote"] == {"text": "AB12", "confidence": 0.8, "readings": 3, "agreeing": 2, "reason": ""}
    assert car["license_plate"]["text"] == "AB123CD"  # as this picture alone reads it
    assert car["damage"]["damage_types"] == ["AB12"]
    assert (
        not {"movement", "seen_before", "plate_vote"}
        & event_to_json(busy_event())["detections"][0]["enrichment"].keys()
    )


def test_a_vote_that_decides_nothing_says_why() -> None:
    data = EnrichmentResult(plate_votes={"a": vote("", reason="1 of 4 characters are undecided")})
    (car,) = event_to_json(make_event([DetectionInput("a", "car", 0.9, BOX)], data))["detections"]
    assert (car["enrichment"]["plate_vote"]["text"], car["enrichment"]["plate_vote"]["reason"]) == (
        "", "1 of 4 characters are undecided"
    )  # fmt: skip


# --- the page ---


class Page(HTMLParser):
    """Reads a page as a browser would: tags in balance, attributes, text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, *names: str) -> Iterator[str]:
        return (value for _, name, value in self.attributes if name in names)


def test_the_page_is_well_formed_and_says_what_matters() -> None:
    page = Page(render_html([busy_event()], [], datetime(2026, 1, 4, 7, 0)))  # noqa: DTZ001 - local time
    assert page.open == []
    for words in ("Front door", "2026-01-03 23:15", "2026-01-04 07:00", "of 100", "risk", "AB123CD", "Jürgen",
                  "crouching", "both arms raised", "lawn", "for 75 s", "Some analyses failed", "the engine stopped",
                  "threat detector", "not part of this version"):  # fmt: skip
        assert words in page.text, words


def test_every_reason_is_on_the_page_with_its_points() -> None:
    event = busy_event()
    text = Page(render_html([event], [])).text
    assert event.risk.reasons
    for reason in event.risk.reasons:
        points = f"{reason.points:+d} " if reason.points else ""
        assert f"{points}{reason.text}" in text


@pytest.mark.parametrize(("score", "level"), [(0, "Low"), (30, "Medium"), (60, "High"), (100, "Critical")])
def test_the_risk_is_said_in_words_and_not_by_colour_alone(score: int, level: str) -> None:
    event = make_event([person("a", BOX)])
    event.risk = RiskAssessment(score, "Somebody.", "Why.", (), "rules", "rules-1")
    assert f"{score} of 100 {level} risk" in Page(render_html([event], [])).text


def test_the_page_loads_nothing_from_anywhere() -> None:
    page = render_html([busy_event(), busy_event()], [("a.txt", "no picture")])
    read = Page(page)
    policies = [value for tag, name, value in read.attributes if (tag, name) == ("meta", "content") and "src" in value]
    assert policies == [POLICY]
    assert POLICY.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert read.tags.count("img") > 2
    for value in read.values("src", "href", "srcset", "action", "poster", "data"):
        assert value.startswith(("data:image/jpeg;base64,", "#"))
    assert not {"script", "link", "iframe", "object", "base", "form", "svg"} & set(read.tags)
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_from_outside_are_shown_and_never_obeyed(text: str) -> None:
    like = "folder/calm" if "/" in text else "calm"  # a source in a folder is also shown in full
    calm = Page(render_html([hostile_event(like)], [(like, like)]))
    hostile = Page(render_html([hostile_event(text)], [(text, text)]))
    # The same page, tag by tag, whatever things are called.
    assert hostile.tags == calm.tags
    assert [name for _, name, _ in hostile.attributes] == [name for _, name, _ in calm.attributes]
    assert " ".join(plain(text).split()) in hostile.text
    assert not any(char in hostile.text for char in "\x00\x07\x1b\u202e")


def test_the_picture_has_a_card_of_its_own_on_the_page() -> None:
    text = Page(render_html([whole_event()], [])).text
    card = text.partition("The picture ")[2]
    for words in (
        "Violence people may be fighting (no parking) 70%",
        "Camera the camera may have been tampered with: the picture is suddenly blurred",
        "View the camera's view has changed: the view differs from the usual one",
        "Picture blurred",
        "Weather no parking 80%",
        "Writing no parking 90%",
        f"Not run (no weights installed): {model_title('scene_text')}.",
    ):
        assert words in card, words
    assert "may be 'no parking', somebody of this household, by face" in text.partition("The picture ")[0]


@pytest.mark.parametrize("data", [EnrichmentResult(), EnrichmentResult(image_quality=quality())])
def test_a_picture_of_which_nothing_is_to_be_said_has_no_card(data: EnrichmentResult) -> None:
    assert "The picture " not in Page(render_html([make_event([person("a", BOX)], data)], [])).text


def test_what_deserves_a_second_look_is_marked_on_the_card_of_the_picture() -> None:
    marked = re.findall(r'class="notable"><dt>(\w+)', render_html([whole_event()], []).partition("The picture")[2])
    assert marked == ["Violence", "Camera", "View"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("of", ["writing", "household", "plate vote"])
def test_what_a_camera_reads_and_who_is_named_is_shown_and_never_obeyed(of: str, text: str) -> None:
    """In all three outputs. A household's name is quoted, so that what cannot be printed is spelled out there."""
    read = hostile_event("calm").enrichment.data
    assert read is not None
    found = {
        "writing": EnrichmentResult(vision_extraction=whole_event(text).enrichment.data.vision_extraction),  # type: ignore[union-attr]
        "household": EnrichmentResult(
            person_household_matches=[HouseholdMatch(text, "person", How.FACE, 0.8, 0.2, "test", "a")]
        ),
        "plate vote": EnrichmentResult(plate_by_detection={"a": read.license_plates[0]}, plate_votes={"a": vote(text)}),
    }[of]
    event = make_event([person("a", BOX)], found)
    page, lines = Page(render_html([event], [])), printed(event)
    shown = plain(repr(text) if of == "household" else text)
    assert " ".join(shown.split()) in page.text
    assert shown in lines
    assert set(page.tags) == set(Page(render_html([whole_event()], [])).tags)
    assert all(char.isprintable() or char == "\n" for char in lines)
    told = orjson.loads(orjson.dumps(event_to_json(event)))
    where = {
        "writing": lambda: told["enrichment"]["texts"][0]["text"],
        "household": lambda: told["enrichment"]["household"][0]["name"],
        "plate vote": lambda: told["detections"][0]["enrichment"]["plate_vote"]["text"],
    }
    assert where[of]() == text


def test_the_picture_on_the_page_is_limited_and_has_its_size_stated() -> None:
    wide = make_event([person("a", Box(100, 100, 900, 700))], size=(2400, 800))
    sizes = [int(value) for value in Page(render_html([wide], [])).values("width", "height")]
    assert max(sizes) == 1600
    assert sizes[:2] == [1600, 533]


def test_a_detection_outside_of_the_picture_has_a_card_without_a_crop() -> None:
    page = Page(render_html([make_event([person("a", Box(900, 900, 950, 990))])], []))
    assert page.tags.count("img") == 1
    assert "person" in page.text


def test_failed_inputs_come_first_with_their_sentences() -> None:
    text = Page(render_html([busy_event()], [("notes.txt", "notes.txt is no picture")])).text
    assert "1 input could not be looked at notes.txt notes.txt is no picture" in text
    assert text.index("notes.txt") < text.index("porch.jpg")


def test_a_run_without_any_event_is_a_page_too() -> None:
    page = Page(render_html([], [("notes.txt", "no picture")]))
    assert page.open == []
    assert "Nothing could be looked at" in page.text


def test_a_picture_with_nothing_in_it_says_so() -> None:
    assert "Nothing was detected in this picture." in Page(render_html([make_event()], [])).text


def test_the_overview_lists_the_highest_risk_first() -> None:
    quiet = make_event([DetectionInput("dog-1", "dog", 0.9, BOX)], source="quiet.jpg")
    text = Page(render_html([quiet, busy_event()], [])).text
    assert text.index("porch.jpg") < text.index("quiet.jpg")


@pytest.mark.parametrize(("origin", "told"), [("sample", True), ("real", False), ("custom", False)])
def test_sample_weights_are_confessed_in_plain_words_everywhere(origin: str, told: bool) -> None:
    event = make_event([person("a", BOX)], weights={"plate_ocr": "real", "pose_estimator": origin})
    for text in (Page(render_html([event], [])).text, printed(event)):
        assert ("Sample weights were used for pose estimator: trained on drawn scenes" in text) is told
        assert ("not for real cameras" in text) is told
        assert ("`hearthwatch models pull` fetches the real ones." in text) is told
        assert "mixes both" not in text
    assert event_to_json(event)["weights"]["pose_estimator"] == origin


@pytest.mark.parametrize("other", ["real", "custom"])
def test_a_result_of_sample_weights_and_others_says_that_it_mixes_them(other: str) -> None:
    event = make_event([person("a", BOX)], weights={"yolo26": other, "pose_estimator": "sample"})
    for text in (Page(render_html([event], [])).text, printed(event)):
        assert "Sample weights were used for pose estimator" in text
        assert f"The weights of {model_title('yolo26')} are no samples: this result mixes both." in text


# --- the terminal ---


def printed(event: Event, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=80, color_system="truecolor" if terminal else None)
    print_event(console, event)
    return stream.getvalue()


def test_a_terminal_reads_the_risk_the_detections_and_why() -> None:
    event = busy_event()
    lines = printed(event).splitlines()
    assert f"{event.risk.risk_level.upper()} {event.risk.risk_score}/100" in lines[0]
    assert "porch.jpg" in lines[0]
    assert "1 person 93% · posture crouching 90%" in printed(event)
    assert "3 car 88% · plate AB123CD 91%" in printed(event)
    for reason in event.risk.reasons:
        assert any(reason.text in line for line in lines)
    assert sum("Not run" in line for line in lines) == 1
    assert any(line.strip() == "Failed: pose_estimator: the engine stopped" for line in lines)


def test_a_terminal_reads_what_is_known_about_the_picture_on_a_line_of_its_own() -> None:
    lines = [line.strip() for line in printed(whole_event()).splitlines()]
    (line,) = (line for line in lines if line.startswith("picture · "))
    assert line == (
        "picture · violence people may be fighting (no parking) 70%"
        " · camera the camera may have been tampered with: the picture is suddenly blurred"
        " · view the camera's view has changed: the view differs from the usual one"
        " · picture blurred · weather no parking 80% · caption a description says 'no parking'"
        " · object also found, by a network that says not how sure it is: 1 x 'no parking'"
        " · writing no parking 90%"
    )
    assert f"Not run (no weights installed): {model_title('scene_text')}." in lines
    assert not any(line.startswith("picture · ") for line in printed(busy_event()).splitlines())


def test_a_weapon_in_nobodys_hand_is_a_reason_and_no_line_of_the_picture() -> None:
    event = make_event([DetectionInput("gun-1", "gun", 0.7, Box(200, 60, 260, 120))])
    assert any("gun" in reason.text for reason in event.risk.reasons)
    assert "picture · " not in printed(event)
    assert "The picture " not in Page(render_html([event], [])).text


def test_without_a_terminal_there_is_no_colour_and_no_wrapping() -> None:
    event = make_event([person("a", BOX)], source="folder/" + "long" * 60 + ".jpg")
    text = printed(event)
    assert "\x1b" not in text
    assert event.source in text.splitlines()[0]


def test_a_terminal_gets_colour_and_lines_that_fit() -> None:
    text = printed(busy_event(), terminal=True)
    assert "\x1b[" in text
    shown = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_from_outside_commands_the_terminal(text: str, terminal: bool) -> None:
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed(hostile_event(text), terminal=terminal))
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert len(shown.splitlines()) >= len(printed(hostile_event("calm")).splitlines())
    if not terminal:
        assert plain(text) in shown
        assert len(shown.splitlines()) == len(printed(hostile_event("calm")).splitlines())


# --- the folder ---


def test_a_report_is_a_page_an_object_and_a_picture_of_each_event(tmp_path: Path) -> None:
    events = [busy_event(source="a/porch.jpg"), make_event(source="walking.mp4 @ 3.2 s")]
    failed = [("notes.txt", "no picture")]
    paths = write_reports(events, failed, tmp_path / "new" / "out")
    assert [path.name for path in paths.pictures] == ["porch.annotated.jpg", "walking.mp4-3.2-s.annotated.jpg"]
    assert sorted(path.name for path in paths.html.parent.iterdir()) == sorted(
        ["report.html", "report.json", "events.jsonl", *(path.name for path in paths.pictures)]
    )
    assert orjson.loads(paths.json.read_bytes()) == orjson.loads(orjson.dumps(report_to_json(events, failed)))
    assert Page(paths.html.read_text(encoding="utf-8")).open == []
    assert all(path.read_bytes().startswith(b"\xff\xd8") for path in paths.pictures)


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    write_reports([busy_event(), busy_event(source="gone.jpg")], [], tmp_path)
    paths = write_reports([make_event(source="porch.jpg")], [], tmp_path)
    assert len(orjson.loads(paths.json.read_bytes())["events"]) == 1


def test_sources_that_share_a_name_get_pictures_of_their_own() -> None:
    sources = ("a/porch.jpg", "b/porch.jpg", "PORCH.png", "porch-2.jpg", "porch")
    names = picture_names([make_event(source=source) for source in sources])
    assert len({name.casefold() for name in names}) == len(sources)
    assert names[0] == "porch.annotated.jpg"


CLIMBING = ("..", ".", "/", "../../etc/passwd", "a\\..\\b", "\x00", *HOSTILE)


@given(st.lists(st.one_of(st.text(), st.sampled_from(CLIMBING)), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_picture_s_name_is_one_safe_and_short_file_name(sources: list[str]) -> None:
    names = picture_names([make_event(source=source, size=(2, 2)) for source in sources])
    assert len({name.casefold() for name in names}) == len(sources)
    for name in names:
        assert re.fullmatch(r"[\w.-]+", name)
        assert not name.startswith(".")
        assert len(name.encode()) <= 240
        assert Path("out", name).parent == Path("out")


def test_a_very_long_name_is_cut() -> None:
    assert len(safe_stem("ü" * 500 + ".jpg").encode()) <= 180


def test_a_source_that_climbs_is_written_inside_the_folder_all_the_same(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_reports([make_event(source="../../escape.jpg"), make_event(source="/")], [], out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "escape.annotated.jpg").is_file()


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    for name in (
        "report.html",
        "report.json",
        "events.jsonl",
        "porch.annotated.jpg",
        f".report.html.{os.getpid()}.new",
    ):
        (out / name).symlink_to(precious)
    write_reports([busy_event()], [], out)
    assert precious.read_text() == "mine"
    assert not any(path.is_symlink() for path in out.iterdir())


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"the report cannot be written to .*file"):
        write_reports([], [("a", "b")], tmp_path / "file")


def test_what_was_there_stays_whole_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(SettingsError):
        write_reports([busy_event()], [], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["porch.annotated.jpg", "report.json"]


def test_reports_have_the_permissions_that_the_user_s_mask_gives(tmp_path: Path) -> None:
    plain_file = tmp_path / "plain"
    plain_file.write_text("")
    paths = write_reports([busy_event()], [], tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (paths.html, paths.json, *paths.pictures)} == {
        stat.S_IMODE(plain_file.stat().st_mode)
    }


# --- words ---


def test_a_share_that_nobody_knows_is_not_a_percentage() -> None:
    assert [percent(share) for share in (0.0, 0.876, 1.0, None, float("nan"))] == ["0%", "88%", "100%", "", ""]


def test_models_have_names_for_people() -> None:
    assert model_title("pose_estimator") == "pose estimator"
    assert model_title("fashion_clip") == "clothing classifier"
    assert model_title("weather_classifier") == "weather classifier"  # of a later version


def test_an_unknown_posture_is_said_to_be_unknown_and_not_shown_as_a_posture() -> None:
    data = EnrichmentResult(pose_results={"a": pose(BOX, "unknown")})
    text = printed(make_event([person("a", BOX)], data))
    assert "Posture cannot be told: too few joints are visible." in text
    assert "posture unknown" not in text


def test_a_model_s_title_begins_in_lower_case_unless_it_is_an_abbreviation() -> None:
    assert model_title("pose_estimator") == "pose estimator"
    assert model_title("clip") == "CLIP picture embedding"
