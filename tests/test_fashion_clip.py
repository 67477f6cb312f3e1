"""What people wear: the prompts, the rules from cosines to words, and what the tower is shown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter.prompts import PromptEmbeddings
from hearthwatch.models import ENHANCED_CLOTHING_PROMPTS, SURVEILLANCE_TEMPLATES, ClothingClassificationResult
from hearthwatch.models.clip import class_scores
from hearthwatch.models.clothing import judge, matches
from hearthwatch.models.clothing_prompts import ATTIRE, CARRIED
from hearthwatch.models.fashion_clip import SPEC, ClothingAdapter
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.paint import Paint
from painted import WORN, person
from test_models_contract import made_up

PROMPTS = list(chain.from_iterable(ENHANCED_CLOTHING_PROMPTS.values()))
NO_COLOR = Paint(None, None, "it is too dark to see a colour")
GROUPS = {"suspicious": 7, "delivery": 6, "utility": 5, "carrying": 6, "casual": 4}


def logits(**prompts: float) -> Mapping[str, list[float]]:
    """Equal cosines for every prompt, but for those that contain a word (spaces as `_`), which have that much more."""
    raised = {word.replace("_", " "): more for word, more in prompts.items()}
    return {
        group: [20.0 + sum(more for word, more in raised.items() if word in text) for text in texts]
        for group, texts in ENHANCED_CLOTHING_PROMPTS.items()
    }


def judged(paint: Paint = NO_COLOR, /, **prompts: float) -> ClothingClassificationResult:
    return judge(matches(logits(**prompts)), paint)


class TestPrompts:
    def test_the_groups_are_those_of_the_document_and_the_contrast_is_one_of_them(self) -> None:
        assert {group: len(texts) for group, texts in ENHANCED_CLOTHING_PROMPTS.items()} == GROUPS
        assert len(set(PROMPTS)) == len(PROMPTS) == 28

    def test_every_prompt_has_its_words_and_no_word_is_of_a_prompt_that_there_is_not(self) -> None:
        carrying = set(ENHANCED_CLOTHING_PROMPTS["carrying"])
        assert set(ATTIRE) == set(PROMPTS) - carrying
        assert carrying - set(CARRIED) == {"person carrying nothing", "person with hands in pockets"}
        assert set(CARRIED) < carrying

    def test_they_are_read_in_the_templates_of_the_document(self) -> None:
        assert ClothingAdapter.PROMPTS.texts == tuple(PROMPTS)
        assert ClothingAdapter.PROMPTS.templates == SURVEILLANCE_TEMPLATES
        assert len(SURVEILLANCE_TEMPLATES) == 5


class TestGroups:
    def test_a_group_is_a_softmax_over_its_prompts_and_the_casual_ones(self) -> None:
        random = np.random.default_rng(4)
        values = {group: random.normal(25, 2, len(texts)) for group, texts in ENHANCED_CLOTHING_PROMPTS.items()}
        found = matches({group: row.tolist() for group, row in values.items()})
        for group in ("suspicious", "delivery", "utility", "carrying"):
            both = np.concatenate([values[group], values["casual"]])
            # The same softmax as that of the labels of `/classify`, with the factor already in the cosines.
            expected = class_scores(np.ones(1, np.float32), both.astype(np.float32)[:, None], 1.0)[: len(values[group])]
            assert list(found[group].all_scores.values()) == pytest.approx(expected.tolist(), abs=1e-4)
            assert found[group].confidence == pytest.approx(float(expected.sum()), abs=1e-4)
            assert found[group].top_match == ENHANCED_CLOTHING_PROMPTS[group][int(values[group].argmax())]

    def test_casual_has_what_is_left_where_that_is_least_of_the_groups_about_clothes(self) -> None:
        found = matches(logits(mail_carrier=6.0, holding_tools=30.0))
        assert found["casual"].confidence == pytest.approx(1 - found["delivery"].confidence)
        assert found["casual"].confidence < 1 - found["utility"].confidence
        assert sum(found["casual"].all_scores.values()) == pytest.approx(found["casual"].confidence)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.floats(-100, 100), min_size=28, max_size=28))
    def test_any_cosines_give_shares_of_one_in_the_documents_order(self, values: list[float]) -> None:
        rest = iter(values)
        found = matches({group: [next(rest) for _ in texts] for group, texts in ENHANCED_CLOTHING_PROMPTS.items()})
        assert list(found) == list(ENHANCED_CLOTHING_PROMPTS)
        for group, match in found.items():
            assert tuple(match.all_scores) == ENHANCED_CLOTHING_PROMPTS[group]
            assert 0 <= match.confidence <= 1
            assert 0 <= match.over_casual <= 1
            assert sum(match.all_scores.values()) == pytest.approx(match.confidence, abs=1e-9)
            assert match.all_scores[match.top_match] == max(match.all_scores.values())
        judge(found, NO_COLOR).to_wire()


class TestRules:
    def test_a_picture_that_says_nothing_is_casual_though_seven_prompts_outweigh_four(self) -> None:
        found = judged()
        assert found.categories["suspicious"].confidence == pytest.approx(7 / 11)  # above the documented 0.6
        assert found.categories["suspicious"].over_casual == pytest.approx(0.5)
        assert (found.top_category, found.is_suspicious, found.is_service_uniform) == ("casual", False, False)
        assert found.carrying is None

    @pytest.mark.parametrize(("more", "suspicious"), [(0.0, False), (1.0, False), (3.0, True)])
    def test_suspicious_is_said_from_a_margin_over_casual_on(self, more: float, suspicious: bool) -> None:
        found = judged(hood_up=more)
        assert found.is_suspicious is suspicious
        assert found.top_category == ("suspicious" if suspicious else "casual")
        assert judged(hood_up=more, everyday=more + 3).is_suspicious is False

    @pytest.mark.parametrize(
        ("words", "kind", "style", "category"),
        [
            ("ski_mask", "mask", "concealing", "suspicious"),
            ("all_black", "black clothing", "dark", "suspicious"),
            ("UPS", "uniform", "delivery", "delivery"),
            ("orange_high-visibility", "high-visibility vest", "work", "utility"),
            ("business_casual", "business clothes", "business", "casual"),
            ("athletic", "athletic clothes", "athletic", "casual"),
        ],
    )
    def test_type_style_and_category_are_those_of_the_best_prompt(
        self, words: str, kind: str, style: str, category: str
    ) -> None:
        found = judged(**{words: 8.0})
        assert (found.clothing_type, found.style, found.top_category) == (kind, style, category)
        assert found.confidence == found.categories[category].confidence > 0.9
        assert found.is_suspicious is (category == "suspicious")
        assert found.is_service_uniform is (category in {"delivery", "utility"})
        assert words.replace("_", " ") in found.description

    def test_a_courier_in_a_mask_is_both_and_the_larger_margin_names_the_category(self) -> None:
        found = judged(ski_mask=6.0, FedEx=8.0)
        assert (found.is_suspicious, found.is_service_uniform, found.top_category) == (True, True, "delivery")
        # Of both, a prompt is told the alert, as documented.
        assert "[ALERT: Potentially suspicious attire detected]" in found.to_context_string()
        assert judged(ski_mask=8.0, FedEx=6.0).top_category == "suspicious"

    @pytest.mark.parametrize(
        ("words", "carrying"),
        [("backpack", "backpack"), ("large_box", "large box or package"), ("duffel", "duffel bag"), ("tools", "tools"),
         ("carrying_nothing", None), ("hands_in_pockets", None)],
    )  # fmt: skip
    def test_what_is_carried_is_said_and_nothing_is_not(self, words: str, carrying: str | None) -> None:
        found = judged(**{words: 8.0})
        assert found.carrying == carrying
        assert ("carrying:" in found.description) is (carrying is not None)
        # Beside clothes that are as likely it still is; where they are much likelier, or nothing as likely, it is not.
        assert judged(**{words: 8.0, "everyday": 8.0}).carrying == carrying
        assert judged(**{words: 8.0, "everyday": 11.0}).carrying is None
        assert judged(**{words: 8.0, "carrying nothing": 8.1}).carrying is None


class TestResult:
    def test_the_context_strings_are_those_of_the_document(self) -> None:
        assert judged(hood_up=8.0).to_context_string() == (
            "Clothing: person wearing black hoodie with hood up\n  [ALERT: Potentially suspicious attire detected]"
        )
        assert judged(UPS=8.0).to_context_string() == (
            "Clothing: UPS driver in brown uniform\n  [Service/delivery worker uniform detected]"
        )
        assert judged(everyday=8.0).to_context_string() == "Clothing: person in casual everyday clothes"

    def test_the_colour_is_told_where_the_prompt_does_not_say_it(self) -> None:
        red, brown = Paint("red", 0.8), Paint("brown", 0.8)
        assert judged(red, everyday=8.0).description == "person in casual everyday clothes, mostly red"
        assert judged(brown, UPS=8.0).description == "UPS driver in brown uniform"
        assert judged(red, obscured=8.0).description.endswith(", mostly red")  # "obscured" is no red
        assert judged(red, everyday=8.0, backpack=8.0).description.endswith(", mostly red, carrying: backpack")

    def test_a_colour_that_cannot_be_told_is_null_with_the_reason(self) -> None:
        wire = judged().to_wire()
        assert (wire["color"], wire["color_confidence"]) == (None, None)
        assert wire["color_reason"] == "it is too dark to see a colour"
        told = judged(Paint("blue", 0.71234)).to_wire()
        assert (told["color"], told["color_confidence"], told["color_reason"]) == ("blue", 0.7123, None)

    def test_the_documented_dictionary_has_the_documented_keys_and_nothing_else(self) -> None:
        told = judged(UPS=8.0).to_dict()
        assert set(told) == set(GROUPS)
        for group in told.values():
            assert set(group) == {"top_match", "confidence", "all_scores"}
        assert told["delivery"]["top_match"] == "UPS driver in brown uniform"

    def test_two_runs_are_compared_by_every_score(self) -> None:
        measure = SPEC.agreement.measure
        same, other = judged(UPS=2.0), judged(UPS=2.5)
        assert measure(same, same) == 1.0
        assert (measure(same, other) or 0.0) < 0.95 < (measure(same, judged(UPS=2.05)) or 0.0)


class TestTower:
    def test_the_answer_follows_the_prompts_whose_embedding_is_nearest(self) -> None:
        adapter = self.adapter()
        texts = adapter.texts
        for prompt in ("person in ski mask or balaclava", "UPS driver in brown uniform"):
            row = texts[PROMPTS.index(prompt)]
            (found,) = adapter.predict([Image.of(person(WORN["blue"]))], partial(self.embedding, row))
            assert any(match.top_match == prompt for match in found.categories.values())
            assert ATTIRE[prompt].clothing_type == found.clothing_type
            assert found.color == "blue"

    def test_a_person_is_seen_from_head_to_feet_with_a_margin(self) -> None:
        given: list[Any] = []

        def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
            given.append(inputs["pixel_values"])
            return {"image_embeds": np.ones((len(inputs["pixel_values"]), 512), np.float32)}

        adapter = self.adapter()
        pixels = np.zeros((400, 300, 3), np.uint8)
        pixels[100:300, 100:150] = 255
        adapter.predict([Image.of(pixels[100:300, 100:150])], run)
        white = (1 - np.array(SPEC.pixels.mean)) / np.array(SPEC.pixels.std)
        for row in (3, 112, 220):
            assert np.allclose(given[0][0, :, row, 112], white, atol=1e-4)
        assert np.abs(given[0][0, :, 112, 5]).max() < 0.02  # what pads it is nothing to the network
        adapter.for_boxes(Image.of(pixels), [Box(100, 100, 150, 300)], run)
        assert given[1][0, 0, 3, 112] < 0  # above the head: the margin, which is black here
        assert np.allclose(given[1][0, :, 112, 112], white, atol=1e-4)

    @staticmethod
    def embedding(row: Float, _inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A network that gives every picture this direction."""
        return {"image_embeds": 7.0 * row[None]}

    @staticmethod
    def adapter() -> ClothingAdapter:
        adapter = ClothingAdapter(made_up(ClothingAdapter))
        random = np.random.default_rng(9).standard_normal((len(PROMPTS), 512))
        adapter.compare_with(PromptEmbeddings(unit(random), adapter.space[0]))
        return adapter


def test_the_prompts_are_word_for_word_those_of_the_document(assets: Path) -> None:
    (document,) = (assets / "seeds").glob("003_*.txt")
    text = document.read_text(encoding="utf-8")
    for prompt in (*PROMPTS, *SURVEILLANCE_TEMPLATES):
        assert f'"{prompt}"' in text
