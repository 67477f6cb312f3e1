"""How an enrichment went, in one word."""

from __future__ import annotations

from enum import StrEnum


class EnrichmentStatus(StrEnum):
    """How an enrichment went."""

    FULL = "full"  #: every model that was asked answered
    PARTIAL = "partial"  #: some answered; others failed, or were left out for want of time
    FAILED = "failed"  #: all failed
    SKIPPED = "skipped"  #: none was asked


def status_of(*, answered: bool, failed: bool, late: bool = False) -> EnrichmentStatus:
    """The word for what became of some models.

    Args:
        answered: at least one answered.
        failed: at least one failed, or a detection was lost.
        late: at least one was left out for want of time.
    """
    if answered:
        return EnrichmentStatus.PARTIAL if failed or late else EnrichmentStatus.FULL
    return EnrichmentStatus.FAILED if failed else EnrichmentStatus.SKIPPED
