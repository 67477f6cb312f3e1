"""Who judges the events of a run: a language model where one is named, else the rules."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import typer

from hearthwatch.analysis import Judge
from hearthwatch.errors import EnrichmentUnavailableError, InputError, SettingsError
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.prompt import CountTokens, Prompt, Templates, build_prompt
from hearthwatch.prompt.fact import Scene
from hearthwatch.prompt.rendering import PACKAGED
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, Question, RiskAssessment, private_of
from hearthwatch.risk.points import DOCUMENTED, Points
from hearthwatch.risk.rules import assess
from hearthwatch.settings import URL, Settings, read_settings

Llm = Annotated[
    str | None, typer.Option(metavar="URL", help="Language model that judges, else LLM_URL; none: the rules alone.")
]
AllowRemoteLlm = Annotated[
    bool, typer.Option("--allow-remote-llm", help="Let it be outside the private network; names go as pseudonyms.")
]
PromptFolder = Annotated[
    Path | None, typer.Option("--prompt", metavar="FOLDER", help="Templates to ask the language model with.")
]
PointsFile = Annotated[
    Path | None, typer.Option("--points", metavar="FILE", help="Points that the rules give instead.")
]
#: Of `--llm`: the rules alone, whatever the environment says.
NOBODY = "none"


@dataclass(frozen=True, slots=True)
class Judging:
    """What the options and the environment say.

    Attributes:
        config: of the language model; None where the rules judge.
        points: of the rules, where they judge alone.
        templates: of the prompt, where a language model is asked.
    """

    config: LanguageModelConfig | None
    points: Points = DOCUMENTED
    templates: Templates = PACKAGED

    @classmethod
    def of(cls, settings: Settings, url: str | None, *, allow_remote: bool = False) -> Self:
        """As `--llm` and `--allow-remote-llm` say, and the environment where they say nothing.

        Raises:
            typer.BadParameter: no address.
        """
        if url == NOBODY:
            return cls(None)
        if url is not None and not re.fullmatch(URL, url):
            raise typer.BadParameter(f"{url!r} is no address such as http://127.0.0.1:8091", param_hint="--llm")
        return cls(LanguageModelConfig.of(settings, url, allow_remote=allow_remote))


def judging_by(llm: str | None, prompt: Path | None, points: Path | None, *, allow_remote: bool) -> Judging:
    """What the options of a command say.

    Raises:
        typer.BadParameter: an option that cannot hold, or not beside the others.
    """
    judging = Judging.of(read_settings(), llm, allow_remote=allow_remote)
    if points is not None and judging.config is not None:
        said = "points are those of the rules alone, and a language model is named: add --llm none"
        raise typer.BadParameter(said, param_hint="--points")
    if prompt is not None and judging.config is None:
        said = "a prompt is for a language model, and none is named: add --llm"
        raise typer.BadParameter(said, param_hint="--prompt")
    try:
        return replace(
            judging,
            points=DOCUMENTED if points is None else Points.read(points),
            templates=PACKAGED if prompt is None else _templates(prompt),
        )
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="--points" if prompt is None else "--prompt") from error


def _templates(folder: Path) -> Templates:
    """Those of a folder, tried once: a mistake in them is no reason to let the rules judge event after event."""
    templates = Templates(folder)
    build_prompt(Scene((), None), None, budget_tokens=sys.maxsize, templates=templates)
    return templates


@asynccontextmanager
async def judge_by(judging: Judging, tell: Callable[[str], None]) -> AsyncIterator[Judge]:
    """The judge, for as long as the block lasts.

    Args:
        judging: who it is.
        tell: shows a sentence to whoever started the run.

    Raises:
        typer.BadParameter: the language model is elsewhere, which nobody has allowed.
    """
    if judging.config is None:
        yield _by_rules(judging.points)
        return
    with _told_of_the_option():
        analyzer = NemotronAnalyzer(judging.config)
    async with analyzer:
        with _told_of_the_option():
            await _look(analyzer, tell)
        yield _by_language_model(analyzer, judging.config, judging.templates)


@contextmanager
def _told_of_the_option() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="--llm") from error


async def _look(analyzer: NemotronAnalyzer, tell: Callable[[str], None]) -> None:
    try:
        place = await analyzer.place()
    except EnrichmentUnavailableError as error:
        tell(f"the rules judge until it answers: {error}")
        return
    if place is not None and not place.is_near:
        tell("the language model is outside this network: names and plates are sent as pseudonyms, the rest as it is")


def _by_rules(points: Points) -> Judge:
    async def judge(
        scene: Scene, _detections: Sequence[DetectionInput], _enrichment: EnrichmentResult | None
    ) -> RiskAssessment:
        return assess(scene, points)

    return judge


def _by_language_model(analyzer: NemotronAnalyzer, config: LanguageModelConfig, templates: Templates) -> Judge:
    async def judge(
        scene: Scene, detections: Sequence[DetectionInput], enrichment: EnrichmentResult | None
    ) -> RiskAssessment:
        def ask(shown: Scene, count: CountTokens) -> Question:
            # Of what is shown, and not of the scene: names and plates are hidden there from a model elsewhere.
            build = partial(
                build_prompt,
                shown,
                enrichment,
                budget_tokens=config.prompt_tokens,
                templates=templates,
            )
            return _fitting(build, count)

        return await analyzer.analyze(scene, ask, private_of(detections, enrichment))

    return judge


def _fitting(build: Callable[..., Prompt], count: CountTokens) -> Prompt:
    """Mostly everything fits by the bound, which takes no request; where it does not, it may by the server's count."""
    with suppress(InputError):
        if not (prompt := build()).dropped:
            return prompt
    return build(count_tokens=count)
