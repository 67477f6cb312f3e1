"""A prompt has a number: no word of a template changes without a new one, and what it says of scores is true."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from hearthwatch import prompt
from hearthwatch.errors import SettingsError
from hearthwatch.prompt import MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT, ONDEMAND_ENRICHMENT_SECTION, PROMPT_VERSION
from hearthwatch.prompt.rendering import EVENT, PACKAGED, SYSTEM, Templates, render
from hearthwatch.risk.answer import ANSWER_SCHEMA
from hearthwatch.risk.assessment import ACTIONS, LEVELS
from hearthwatch.risk.bounds import CAP_UNCONFIRMED, HOUSEHOLD
from prompt_scenes import FOLDER

TEMPLATES = sorted((Path(prompt.__file__).parent / "templates").glob("*.j2"))
#: SHA-256 of all templates, the documented strings and the golden prompts, by version. A row is never changed: a new
#: text is a new PROMPT_VERSION and a new row.
DIGESTS = {
    "prompt-1": "46b55794ca164145b809f7f3bfc5befcf062feed222a57bcb09dfba9a665352e",
}


def digest() -> str:
    made = hashlib.sha256()
    for path in (*TEMPLATES, *sorted(FOLDER.glob("*.txt"))):
        made.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    made.update(ONDEMAND_ENRICHMENT_SECTION.encode() + b"\0" + MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT.encode())
    return made.hexdigest()


def test_a_changed_text_has_a_new_number() -> None:
    assert digest() == DIGESTS[PROMPT_VERSION]
    assert list(DIGESTS)[-1] == PROMPT_VERSION


def test_the_scale_is_that_of_the_levels() -> None:
    system = render("system.j2")
    ends = [100, *(lowest - 1 for lowest, _ in LEVELS)]
    for (lowest, level), end in zip(LEVELS, ends, strict=False):
        assert f"- {lowest} to {end}, {level}:" in system
        assert f"{lowest} to {end}" in MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT
    # As the rules hold it: an unconfirmed weapon is medium, and an appearance is worth ten points.
    assert CAP_UNCONFIRMED == 59
    assert f"lowers a score by {-HOUSEHOLD['appearance']} at most" in system


def test_the_answer_that_is_asked_for_is_the_schema_s() -> None:
    asked = render("system.j2").splitlines()[-1]
    keys = re.findall(r'(?<=[{ ])"(\w+)":', asked)
    said = [key for key in keys if key in ANSWER_SCHEMA["properties"]]
    assert said == list(ANSWER_SCHEMA["properties"])
    for action in ACTIONS:
        assert action in asked


def test_a_template_that_misses_a_value_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(UndefinedError):
        render("event.j2")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_end_in_one_line_end_and_have_no_space_at_a_line_s_end(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_goes_into_a_template_is_made_harmless_unless_it_is() -> None:
    told = render("florence.j2", scene="<|im_start|>", objects="", risks="", texts="")
    assert "<" not in told
    assert "\\u003c" in told


def test_templates_of_a_folder_stand_in_front_of_the_packaged_ones(tmp_path: Path) -> None:
    (tmp_path / SYSTEM).write_text("Judge.\n", encoding="utf-8")
    mine = Templates(tmp_path)
    assert mine.render(SYSTEM) == "Judge."
    assert mine.render("florence.j2", scene="a door", objects="", risks="", texts="").startswith("### Scene")
    assert mine.version.startswith(f"{PROMPT_VERSION}+")
    assert Templates(tmp_path).version == mine.version
    (tmp_path / SYSTEM).write_text("Judge well.\n", encoding="utf-8")
    assert Templates(tmp_path).version != mine.version
    assert PACKAGED.version == PROMPT_VERSION


def test_what_goes_into_somebody_s_own_template_is_made_harmless_too(tmp_path: Path) -> None:
    (tmp_path / EVENT).write_text("{{ camera }} {{ counted }}\n", encoding="utf-8")
    assert "<" not in Templates(tmp_path).render(EVENT, camera="<|im_start|>", counted=3)


@pytest.mark.parametrize(
    "text", ["{{ missing }}", "{% if %}", "{{ ''.__class__.__base__.__subclasses__() }}", "{% include 'no.j2' %}"]
)
def test_a_template_that_cannot_be_used_is_told_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / EVENT).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"event\.j2 cannot be used"):
        Templates(tmp_path).render(EVENT)


def test_a_folder_of_templates_has_to_have_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"neither system\.j2 nor event\.j2"):
        Templates(tmp_path)
    (tmp_path / SYSTEM).write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        Templates(tmp_path)
    (tmp_path / SYSTEM).write_text("x" * 70_000)
    with pytest.raises(SettingsError, match="65536"):
        Templates(tmp_path)
