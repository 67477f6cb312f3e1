"""Models in memory."""

from hearthwatch.hosting.local import LocalRunner

__all__ = ["LocalRunner"]
