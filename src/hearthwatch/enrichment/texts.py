"""Text embeddings, kept: a text is read by the network once, whoever asks for it and however often.

Labels and descriptions repeat from picture to picture, and a text tower costs as much as a picture for each of them. So
embeddings are kept by text and by the weights that made them, the least recently used leave first, and services and
pipeline ask the same store.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome, Runner
from hearthwatch.errors import DeadlineExceeded, InferenceFailed
from hearthwatch.models.clip_text import TextEmbedding
from hearthwatch.vision.embeddings import average_embedding
from hearthwatch.vision.image import Float

#: Embeddings that are kept: 768 numbers each make 12 MB.
CAPACITY = 4096
#: Texts of one call: between two calls others have their turn, and a deadline is noticed.
TEXTS_PER_CALL = 16
#: Separates a template from a label in a key; it stands in no text that a person writes.
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """What became of some texts.

    Attributes:
        embeddings: (N, D) float32 of length 1, in the order of the texts.
        truncated: indices of texts whose end the network did not read.
        network: what made them.
        digest: of the weights that made them.
        weights: real, sample or custom.
        read: texts that the network read for this answer, with every template by itself.
        kept: embeddings that were there from before.
        timings: of these readings; nothing where all were kept.
    """

    embeddings: Float
    truncated: tuple[int, ...]
    network: str
    digest: str
    weights: str = ""
    read: int = 0
    kept: int = 0
    timings: CallTimings = field(default_factory=CallTimings)

    @property
    def space(self) -> str:
        """Which embeddings they belong with."""
        return f"{self.network}/{self.digest}"


@dataclass(slots=True)
class _Question:
    """One key: what is read for it. Several texts are averaged, which is prompt ensembling."""

    texts: tuple[str, ...]
    index: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """One embedding, and the origin of the weights that made it."""

    one: TextEmbedding
    weights: str


class TextEmbeddings:
    """A bounded store in front of a text tower. One event loop at a time may use it.

    Args:
        runner: where the text tower runs.
        model: its canonical name.
        capacity: embeddings that are kept.
    """

    def __init__(self, runner: Runner, model: str = "clip_text", capacity: int = CAPACITY) -> None:
        self._runner = runner
        self._model = model
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()
        self._last_digest: str | None = None
        # One at a time: who asks for the same texts a moment later finds them.
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        templates: Sequence[str] = (),
        digest: str | None = None,
        deadline: float | None = None,
    ) -> Texts:
        """Embeddings of texts, in their order; the same text twice is read once.

        Args:
            texts: one or more.
            templates: sentences with `{}` for a text: the embeddings of a text in each of them are averaged and brought
                to length 1 again. Without any, the text itself is read.
            digest: of the weights that the embeddings must be of; None takes those that were used last.
            deadline: seconds of `time.monotonic`; None waits.

        Raises:
            HearthwatchError: the text tower failed.
            DeadlineExceeded: it did not answer in time.
        """
        questions = _questions(texts, templates)
        found = self._find(questions, digest)
        if found is not None:
            return _joined(len(texts), questions, found, kept=len(found))
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()), self._turn:
                return await self._read(len(texts), questions, digest, deadline)
        except TimeoutError:
            raise DeadlineExceeded(f"the deadline passed before {self._model} answered") from None

    def _find(self, questions: dict[bytes, _Question], digest: str | None) -> dict[bytes, _Kept] | None:
        """All of them, kept from before; None where one is missing."""
        digest = digest or self._last_digest
        if digest is None or any((digest, key) not in self._kept for key in questions):
            return None
        found = {}
        for key in questions:
            self._kept.move_to_end((digest, key))
            found[key] = self._kept[digest, key]
        return found

    async def _read(
        self, count: int, questions: dict[bytes, _Question], digest: str | None, deadline: float | None
    ) -> Texts:
        """Have the network read what is missing."""
        wanted = digest or self._last_digest
        found = {key: self._kept[wanted, key] for key in questions if wanted and (wanted, key) in self._kept}
        fresh, timings, read = await self._ask({k: q for k, q in questions.items() if k not in found}, deadline)
        now = next(iter(fresh.values())).one.digest if fresh else wanted
        if found and now != wanted:  # other weights were put in place meanwhile: nothing of before belongs with them
            again, more, reread = await self._ask({key: questions[key] for key in found}, deadline)
            fresh, found, timings, read = fresh | again, {}, _sum([timings, more]), read + reread
        for key, kept in fresh.items():
            self._kept[kept.one.digest, key] = kept
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        self._last_digest = now
        return _joined(count, questions, {**found, **fresh}, read, len(found), timings)

    async def _ask(
        self, questions: dict[bytes, _Question], deadline: float | None
    ) -> tuple[dict[bytes, _Kept], CallTimings, int]:
        """One embedding per question, the time of all calls, and how many texts were read."""
        texts = [text for question in questions.values() for text in question.texts]
        outcomes: list[Outcome] = []
        times: list[CallTimings] = []
        for start in range(0, len(texts), TEXTS_PER_CALL):
            part = tuple(texts[start : start + TEXTS_PER_CALL])
            answered = await self._runner.run(ModelCall(self._model, texts=part, deadline=deadline))
            failed = next((outcome.error for outcome in answered if outcome.error is not None), None)
            if failed is not None:
                raise failed
            if len(answered) != len(part):
                raise InferenceFailed(f"{self._model} gave {len(answered)} answers to {len(part)} texts")
            outcomes += answered
            times.append(answered[0].timings)
        rest = iter(outcomes)
        embeddings = {key: _average([next(rest) for _ in question.texts]) for key, question in questions.items()}
        return embeddings, _sum(times), len(texts)


def _questions(texts: Sequence[str], templates: Sequence[str]) -> dict[bytes, _Question]:
    """Each different text once, with the places that it has in the answer."""
    questions: dict[bytes, _Question] = {}
    for index, text in enumerate(texts):
        # Not str.format: a text with braces is a text.
        filled = tuple(template.replace("{}", text) for template in templates) or (text,)
        key = hashlib.blake2b(_SEPARATOR.join(filled).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        questions.setdefault(key, _Question(filled)).index.append(index)
    return questions


def _average(outcomes: Sequence[Outcome]) -> _Kept:
    parts: list[TextEmbedding] = [outcome.result for outcome in outcomes]
    first, weights = parts[0], outcomes[0].weights
    if len(parts) == 1:
        return _Kept(first, weights)
    embedding = average_embedding([part.embedding for part in parts])
    truncated = any(part.truncated for part in parts)
    return _Kept(TextEmbedding(embedding, truncated, first.network, first.digest), weights)


def _joined(
    count: int,
    questions: dict[bytes, _Question],
    found: dict[bytes, _Kept],
    read: int = 0,
    kept: int = 0,
    timings: CallTimings | None = None,
) -> Texts:
    first = next(iter(found.values()))
    one = first.one
    embeddings = np.empty((count, len(one.embedding)), np.float32)
    truncated: list[int] = []
    for key, question in questions.items():
        embeddings[question.index] = found[key].one.embedding
        truncated += question.index if found[key].one.truncated else []
    places = tuple(sorted(truncated))
    return Texts(embeddings, places, one.network, one.digest, first.weights, read, kept, timings or CallTimings())


def _sum(times: Sequence[CallTimings]) -> CallTimings:
    return CallTimings(
        queue_ms=sum(t.queue_ms for t in times),
        load_ms=sum(t.load_ms for t in times),
        preprocess_ms=sum(t.preprocess_ms for t in times),
        infer_ms=sum(t.infer_ms for t in times),
        postprocess_ms=sum(t.postprocess_ms for t in times),
    )
