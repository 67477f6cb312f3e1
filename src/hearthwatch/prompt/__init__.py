"""Enrichments become ordered facts, and sections of a prompt."""

from hearthwatch.prompt.clothing import format_enhanced_clothing_context
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.facts import collect_facts

__all__ = ["Fact", "Importance", "Scene", "collect_facts", "format_enhanced_clothing_context"]
