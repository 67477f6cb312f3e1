"""What a network that reads texts takes, and the vocabulary that comes with its weights.

CLIP's own files are `vocab.json` (token to number) and `merges.txt` (pairs of tokens, the first to join first). Our
converter keeps both inside the graph's metadata, so that a converted file needs nothing beside it; for other graphs
they lie in the same folder, or above a folder `onnx`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from hearthwatch.artifacts.card import MAX_CONTEXT, Card, read_card
from hearthwatch.artifacts.description import CARD_KEY, WeightsOrigin, embedded_card
from hearthwatch.artifacts.graph import Graph, TensorInfo, read_graph
from hearthwatch.errors import WeightsInvalid

VOCABULARY_FILE, MERGES_FILE = "vocab.json", "merges.txt"
#: Where our converter keeps them in a graph's metadata.
VOCABULARY_KEY, MERGES_KEY = "hearthwatch.vocab", "hearthwatch.merges"
#: CLIP's have 1.0 and 0.5 MB; a larger file is no vocabulary.
MAX_FILE_BYTES = 16 << 20
MAX_TOKENS = 1_000_000
#: Where rows may be shorter than the longest text, they have a multiple of so many tokens: engines that prepare for
#: each length meet five of them, and the documented prompts all fit the first.
ROW_STEP = 16


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """The input of a network that reads texts.

    Attributes:
        name: the graph's input of token numbers.
        length: tokens of one text at most, its start and end included; longer texts are cut.
        dtype: of the input.
        mask: the graph's input that tells tokens from padding; None where it has none.
        any_length: the graph takes shorter rows as well; else shorter texts are padded to `length`.
    """

    name: str
    length: int
    dtype: str = "int64"
    mask: str | None = None
    any_length: bool = False

    @property
    def row_lengths(self) -> tuple[int, int] | None:
        """Fewest and most tokens of a row; None where every row has `length`."""
        return (self.row_length(1), self.length) if self.any_length else None

    def row_length(self, longest: int) -> int:
        """Tokens of each row for texts of which the longest has so many."""
        return min(self.length, -(-longest // ROW_STEP) * ROW_STEP) if self.any_length else self.length


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Byte-pair encoding as its files have it.

    Attributes:
        tokens: token to number.
        merges: pairs of tokens, in the order in which they are joined.
    """

    tokens: Mapping[str, int]
    merges: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TextDescription:
    """One weight file of a network that reads texts, described.

    Attributes:
        graph: the checked ONNX graph.
        card: the card's facts; an empty card where there is none.
        input: the tokens that the graph takes.
        vocabulary: that its token numbers come from.
        weights: `sample` where the card says so, else `real` or `custom`.
        conflicts: sentences on keys of the card without effect.
    """

    graph: Graph
    card: Card
    input: TokenSpec
    vocabulary: Vocabulary
    weights: WeightsOrigin = "custom"
    conflicts: tuple[str, ...] = ()

    @property
    def tokens(self) -> TokenSpec:
        """The same as `input`."""
        return self.input


def describe_text(path: Path, default: TokenSpec, *, weights: WeightsOrigin = "custom") -> TextDescription:
    """Check one ONNX file that reads texts, its card and its vocabulary.

    Args:
        path: an ONNX file.
        default: the model's documented input.
        weights: what to call the weights where the card does not say.

    Raises:
        WeightsInvalid: the graph, the card or the vocabulary is refused, or there is no vocabulary.
    """
    graph = read_graph(path)
    card_path = path.with_suffix(".json")
    card = read_card(card_path) if card_path.is_file() else embedded_card(path, graph.metadata.get(CARD_KEY)) or Card()
    return TextDescription(
        graph=graph,
        card=card,
        input=_tokens(path, default, graph, card),
        vocabulary=_vocabulary_of(path, graph.metadata),
        weights=card.weights or weights,
        conflicts=tuple(f"card: {key!r} is no field of a card and has no effect" for key in card.unknown),
    )


