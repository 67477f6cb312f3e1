"""The bound on tokens: real tokenisers, of each kind that language models have, and none exceeds it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from hearthwatch.prompt import bytes_at_most

CORPUS = ["a person in view crouching at the door", "the picture: writing reads", "Füße, naïve, 東京"] * 3
TEXTS = st.text(st.characters(codec="utf-8"), max_size=80)


@cache
def byte_level(normal: str | None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    if normal is not None:
        tokenizer.normalizer = getattr(normalizers, normal)()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    return tokenizer


@cache
def with_fallback(normal: str | None) -> Tokenizer:
    """As SentencePiece's models are read: a space before, and single bytes for what is in no vocabulary."""
    pieces = {"<unk>": 0, "\u2581": 1} | {f"<0x{byte:02X}>": byte + 2 for byte in range(256)}
    model: Any = models.BPE(pieces, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)  # noqa: S106
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.ByteFallback()
    before: list[Any] = [] if normal is None else [getattr(normalizers, normal)()]
    tokenizer.normalizer = normalizers.Sequence(
        [*before, normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    return tokenizer


@pytest.mark.parametrize("normal", [None, "NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("kind", [byte_level, with_fallback], ids=["byte-level", "byte fallback"])
@given(text=TEXTS)
@example(text="\ufdfa" * 5)
@example(text="")
def test_no_tokeniser_makes_more_tokens_than_the_bound(kind: Any, normal: str | None, text: str) -> None:
    assert len(kind(normal).encode(text, add_special_tokens=False).ids) <= bytes_at_most(text)


def test_a_lone_surrogate_is_counted_too() -> None:
    assert bytes_at_most("\ud800") == 4
