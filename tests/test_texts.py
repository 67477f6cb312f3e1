"""Text embeddings are kept: read once, bounded, averaged over templates, and never of other weights than asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest

from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.enrichment.texts import TEXTS_PER_CALL, TextEmbeddings
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed, QueueFull
from hearthwatch.models.clip_text import TextEmbedding
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Float

T = TypeVar("T")


def embedding(text: str) -> Float:
    """A direction of its own for each text."""
    return unit(np.random.default_rng(list(text.encode())).normal(size=16))


class Tower:
    """A text tower that remembers what it read."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.digest = "first"
        self.error: HearthwatchError | None = None
        self.gate: asyncio.Event | None = None

    @property
    def read(self) -> list[str]:
        return [text for call in self.calls for text in call]

    def offers(self, model: str) -> bool:
        return model == "clip_text"

    async def run(self, call: ModelCall) -> list[Outcome]:
        if self.gate is not None:
            await self.gate.wait()
        self.calls.append(call.texts)
        if self.error is not None:
            return [Outcome(call.model, error=self.error)] * call.questions
        timings = CallTimings(preprocess_ms=1.0, infer_ms=2.0, postprocess_ms=1.0)
        return [
            Outcome(call.model, TextEmbedding(embedding(text), len(text) > 40, "clip", self.digest), timings=timings)
            for text in call.texts
        ]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_a_text_is_read_once_whoever_asks() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)

    async def ask() -> None:
        first = await store.embed(["a", "b", "a"])
        assert tower.read == ["a", "b"]
        assert (first.read, first.kept, first.timings.inference_time_ms) == (2, 0, 4.0)
        again = await store.embed(["b", "a", "c"])
        assert tower.read == ["a", "b", "c"]
        assert (again.read, again.kept) == (1, 2)
        assert np.array_equal(again.embeddings, np.stack([embedding(text) for text in "bac"]))
        third = await store.embed(["a", "b", "c"])
        assert (third.read, third.kept, third.timings.inference_time_ms) == (0, 3, 0.0)

    run(ask())
    assert tower.read == ["a", "b", "c"]


def test_who_asks_for_the_same_text_at_the_same_time_waits_for_one_reading() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)

    async def ask() -> None:
        tower.gate = asyncio.Event()
        tasks = [asyncio.create_task(store.embed([f"text {i}" for i in range(20)])) for _ in range(5)]
        await asyncio.sleep(0)
        tower.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [answer.read for answer in answers] == [20, 0, 0, 0, 0]

    run(ask())
    assert len(tower.read) == 20
    assert max(map(len, tower.calls)) <= TEXTS_PER_CALL


def test_templates_are_averaged_and_brought_to_length_1_again() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)
    templates = ("a photo of {}", "CCTV of {} {0}")
    found = run(store.embed(["a {x}", "b"], templates=templates))
    assert tower.read == ["a photo of a {x}", "CCTV of a {x} {0}", "a photo of b", "CCTV of b {0}"]
    parts = [embedding("a photo of b"), embedding("CCTV of b {0}")]
    assert np.allclose(found.embeddings[1], unit(parts[0] + parts[1]), atol=1e-6)
    assert np.allclose(np.linalg.norm(found.embeddings, axis=1), 1.0, atol=1e-6)


def test_a_label_with_and_without_templates_are_two_things() -> None:
    store = TextEmbeddings(Tower())

    async def ask() -> None:
        plain = await store.embed(["a"])
        framed = await store.embed(["a"], templates=("a photo of {}",))
        assert not np.allclose(plain.embeddings, framed.embeddings)
        assert len(store) == 2

    run(ask())


def test_what_was_cut_is_told_by_its_place_also_when_it_was_kept() -> None:
    store = TextEmbeddings(Tower())

    async def ask() -> None:
        for _ in range(2):
            assert (await store.embed(["x" * 41, "a", "y" * 50, "x" * 41])).truncated == (0, 2, 3)

    run(ask())


def test_no_more_are_kept_than_there_is_room_for_and_the_least_recently_used_leave() -> None:
    tower = Tower()
    store = TextEmbeddings(tower, capacity=3)

    async def ask() -> None:
        await store.embed(["a", "b", "c"])
        await store.embed(["a"])
        await store.embed(["d"])  # b leaves
        assert len(store) == 3
        assert (await store.embed(["a", "c", "d"])).read == 0
        assert (await store.embed(["b"])).read == 1
        more = await store.embed([f"text {i}" for i in range(10)])  # more at once than are kept
        assert len(more.embeddings) == 10
        assert len(store) == 3

    run(ask())


def test_embeddings_of_other_weights_are_not_mixed_in() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)

    async def ask() -> None:
        assert (await store.embed(["a", "b"], digest="first")).digest == "first"
        tower.digest = "second"
        found = await store.embed(["a", "b"], digest="second")
        assert (found.digest, found.read) == ("second", 2)
        # The tower was exchanged while a text was kept: it is read again with the new one.
        tower.digest = "third"
        mixed = await store.embed(["a", "c"], digest="second")
        assert (mixed.digest, mixed.read, mixed.kept) == ("third", 2, 0)
        assert (await store.embed(["a", "b"])).digest == "third"

    run(ask())


def test_a_failure_is_told_and_not_kept() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)

    async def ask() -> None:
        tower.error = QueueFull("no room")
        with pytest.raises(QueueFull):
            await store.embed(["a"])
        tower.error = None
        assert (await store.embed(["a"])).read == 1

    run(ask())


def test_a_tower_that_miscounts_is_a_failure() -> None:
    class Miscounting(Tower):
        async def run(self, call: ModelCall) -> list[Outcome]:
            return (await super().run(call))[:-1]

    with pytest.raises(InferenceFailed, match="1 answers to 2 texts"):
        run(TextEmbeddings(Miscounting()).embed(["a", "b"]))


def test_a_deadline_is_kept_also_by_who_waits_for_his_turn() -> None:
    tower = Tower()
    store = TextEmbeddings(tower)

    async def ask() -> None:
        tower.gate = asyncio.Event()
        first = asyncio.create_task(store.embed(["a"]))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await store.embed(["b"], deadline=time.monotonic() + 0.02)
        tower.gate.set()
        assert (await first).read == 1
        assert (await store.embed(["a"], deadline=time.monotonic() - 1)).kept == 1  # nothing to wait for

    run(ask())


@pytest.mark.parametrize(("picture", "texts"), [(None, ()), (object(), ("a",))])
def test_a_call_is_about_a_picture_or_about_texts(picture: Any, texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="picture or about texts"):
        ModelCall("clip_text", picture, texts=texts)