def read_vocabulary(folder: Path) -> tuple[str, str] | None:
    """The texts of `vocab.json` and `merges.txt` of a folder; None where one of them is not there.

    Raises:
        WeightsInvalid: too large, or no text.
    """
    files = folder / VOCABULARY_FILE, folder / MERGES_FILE
    if not all(file.is_file() for file in files):
        return None
    vocabulary, merges = (_read(file) for file in files)
    return vocabulary, merges


def parse_vocabulary(vocabulary: str, merges: str, where: Path) -> Vocabulary:
    """The two texts, checked: every token has its own number, and every pair joins tokens to a token.

    Raises:
        WeightsInvalid: they are something else.
    """
    try:
        tokens = orjson.loads(vocabulary)
    except orjson.JSONDecodeError as error:
        raise WeightsInvalid(f"{where}: its {VOCABULARY_FILE} is not JSON: {error}") from error
    # Not isinstance: true and false are integers too.
    if not isinstance(tokens, dict) or not tokens or not all(type(number) is int for number in tokens.values()):
        raise WeightsInvalid(f"{where}: its {VOCABULARY_FILE} gives tokens no numbers")
    numbers = set(tokens.values())
    if len(tokens) > MAX_TOKENS or len(numbers) != len(tokens) or min(numbers) < 0 or max(numbers) > MAX_TOKENS:
        raise WeightsInvalid(f"{where}: its {VOCABULARY_FILE} does not give each token a number of its own")
    # The first line is a comment ("#version: 0.2"); "#" is a token as well, so only this one is.
    lines = [line for line in merges.splitlines()[int(merges.startswith("#version")) :] if line.strip()]
    pairs: list[tuple[str, str]] = []
    for line in lines:
        pair = line.split()
        if len(pair) != 2 or not {*pair, "".join(pair)} <= tokens.keys():
            raise WeightsInvalid(f"{where}: its {MERGES_FILE} joins {line[:60]!r}, which are not tokens of its own")
        pairs.append((pair[0], pair[1]))
    return Vocabulary(tokens, tuple(pairs))


def _vocabulary_of(path: Path, metadata: Mapping[str, str]) -> Vocabulary:
    if VOCABULARY_KEY in metadata and MERGES_KEY in metadata:
        return parse_vocabulary(metadata[VOCABULARY_KEY], metadata[MERGES_KEY], path)
    folders = [path.parent, *([path.parent.parent] if path.parent.name == "onnx" else [])]
    for folder in folders:
        if (texts := read_vocabulary(folder)) is not None:
            return parse_vocabulary(*texts, folder)
    looked = " or ".join(map(str, folders))
    raise WeightsInvalid(f"{path} needs its vocabulary: {VOCABULARY_FILE} and {MERGES_FILE} are not in {looked}")


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise WeightsInvalid(f"{file} has {file.stat().st_size} bytes; allowed {MAX_FILE_BYTES}")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsInvalid(f"{file} cannot be read: {error}") from error


def _tokens(path: Path, default: TokenSpec, graph: Graph, card: Card) -> TokenSpec:
    """The graph's input of tokens: by its documented name, or the only one."""
    by_name = {tensor.name: tensor for tensor in graph.inputs}
    mask = "attention_mask" if "attention_mask" in by_name else None
    others = [tensor for name, tensor in by_name.items() if name != mask]
    tensor = by_name.get(default.name) or (others[0] if len(others) == 1 else None)
    if tensor is None or len(by_name) > 1 + (mask is not None) or not _is_of_tokens(tensor):
        shown = ", ".join(f"{t.name} {t.dtype} of {len(t.shape)} axes" for t in graph.inputs) or "none"
        raise WeightsInvalid(f"{path.name} reads no texts: (N, tokens) integers are expected; its inputs: {shown}")
    fixed = tensor.shape[1]
    length = fixed or card.context_length or default.length
    if not 2 <= length <= MAX_CONTEXT:
        raise WeightsInvalid(f"{path.name} reads texts of {length} tokens; allowed are 2 to {MAX_CONTEXT}")
    return replace(default, name=tensor.name, length=length, dtype=tensor.dtype, mask=mask, any_length=fixed is None)


def _is_of_tokens(tensor: TensorInfo) -> bool:
    return tensor.dtype in {"int64", "int32"} and len(tensor.shape) == 2
