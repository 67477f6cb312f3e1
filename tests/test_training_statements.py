"""What is said about drawn pictures is true of them, and the pictures show what they are said to."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from training import subjects, vocabulary, zero_shot
from training.dataset import VALIDATION, stored
from training.lessons import OF_TOPIC, VALUES, Lessons, Pictures, possible, varied
from training.scenes.cast import IDENTITIES, window_spec
from training.scenes.draw import draw
from training.scenes.looks import look_of
from training.sentences import Sentences
from training.statements import TOPICS, Statement, caption, known, piece_of, question
from training.wording import FRAMES, TEMPLATES, framed, word_of

from hearthwatch.adapter.clip_tokenizer import END, START, ClipTokenizer
from hearthwatch.models.clip import PADDING

PERSON: dict[str, Any] = {
    "kind": "person",
    "place": "drive",
    "light": "day",
    "px": 112,
    "visible": 1.0,
    "posture": "crouching",
    "told": True,
    "clothing": ["red jacket", "blue jeans", "black cap", "white shoes"],
    "holds": "crowbar",
    "held_px": 60,
    "carries": None,
    "carried_px": 0,
    "faces": True,
}
CAR: dict[str, Any] = {"kind": "car", "place": "street", "light": "day", "px": 150, "visible": 1.0, "colour": "green"}
EMPTY: dict[str, Any] = {
    "kind": "scene",
    "place": "street",
    "light": "rain",
    "things": [],
    "caption": "While it rains, nobody is in a street.",
}
PICTURES = [
    PERSON,
    PERSON | {"light": "infrared", "told": False},
    PERSON | {"clothing": ["white and blue striped shirt", "black trousers", "hood up", "black boots"], "holds": None},
    PERSON | {"clothing": ["camouflage coat", "pink skirt", "brown backpack", "red shoes"], "held_px": 0},
    PERSON | {"holds": None, "carries": "box", "carried_px": 500, "posture": "arms_raised"},
    CAR,
    CAR | {"kind": "bicycle"},
    CAR | {"light": "infrared"},
    {"kind": "cat", "place": "porch", "light": "night", "px": 80, "visible": 0.9},
    EMPTY,
    EMPTY | {"things": [{"kind": "van", "share": 0.6}, {"kind": "person", "share": 0.1}]},
    EMPTY | {"things": [{"kind": "dog", "share": 0.4}]},
]


# Words


def test_every_caption_is_true_of_its_picture() -> None:
    rng = np.random.default_rng(0)
    for facts in PICTURES:
        about = known(facts)
        said = [caption(facts, about, rng) for _ in range(200)]
        assert {statement.is_true(about) for statement in said} == {True}


def test_a_caption_says_what_it_claims() -> None:
    """Whatever its wording, the words of each value are in the text."""
    rng = np.random.default_rng(1)
    for facts in PICTURES:
        for statement in (caption(facts, known(facts), rng) for _ in range(100)):
            for topic, value in statement.claims.items():
                words = [word_of(topic, value, turn) for turn in range(12)] if topic in TOPICS else [value]
                found = any(word.removesuffix(".").removeprefix("a ") in statement.text for word in words)
                assert found or topic == "what", (statement, topic)


@pytest.mark.parametrize(
    ("claims", "facts", "true"),
    [
        ({"colour": "red", "garment": "jacket"}, PICTURES[0], True),
        ({"colour": "blue"}, PICTURES[0], False),
        ({"colour": "red"}, PICTURES[1], None),  # infrared light shows none
        ({"posture": "crouching"}, PICTURES[1], None),  # the joints do not tell
        ({"colour": "white"}, PICTURES[2], None),  # white and blue: half true
        ({"colour": "red"}, PICTURES[2], False),
        ({"head": "hood"}, PICTURES[2], True),
        ({"held": "nothing"}, PICTURES[2], True),
        ({"held": "crowbar"}, PICTURES[3], None),  # in the hand, and not to be seen
        ({"held": "box"}, PICTURES[4], True),
        ({"paint": "green", "what": "car"}, CAR, True),
        ({"paint": "green"}, PICTURES[7], None),
        ({"posture": "standing"}, CAR, False),  # nobody is there
        ({"paint": "red"}, PERSON, False),
        ({"what": "nothing", "place": "street"}, EMPTY, True),
        ({"what": "person"}, PICTURES[10], None),  # far away, beside a van
        ({"caption": EMPTY["caption"]}, EMPTY, True),
        ({"caption": EMPTY["caption"]}, PERSON, False),
    ],
    ids=str,
)
def test_a_claim_is_true_false_or_neither(claims: dict[str, str], facts: dict[str, Any], true: bool | None) -> None:
    assert Statement("", claims).is_true(known(facts)) is true


@pytest.mark.parametrize(
    ("clothing", "attire"),
    [
        (["black hoodie", "blue jeans", "hood up", "black shoes"], "hooded"),
        (["black coat", "black trousers", "black shoes"], "black"),
        (["orange hi-vis vest", "navy trousers", "brown boots"], "orange vest"),
        (["red t-shirt", "blue jeans", "white shoes"], "casual"),
        (["white shirt", "grey trousers", "black shoes"], "business"),
        (["pink t-shirt", "black leggings", "white shoes"], "athletic"),
        (["green jacket", "blue jeans", "red backpack", "brown boots"], "outdoor"),
    ],
    ids=str,
)
def test_documented_prompts_stand_for_clothes_that_are_drawn(clothing: list[str], attire: str) -> None:
    assert known(PERSON | {"clothing": clothing})["attire"] == {attire}


def test_clothes_that_fit_no_documented_prompt_are_something_ordinary_or_what_is_seen_of_them() -> None:
    ordinary = {"casual", "business", "athletic", "outdoor"}
    pink = known(PERSON | {"clothing": ["pink coat", "green skirt", "white shoes"]})
    hooded = known(PERSON | {"clothing": ["red hoodie", "blue jeans", "hood up", "black shoes"]})
    dark = known(PERSON | {"clothing": ["black coat", "grey skirt", "white shoes"]})
    assert pink["attire"] == ordinary
    assert hooded["attire"] == ordinary | {"hooded"}
    assert dark["attire"] == ordinary | {"black"}


def test_what_is_never_drawn_is_true_of_nobody() -> None:
    rng = np.random.default_rng(0)
    asked = [statement for _ in range(40) for statement in question("attire", rng)]
    masked = [statement for statement in asked if "balaclava" in statement.text]
    assert masked
    assert {statement.is_true(known(facts)) for statement in masked for facts in PICTURES[:4]} == {False}


def test_everything_that_people_wear_has_its_words() -> None:
    for identity in range(400):
        clothing = list(look_of(identity).clothing)
        pieces = [piece_of(words) for words in clothing[:-1] if words != "hood up"]
        assert all(set(colours) <= {*TOPICS["lower colour"], "silver"} for colours, _ in pieces), clothing
        assert known(PERSON | {"clothing": clothing})["garment"] <= set(TOPICS["garment"])
    with pytest.raises(ValueError, match="sandals"):
        piece_of("red sandals")


def test_a_question_has_one_answer_where_it_can_be_seen() -> None:
    rng = np.random.default_rng(2)
    assert FRAMES.keys() == TOPICS.keys()
    for topic, values in TOPICS.items():
        asked = question(topic, rng)
        assert [statement.claims for statement in asked] == [{topic: value} for value in values]
        assert len({statement.text for statement in asked}) == len(values)
        for facts in PICTURES:
            about = known(facts)
            fits = [statement.is_true(about) for statement in asked].count(True)
            assert fits == (1 if len(about.get(topic, ())) == 1 else 0)


def test_articles_fit_their_words() -> None:
    assert framed("a photo of {}", "a person in a {} top", "orange") == "a photo of a person in an orange top"
    assert framed("{}", "a {}", "a utility worker") == "a utility worker"
    assert framed("{}", "a {}", "an umbrella") == "an umbrella"
    assert all(template.count("{}") == 1 for template in TEMPLATES)


# The vocabulary


def test_a_vocabulary_writes_every_text_and_those_that_it_learned_briefly() -> None:
    rng = np.random.default_rng(3)
    texts = [statement.text for _ in range(30) for topic in TOPICS for statement in question(topic, rng)]
    words = vocabulary.learn(texts, 800)
    assert len(words.tokens) == 800
    assert list(words.tokens)[-2:] == [START, END]
    tokenizer = ClipTokenizer(words, 77)
    name = {number: token for token, number in words.tokens.items()}
    for text in ("a person crouching", "Ünwritten — 5 € 漢字 🙂"):
        ids, mask = tokenizer.encode([text]).ids[0], tokenizer.encode([text]).mask[0]
        written = "".join(name[number] for number in ids[: mask.sum()][1:-1])
        assert _read(written).replace(" ", "") == text.lower().replace(" ", "")
    assert tokenizer.encode(["a person crouching"]).mask.sum() <= 8  # 17 bytes, start and end


def _read(written: str) -> str:
    from tokenizers.decoders import ByteLevel

    return str(ByteLevel().decode([written.replace("</w>", "")]))


def test_a_vocabulary_is_the_same_each_time_and_survives_its_files(tmp_path: Any) -> None:
    texts = ["a person in a red jacket", "a red car", "a person in a blue coat"] * 3
    words = vocabulary.learn(texts, 560)
    assert words == vocabulary.learn(texts, 560)
    vocabulary.save(words, tmp_path)
    assert vocabulary.load(tmp_path) == words
    with pytest.raises(FileNotFoundError, match=r"vocab\.json"):
        vocabulary.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"100 tokens are too few.*514"):
        vocabulary.learn(texts, 100)


# Pictures


def test_a_subject_is_drawn_cut_out_and_known() -> None:
    rows = {name: np.concatenate([subjects.shown(seed)[name] for seed in (2, 5, 8)]) for name in ("pixels", "facts")}
    assert rows["pixels"].shape == (len(rows["facts"]), subjects.SIDE, subjects.SIDE, 3)
    assert len(rows["facts"]) >= 2


def test_held_out_people_are_others_than_those_that_are_learned_from() -> None:
    for first, split in ((0, "train"), (VALIDATION, "validation"), (2 * VALIDATION, "test")):
        people = [person for seed in range(first, first + 30) for person in subjects.close_spec(seed).people]
        low, high = IDENTITIES[split]
        assert people
        assert all(low <= person.identity < high for person in people)


def test_what_is_known_of_a_scene_from_the_disk_agrees_with_the_drawing() -> None:
    scene = draw(window_spec(3, (320, 320)))
    kept = stored(scene, (320, 320))
    exact, rough = (list(subjects.cut(each, whole=True)) for each in (scene, kept))
    assert len(exact) == len(rough) > 1
    vague = {"held_px", "carried_px"}
    for (picture, first), (same, second) in zip(exact, rough, strict=True):
        assert np.array_equal(picture.pixels, same.pixels)
        assert picture.pixels.shape[0] == picture.pixels.shape[1]
        assert {k: v for k, v in first.items() if k not in vague} == {k: v for k, v in second.items() if k not in vague}


def test_a_picture_is_moved_and_lit_but_keeps_its_colour() -> None:
    rng = np.random.default_rng(0)
    red = np.full((128, 128, 3), (200, 30, 30), np.uint8)
    for _ in range(10):
        seen = varied(red, 112, rng, flip=True)
        assert seen.shape == (112, 112, 3)
        inside = seen[30:80, 30:80].reshape(-1, 3).astype(int)
        assert (inside[:, 0] > inside[:, 1] + 80).all()
    marked = red.copy()
    marked[:, 64:] = 0
    left = [varied(marked, 112, rng, flip=False)[56, 28, 0] for _ in range(8)]
    assert min(left) > 100  # never mirrored where that is not allowed
    assert PADDING == (123, 117, 104)


FACTS = [orjson.dumps(facts).decode() for facts in PICTURES]


def lessons() -> Lessons:
    return Lessons(Pictures(np.zeros((len(PICTURES), 128, 128, 3), np.uint8), FACTS), batch=6, side=32, seed=0)


def test_a_batch_follows_from_its_step_and_tells_what_is_possible() -> None:
    first, again = lessons(), lessons()
    first.at(0)
    one, other = first.at(3), again.at(3)
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.possible, other.possible)
    assert one.pixels.shape == (6, 32, 32, 3)
    rows = {possible(known(facts)).tobytes() for facts in PICTURES}
    assert {row.tobytes() for row in one.possible} <= rows
    passed = [row.tobytes() for step in (0, 1) for row in first.at(step).possible]
    assert len(PICTURES) == 12
    assert set(passed) == rows  # every picture once before any comes again


def test_texts_follow_from_their_step_and_come_with_what_they_claim() -> None:
    words = ClipTokenizer(vocabulary.learn(["a person in a red jacket", "a car by day"] * 3, 530), 32)
    first, again = (Sentences(FACTS, words, batch=40, seed=0) for _ in range(2))
    first.at(0)
    one, other = first.at(2), again.at(2)
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.claims, other.claims)
    assert one.claims.shape == (40, len(VALUES))
    assert (one.claims[::2].sum(axis=1) == 1).all()
    assert (one.claims[1::2].sum(axis=1) >= 1).all()
    assert (one.claims[1::2].sum(axis=1) > 1).any()
    asked = {VALUES[place][0] for step in range(30) for place in first.at(step).claims[::2].argmax(axis=1)}
    assert asked == set(TOPICS)


def test_every_value_has_its_place_and_every_topic_its_places() -> None:
    assert [VALUES[place] for topic in OF_TOPIC for place in range(topic.start, topic.stop)] == VALUES
    assert [{VALUES[place][0] for place in range(topic.start, topic.stop)} for topic in OF_TOPIC] == [
        {topic} for topic in TOPICS
    ]


def test_what_may_be_true_of_a_picture_is_told_apart_from_what_cannot_be_seen() -> None:
    def of(topic: str, facts: Any) -> list[str]:
        return [
            value for (t, value), may_be in zip(VALUES, possible(known(facts)), strict=True) if t == topic and may_be
        ]

    assert of("colour", PERSON) == ["red"]
    two = PERSON | {"clothing": ["white and blue striped shirt", "black trousers", "black boots"]}
    assert of("colour", two) == ["white", "blue"]
    assert of("colour", PERSON | {"light": "infrared"}) == list(TOPICS["colour"])  # nobody can see it
    assert of("colour", CAR) == []  # nobody is there


def test_frequencies_are_those_of_what_is_known() -> None:
    frequencies = lessons().frequencies
    assert all(abs(frequencies[topic].sum() - 1) < 1e-5 for topic in OF_TOPIC)
    assert (frequencies > 0).all()
    kinds = {value: frequencies[place] for place, (topic, value) in enumerate(VALUES) if topic == "what"}
    assert kinds["person"] > kinds["car"] > kinds["cat"] > kinds["truck"]


# What is asked


def test_only_what_can_be_seen_is_asked() -> None:
    colour, held = zero_shot.QUESTIONS["clothing_colour"], zero_shot.QUESTIONS["carried"]
    assert zero_shot.asked(colour, PERSON) == "red"
    assert zero_shot.asked(colour, PERSON | {"light": "night"}) is None
    assert zero_shot.asked(colour, PERSON | {"px": 60}) is None
    assert zero_shot.asked(colour, PERSON | {"visible": 0.7}) is None
    assert zero_shot.asked(held, PERSON) == "crowbar"
    assert zero_shot.asked(held, PERSON | {"held_px": 20}) is None
    assert zero_shot.asked(held, PERSON | {"holds": None}) == "nothing"
    assert zero_shot.asked(zero_shot.QUESTIONS["object"], CAR) == "car"
    assert all(set(q.labels) <= set(TOPICS[q.topic]) for q in zero_shot.QUESTIONS.values())
