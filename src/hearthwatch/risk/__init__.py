"""Facts become an assessed risk."""

from hearthwatch.risk.assessment import Level, Reason, RiskAssessment, level_of
from hearthwatch.risk.rules import assess

__all__ = ["Level", "Reason", "RiskAssessment", "assess", "level_of"]
