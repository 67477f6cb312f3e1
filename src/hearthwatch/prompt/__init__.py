"""Enrichments become ordered facts."""

from hearthwatch.prompt.facts import Fact, Importance, Scene, collect_facts

__all__ = ["Fact", "Importance", "Scene", "collect_facts"]
