"""A byte-pair vocabulary in CLIP's own files, learned from texts.

Bytes first, then bytes that end a word, then pairs in the order in which they are joined, then start and end: the order
of CLIP's own. All bytes are there, so every text can be written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import orjson

from hearthwatch.adapter.clip_tokenizer import END, START, encoder_of
from hearthwatch.artifacts.tokens import MERGES_FILE, VOCABULARY_FILE, Vocabulary, parse_vocabulary, read_vocabulary

_WORD_END = "</w>"


def learn(texts: Iterable[str], tokens: int) -> Vocabulary:
    """The vocabulary that these texts ask for (Sennrich et al. 2016, arXiv:1508.07909), of `tokens` tokens at most.

    The most frequent pair is joined, again and again. Not by the library's own trainer: between equally frequent pairs
    it chooses differently from run to run, and the same training would give another network.

    Raises:
        ValueError: too few tokens for single bytes.
    """
    single = _single()
    room = tokens - len(single) - 2
    if room < 0:
        raise ValueError(f"{tokens} tokens are too few; single bytes, start and end are {len(single) + 2}")
    words = _words(texts)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < room and (counts := _pairs(words)):
        pairs.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        words = {_joined(word, pairs[-1]): count for word, count in words.items()}
    written = [*single, *dict.fromkeys("".join(pair) for pair in pairs), START, END]
    return Vocabulary({token: number for number, token in enumerate(written)}, tuple(pairs))


def save(vocabulary: Vocabulary, folder: Path) -> None:
    """Write CLIP's two files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip((VOCABULARY_FILE, MERGES_FILE), as_files(vocabulary), strict=True):
        (folder / name).write_text(text, "utf-8")


def load(folder: Path) -> Vocabulary:
    """What `save` wrote.

    Raises:
        FileNotFoundError: there is none.
    """
    texts = read_vocabulary(folder)
    if texts is None:
        raise FileNotFoundError(f"there is no {VOCABULARY_FILE} with {MERGES_FILE} in {folder}")
    return parse_vocabulary(*texts, folder)


def as_files(vocabulary: Vocabulary) -> tuple[str, str]:
    """The texts of `vocab.json` and `merges.txt`."""
    merges = "".join(f"{a} {b}\n" for a, b in vocabulary.merges)
    return orjson.dumps(dict(vocabulary.tokens)).decode(), f"#version: 0.2\n{merges}"


def _single() -> list[str]:
    """All bytes as the tokeniser writes them, then the same at the end of a word."""
    from tokenizers.pre_tokenizers import ByteLevel

    characters = sorted(ByteLevel.alphabet())
    return [*characters, *(f"{character}{_WORD_END}" for character in characters)]


def _words(texts: Iterable[str]) -> dict[tuple[str, ...], int]:
    """The words of texts as CLIP's tokeniser splits them, each as its bytes, with how often they are there."""
    single = [*_single(), START, END]
    encoder = encoder_of(Vocabulary({token: number for number, token in enumerate(single)}, ()))
    counts: Counter[str] = Counter()
    for text in texts:
        split = encoder.pre_tokenizer.pre_tokenize_str(encoder.normalizer.normalize_str(text))
        counts.update(word for word, _ in split)
    return {(*word[:-1], f"{word[-1]}{_WORD_END}"): count for word, count in sorted(counts.items())}


def _pairs(words: Mapping[tuple[str, ...], int]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts


def _joined(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    parts: list[str] = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)
