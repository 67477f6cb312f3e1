"""FashionCLIP's text tower: reads the prompts about clothes, once.

Network  the text transformer of CLIP ViT-B/32 (Radford et al. 2021, arXiv:2103.00020); that of any CLIP.
Weights  those of `fashion_clip`: one folder holds both towers. Its `vocab.json` and `merges.txt` are needed too.
Input    77 token numbers of CLIP's byte-pair encoding.
Output   (N, 512), scaled to length 1 here.
Limits   as those of `clip_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearthwatch.adapter.facade import Model
from hearthwatch.models import clip_text
from hearthwatch.models.clip_text import CLIPTextAdapter, TextEmbedding

SPEC = replace(
    clip_text.SPEC,
    name="fashion_clip_text",
    title="Clothing text embedding",
    declared_mb=250,  # 63 million weights in float32
    variables=("CLOTHING_MODEL_PATH",),
    kin=clip_text.SPEC.name,
)


class FashionTextAdapter(CLIPTextAdapter):
    """The text tower: graphs and arithmetic only."""

    SPEC = SPEC


class FashionTextModel(Model[TextEmbedding]):
    """Embed texts: `FashionTextModel("/models/fashion-clip").embed_texts(["a person in a red coat"])`."""

    ADAPTER = FashionTextAdapter

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """An embedding for each text."""
        return self._read(texts)
