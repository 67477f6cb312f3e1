"""X-CLIP's text tower: what a person may be doing, as numbers that its video tower compares a clip with.

Network  the text transformer of X-CLIP base (Ni et al. 2022, arXiv:2208.02816), which is that of CLIP.
Weights  those of `action_recognizer`: one folder holds both towers. Its `vocab.json` and `merges.txt` are needed too.
Input    77 token numbers of CLIP's byte-pair encoding; what is longer is cut, and the result says so.
Output   (N, 512) as the tower gives them. Not scaled to length 1: what a clip adds to a text depends on its length.
Limits   English. Asked by the action recogniser alone; what it read is kept, so it is seldom in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearthwatch.adapter.agreement import Agreement, same_vector
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.tokens import TokenSpec
from hearthwatch.models import clip_text
from hearthwatch.models.clip_text import CONTEXT_LENGTH, CLIPTextAdapter, TextEmbedding

SPEC = Spec(
    name="action_text",
    title="Action text embedding",
    scope=Scope.TEXT,
    priority=Priority.LOW,
    triggers=(),
    declared_mb=250,
    input=TokenSpec("input_ids", CONTEXT_LENGTH),
    agreement=Agreement("cosine and length", 0.995, lambda a, b: same_vector(a.embedding, b.embedding)),
    variables=("ACTION_MODEL_PATH",),
    tower="text",
    kin=clip_text.SPEC.name,
)


class ActionTextAdapter(CLIPTextAdapter):
    """The text tower: graphs and arithmetic only."""

    SPEC = SPEC
    UNIT = False


class ActionTextModel(Model[TextEmbedding]):
    """Read labels: `ActionTextModel("/models/xclip-base-patch16-zero-shot").read_texts(["person running"])`."""

    ADAPTER = ActionTextAdapter

    def read_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """The features of each text."""
        return self._read(texts)
