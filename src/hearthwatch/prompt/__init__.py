"""Enrichments become ordered facts, and facts a prompt."""

from hearthwatch.prompt.build import Prompt, build_prompt
from hearthwatch.prompt.clothing import format_enhanced_clothing_context
from hearthwatch.prompt.counting import CountTokens, bytes_at_most
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.prompt.rendering import PROMPT_VERSION

__all__ = [
    "PROMPT_VERSION",
    "CountTokens",
    "Fact",
    "Importance",
    "Prompt",
    "Scene",
    "build_prompt",
    "bytes_at_most",
    "collect_facts",
    "format_enhanced_clothing_context",
]
