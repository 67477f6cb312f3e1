"""Texts to the token numbers of CLIP, as its text towers were trained.

Text is normalised (NFC, runs of white space to one space, lower case), split into words, numbers one by one and
punctuation, and each of these is written as bytes and joined by byte-pair encoding (Sennrich et al. 2016,
arXiv:1508.07909). The work is done by the library `tokenizers` with CLIP's own `vocab.json` and `merges.txt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearthwatch.artifacts.tokens import Vocabulary
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.image import Ids

START, END = "<|startoftext|>", "<|endoftext|>"
#: Letters, digits one by one, contractions, and what is neither, as openai/CLIP splits them (simple_tokenizer.py, MIT).
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """N texts as a network takes them.

    Attributes:
        ids: (N, length) token numbers: start, text, end, and the end again as padding.
        mask: (N, length) 1 for tokens, 0 for padding.
        truncated: for each text, whether a part of it is not in `ids`.
    """

    ids: Ids
    mask: Ids
    truncated: tuple[bool, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest text, start and end included; 0 without a text."""
        return int(self.mask.sum(axis=1).max(initial=0))


class ClipTokenizer:
    """Encodes texts.

    Args:
        vocabulary: CLIP's.
        length: tokens of a text, start and end included; longer texts are cut and end with the end token all the same.

    Raises:
        WeightsInvalid: a vocabulary without start and end.
    """

    def __init__(self, vocabulary: Vocabulary, length: int) -> None:
        missing = [token for token in (START, END) if token not in vocabulary.tokens]
        if missing:
            raise WeightsInvalid(f"the vocabulary has no {' and no '.join(missing)}: it is not CLIP's")
        self.length = length
        self._start, self._end = vocabulary.tokens[START], vocabulary.tokens[END]
        self._encoder = encoder_of(vocabulary)

    def encode(self, texts: Sequence[str]) -> Tokens:
        """N texts to (N, length). N may be 0."""
        ids = np.full((len(texts), self.length), self._end, np.int64)
        mask = np.zeros_like(ids)
        truncated = []
        for row, text in enumerate(texts):
            # One by one: the library's batches start threads of their own.
            words = self._encoder.encode(text, add_special_tokens=False).ids
            kept = words[: self.length - 2]
            ids[row, : len(kept) + 2] = [self._start, *kept, self._end]
            mask[row, : len(kept) + 2] = 1
            # An end token that somebody wrote into the text ends it as well: the network looks no further.
            truncated.append(len(kept) < len(words) or self._end in kept[:-1])
        return Tokens(ids, mask, tuple(truncated))


def encoder_of(vocabulary: Vocabulary) -> Any:
    """The library's tokeniser of a vocabulary: words as CLIP splits them, without start and end."""
    # Not at the top: every command imports the models, and only a text tower needs it.
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    bpe = models.BPE(
        vocab=dict(vocabulary.tokens),
        merges=list(vocabulary.merges),
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
        unk_token=END,
    )
    encoder = Tokenizer(bpe)
    encoder.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    encoder.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    encoder.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (START, END)])
    return encoder
