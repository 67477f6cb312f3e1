"""Facts become an assessed risk."""

from hearthwatch.risk.assessment import (
    AppliedBound,
    ConfidenceFactors,
    Entity,
    Flag,
    Level,
    Reason,
    RiskAssessment,
    level_of,
)
from hearthwatch.risk.configuration import LanguageModelConfig
from hearthwatch.risk.nemotron import NemotronAnalyzer, Question
from hearthwatch.risk.points import Points
from hearthwatch.risk.pseudonyms import Private, private_of
from hearthwatch.risk.rules import assess

__all__ = [
    "AppliedBound",
    "ConfidenceFactors",
    "Entity",
    "Flag",
    "LanguageModelConfig",
    "Level",
    "NemotronAnalyzer",
    "Points",
    "Private",
    "Question",
    "Reason",
    "RiskAssessment",
    "assess",
    "level_of",
    "private_of",
]
