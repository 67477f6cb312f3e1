"""Enrichments become ordered facts, and facts a prompt."""

from hearthwatch.prompt.build import Prompt, build_prompt
from hearthwatch.prompt.clothing import format_enhanced_clothing_context
from hearthwatch.prompt.counting import CountTokens, bytes_at_most
from hearthwatch.prompt.documented import MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT, ONDEMAND_ENRICHMENT_SECTION
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.prompt.florence import format_florence_scene_context
from hearthwatch.prompt.ondemand import format_ondemand_enrichment_context
from hearthwatch.prompt.rendering import PROMPT_VERSION, Templates

__all__ = [
    "MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT",
    "ONDEMAND_ENRICHMENT_SECTION",
    "PROMPT_VERSION",
    "CountTokens",
    "Fact",
    "Importance",
    "Prompt",
    "Scene",
    "Templates",
    "build_prompt",
    "bytes_at_most",
    "collect_facts",
    "format_enhanced_clothing_context",
    "format_florence_scene_context",
    "format_ondemand_enrichment_context",
]
