"""The network of the action recogniser's sample: a picture tower that looks at each frame, and their mean."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.pair import SCALE


class Chooser(nn.Module):
    """Frames to logits of some sentences, for the training: by the cosines with what a text tower made of them.

    Args:
        image: the tower, at half of the picture's size.
        texts: (T, D); they stay as they are.
    """

    texts: torch.Tensor

    def __init__(self, image: nn.Module, texts: torch.Tensor) -> None:
        super().__init__()
        self.image = image
        self.register_buffer("texts", functional.normalize(texts))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, T)."""
        return SCALE * functional.normalize(self.image(frames).float()) @ self.texts.T


class Watcher(nn.Module):
    """A clip and texts, (F, 3, 2H, 2W) and (T, D), to (1, D) and (T, D): the mean of what the tower makes of frames."""

    def __init__(self, image: nn.Module) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.AvgPool2d(2), image)

    def forward(self, frames: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # X-CLIP's texts depend on the clip; these stay as they came.
        return functional.normalize(self.tower(frames)).mean(dim=0, keepdim=True), texts * 1.0
