"""Templates of prompts: files beside this one. Every value that is not made harmless yet becomes so on its way in."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearthwatch.errors import SettingsError
from hearthwatch.prompt.quoting import Inert, inert

if TYPE_CHECKING:
    from jinja2 import Environment

#: The number of everything that a language model is told: the templates, and the documented strings. A change of any
#: raises it, for a judgement is worth comparing only with those of the same prompt.
PROMPT_VERSION = "prompt-1"
#: The templates of `build_prompt`, which a folder of one's own may replace, each of them or both.
SYSTEM, EVENT = "system.j2", "event.j2"
#: Characters of the digest in the version of other templates: enough to tell a day's trials apart.
_DIGEST = 8
#: Characters of a template: some sixteen times the longest of ours.
_MOST_CHARACTERS = 64 * 1024


class Templates:
    """The templates of this package, or those of a folder in front of them.

    Args:
        folder: with `system.j2`, `event.j2` or both, in Jinja; the values that `event.j2` is given are those that the
            packaged one names. They run in a sandbox: a template can ask for values and for nothing else.

    Raises:
        SettingsError: the folder has neither, or a template that cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._given = {} if folder is None else _read(folder)

    @property
    def version(self) -> str:
        """The packaged templates' number, and for others a digest beside it: equal templates have equal versions."""
        if not self._given:
            return PROMPT_VERSION
        digest = hashlib.sha256()
        for name, text in sorted(self._given.items()):
            digest.update(f"{name}\0{text}\0".encode())
        return f"{PROMPT_VERSION}+{digest.hexdigest()[:_DIGEST]}"

    def render(self, template: str, **values: Any) -> str:
        """A template, filled in, without a line end after its last line.

        Args:
            template: the name of its file.
            values: all that it names; one that is missing is an error and no empty place.

        Raises:
            SettingsError: a template of the folder is no template, or asks for what it is not given.
        """
        if template not in self._given:
            return self._environment.get_template(template).render(values).rstrip("\n")
        # What goes wrong in somebody's own template is told in a sentence, whatever it is.
        try:
            return self._environment.get_template(template).render(values).rstrip("\n")
        except Exception as error:
            raise SettingsError(f"the template {template} cannot be used: {error}") from error

    @cached_property
    def _environment(self) -> Environment:
        # Imported here: only who asks a language model pays for the template engine.
        from jinja2 import ChoiceLoader, DictLoader, PackageLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # No HTML: its escapes would only hide what was seen. `_finalize` does for a prompt what they do for a page.
        return ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([DictLoader(self._given), PackageLoader("hearthwatch.prompt")]),
            autoescape=False,
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )


PACKAGED = Templates()


def render(template: str, **values: Any) -> str:
    """A template of this package, filled in: `Templates.render`."""
    return PACKAGED.render(template, **values)


def _read(folder: Path) -> dict[str, str]:
    given: dict[str, str] = {}
    for name in (SYSTEM, EVENT):
        path = folder / name
        try:
            with path.open(encoding="utf-8") as stream:
                text = stream.read(_MOST_CHARACTERS + 1)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} cannot be read: {error}") from error
        if len(text) > _MOST_CHARACTERS:
            raise SettingsError(f"{path} has more than {_MOST_CHARACTERS} characters")
        given[name] = text
    if not given:
        raise SettingsError(f"{folder} has neither {SYSTEM} nor {EVENT}")
    return given


def _finalize(value: Any) -> Any:
    return inert(value) if isinstance(value, str) and not isinstance(value, Inert) else value
