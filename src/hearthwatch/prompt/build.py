"""`build_prompt`: the facts of one event as what a language model is asked, inside a budget of tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from hearthwatch.errors import InputError
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.prompt.counting import CountTokens, bytes_at_most
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.in_vain import facts_in_vain, joined
from hearthwatch.prompt.lines import counted, line_of, names_of
from hearthwatch.prompt.quoting import Inert, quoted
from hearthwatch.prompt.rendering import EVENT, PACKAGED, SYSTEM, Templates

_HEADINGS: Mapping[Importance, str] = {
    Importance.THREAT: "Threats",
    Importance.POSTURE: "What stands out",
    Importance.IDENTITY: "Who it is",
    Importance.PRESENCE: "In view",
    Importance.CONTEXT: "Beside that",
    Importance.ABSENT: "Not known",
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a language model is asked about one event.

    Attributes:
        system: what it has to do, the same byte by byte for every event, so that a server keeps it.
        user: the event.
        version: of both (`Templates.version`).
        dropped: facts (lines) that there was no room for; the prompt says so too.
        tokens: of both together, by the counter that was given; what the server's chat template adds is not in it.
    """

    system: str
    user: str
    version: str
    dropped: int
    tokens: int


def build_prompt(
    scene: Scene,
    enrichment: EnrichmentResult | None,
    *,
    budget_tokens: int,
    count_tokens: CountTokens = bytes_at_most,
    templates: Templates = PACKAGED,
) -> Prompt:
    """Ask about one event.

    Facts stand in order of their importance, and the last ones leave first where there is no room for all.

    Args:
        scene: the facts.
        enrichment: what they were collected from, for what was looked for in vain; None where nothing was attempted.
        budget_tokens: for system and user together. Leave room for the answer and the server's chat template.
        count_tokens: a text to its number of tokens; by default a bound that is never too low and mostly four times
            too high. It is asked once about the system part and, where not all fits, a few times, at most
            twice log2(facts).
        templates: other ones, to try them.

    Raises:
        InputError: there is no room even without any fact; the message has both numbers.
        SettingsError: a template of somebody's own cannot be used.
    """
    facts = joined(sorted([*scene.facts, *facts_in_vain(enrichment)], key=lambda fact: fact.importance))
    whole = replace(scene, facts=tuple(facts))
    names = names_of(whole)
    lines = [line_of(fact, names) for fact in facts]
    ask = _asking(whole, lines, templates)
    system = templates.render(SYSTEM)
    beside = count_tokens(system)
    counts = _Counts(lambda kept: beside + count_tokens(ask(kept)))
    kept = _most_that_fit(counts, [len(line) for line in lines], budget_tokens)
    if kept is None:
        least = counts(0)
        raise InputError(f"a prompt without any fact has {least} tokens; allowed are {budget_tokens}")
    return Prompt(system, ask(kept), templates.version, len(facts) - kept, counts(kept))


class _Counts:
    """Tokens by the number of facts that are kept, each counted once: a counter may be a server."""

    def __init__(self, count: Callable[[int], int]) -> None:
        self._count = count
        self._known: dict[int, int] = {}

    def __call__(self, kept: int) -> int:
        if kept not in self._known:
            self._known[kept] = self._count(kept)
        return self._known[kept]


def _most_that_fit(counts: _Counts, lengths: Sequence[int], budget: int) -> int | None:
    """How many of the first facts fit; None where not even none of them does. What is returned was counted.

    Tokens go with characters, so that the place between two counts is mostly hit at once; every second step halves, so
    that it never takes many.

    Args:
        counts: tokens by the number of facts.
        lengths: characters of each fact.
        budget: tokens.
    """
    number = len(lengths)
    if counts(number) <= budget:
        return number
    if number == 0 or counts(0) > budget:
        return None
    ends = [0, *accumulate(lengths)]
    fits, too_many, halve = 0, number, False
    while too_many - fits > 1:
        share = 0.5 if halve else (budget - counts(fits)) / (counts(too_many) - counts(fits))
        length = ends[fits] + (ends[too_many] - ends[fits]) * share
        tried = min(max(bisect_right(ends, length) - 1, fits + 1), too_many - 1)
        if counts(tried) <= budget:
            fits = tried
        else:
            too_many = tried
        halve = not halve
    return fits


def _asking(scene: Scene, lines: Sequence[Inert], templates: Templates) -> Callable[[int], str]:
    """The user's part by the number of facts that it tells."""
    header = {
        "time": None if scene.when is None else f"{scene.when:%Y-%m-%d %H:%M}",
        "camera": None if scene.camera is None else quoted(scene.camera),
        "counted": counted(scene),
    }

    def ask(kept: int) -> str:
        lost = scene.facts[kept:]
        return templates.render(
            EVENT,
            **header,
            groups=_grouped(scene.facts[:kept], lines),
            dropped=len(lost),
            lost_threats=sum(fact.importance is Importance.THREAT for fact in lost),
        )

    return ask


def _grouped(facts: Sequence[Fact], lines: Sequence[Inert]) -> list[tuple[str, list[Inert]]]:
    told = zip(facts, lines, strict=False)
    groups = groupby(told, key=lambda one: one[0].importance)
    return [(_HEADINGS[importance], [line for _, line in group]) for importance, group in groups]
