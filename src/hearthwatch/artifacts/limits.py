"""How large and how deep a checkpoint may be. Each bound is far above the largest file that is planned for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckpointLimits:
    """Bounds of one checkpoint; what is over one of them is refused with both numbers.

    Attributes:
        file_bytes: of all its files together. Florence-2-large, the largest network planned, has 3.1 GB in float32.
        pickle_bytes: of the pickled structure without the tensors. YOLOv8n's has 0.1 MB.
        opcodes: of the pickle; also elements copied while it is read, and entries of modules looked at. YOLOv8n's has
            38,000; a million takes about 2 s.
        tensors: also of modules. CLIP ViT-L/14 has 600.
        values: in one of the structures that are handed on (yaml, arguments). YOLOv8's yaml has about 200.
        depth: of modules in modules and of lists in lists. YOLOv8 has 6, transformers' networks have about 10.
        json_bytes: of a config, an index or a safetensors header. CLIP ViT-L/14's header has 0.1 MB.
    """

    file_bytes: int = 8 << 30
    pickle_bytes: int = 64 << 20
    opcodes: int = 1_000_000
    tensors: int = 100_000
    values: int = 100_000
    depth: int = 100
    json_bytes: int = 4 << 20


DEFAULT_LIMITS = CheckpointLimits()
