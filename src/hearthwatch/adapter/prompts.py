"""Prompts: texts that a model compares pictures with, as embeddings that are made once and kept.

Such a model is a vision tower whose answers mean something only beside the embeddings of its texts. They are made by
the text tower of the same checkpoint, which is loaded for that moment alone, before the vision tower is, and given back
again; then they lie in the cache under the text tower's digest. From then on that tower's file is read for its digest,
and no engine loads it. That holds wherever a model is loaded: by hand, in a service, or in the child process that
measures what it costs, which is why a service's own process never has the text tower in memory.
"""

from __future__ import annotations

import hashlib
import io
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from hearthwatch.adapter.base import Adapter, ImageNetwork, PictureAdapter, TextAdapter
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.lockfile import exclusive
from hearthwatch.artifacts.tokens import TextDescription
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.runtimes.small_files import replace_atomically
from hearthwatch.vision.embeddings import average_embedding
from hearthwatch.vision.image import Float

#: Part of the key: raise it when the way from texts to embeddings changes.
VERSION = 1
_TOLERANCE = 1e-3

R = TypeVar("R")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is asked of every picture.

    Attributes:
        tower: the model that reads the texts.
        texts: what a picture may show.
        templates: sentences with `{}` for a text, over which its embedding is averaged; none: the text itself.
    """

    tower: type[TextAdapter[Any]]
    texts: tuple[str, ...]
    templates: tuple[str, ...] = ()

    def sentences(self, text: str) -> tuple[str, ...]:
        """What is read for one text."""
        return tuple(template.replace("{}", text) for template in self.templates) or (text,)


@dataclass(frozen=True, slots=True, eq=False)
class PromptEmbeddings:
    """A model's texts as a text tower has them.

    Attributes:
        embeddings: (N, D) float32 of length 1, in the order of the texts.
        digest: of the checkpoint that both towers come from; a picture's embedding must have the same.
    """

    embeddings: Float
    digest: str


class PromptedNetwork(ImageNetwork[R]):
    """A vision tower whose results are comparisons of pictures with its prompts."""

    PROMPTS: ClassVar[Prompts]
    #: The model that the tower is without them: whoever converts it compares that one's results.
    BARE: ClassVar[type[PictureAdapter[Any]]]

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self._prompts: PromptEmbeddings | None = None

    @property
    @abstractmethod
    def space(self) -> tuple[str, int]:
        """Digest of the checkpoint that both towers come from, and how many numbers its embeddings have."""

    @property
    def texts(self) -> Float:
        """(N, D), in the order of `PROMPTS`.

        Raises:
            InferenceFailed: nobody has given them.
        """
        if self._prompts is None:
            raise InferenceFailed(f"{self.SPEC.name} was not given the texts that it compares pictures with")
        return self._prompts.embeddings

    def compare_with(self, prompts: PromptEmbeddings) -> None:
        """Take the texts, before the first picture.

        Raises:
            WeightsInvalid: they are of another checkpoint, or do not say that they are of this one.
        """
        (own, numbers), theirs = self.space, prompts.embeddings.shape[1]
        if (own, numbers) != (prompts.digest, theirs):
            raise WeightsInvalid(
                f"{self.SPEC.name} embeds pictures by {own} ({numbers} numbers) and {self.PROMPTS.tower.SPEC.name} "
                f"texts by {prompts.digest} ({theirs} numbers): only towers of one checkpoint can be compared; cards "
                "with the same `space` say that they are"
            )
        self._prompts = prompts


def judged_by(model: type[Adapter[Any]]) -> type[Adapter[Any]]:
    """The model whose results tell whether a conversion gives the same answers.

    What a tower says of its prompts needs the other tower as well; what it says by itself is what was converted.
    """
    return model.BARE if issubclass(model, PromptedNetwork) else model


def prompt_embeddings(
    prompts: Prompts,
    description: TextDescription,
    cache_dir: Path | None,
    read: Callable[[Sequence[str]], Sequence[Any]],
) -> PromptEmbeddings:
    """The embeddings, from the cache or made now. Processes that ask together make them once.

    Args:
        prompts: which.
        description: of the text tower's file.
        cache_dir: where they are kept; None keeps none.
        read: loads the text tower, has it read these texts, and gives it back; only called where nothing is kept.

    Raises:
        HearthwatchError: the text tower cannot be loaded or does not answer.
    """
    digest = description.card.space or f"sha256:{description.graph.digest[:16]}"
    if cache_dir is None:
        return PromptEmbeddings(_read(prompts, read), digest)
    path = cache_dir / "prompts" / f"{_key(prompts, description)}.npy"
    with _turn(path):
        embeddings = _kept(path, len(prompts.texts))
        if embeddings is None:
            embeddings = _read(prompts, read)
            _keep(path, embeddings)
    return PromptEmbeddings(embeddings, digest)


def _read(prompts: Prompts, read: Callable[[Sequence[str]], Sequence[Any]]) -> Float:
    sentences = [prompts.sentences(text) for text in prompts.texts]
    rest = iter(read([sentence for group in sentences for sentence in group]))
    groups = [[next(rest) for _ in group] for group in sentences]
    cut = sum(one.truncated for group in groups for one in group)
    if cut:
        _log.warning("prompts tower=%s truncated=%d of=%d", prompts.tower.SPEC.name, cut, sum(map(len, groups)))
    return np.stack([average_embedding([one.embedding for one in group]) for group in groups])


def _key(prompts: Prompts, description: TextDescription) -> str:
    """By the file's own digest: what a card says of a file may stay the same when the file does not."""
    facts = [str(VERSION), description.graph.digest, repr(description.input), *prompts.templates, "", *prompts.texts]
    return hashlib.sha256("\x1f".join(facts).encode()).hexdigest()[:32]


def _kept(path: Path, count: int) -> Float | None:
    """What was kept, or None; what is damaged is made again."""
    try:
        array = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != count:
        return None
    lengths = np.linalg.norm(array, axis=1)
    # A NaN is not near 1 either.
    return array if (np.abs(lengths - 1) < _TOLERANCE).all() else None


def _keep(path: Path, embeddings: Float) -> None:
    stream = io.BytesIO()
    np.save(stream, embeddings, allow_pickle=False)
    try:
        replace_atomically(path, stream.getvalue())
    except OSError as error:
        _log.warning("prompts file=%s kept=no reason=%s", path, error)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One at a time; where the cache cannot be written, each for himself."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(path.with_suffix(".lock")))
        except OSError as error:
            _log.warning("prompts file=%s locked=no reason=%s", path, error)
        yield
