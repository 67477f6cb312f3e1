"""Templates of prompts: files beside this one. Every value that is not made harmless yet becomes so on its way in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hearthwatch.prompt.quoting import Inert, inert

if TYPE_CHECKING:
    from jinja2 import Environment

#: The number of everything that a language model is told: the templates, and the documented strings. A change of any
#: raises it, for a judgement is worth comparing only with those of the same prompt.
PROMPT_VERSION = "prompt-1"


def render(template: str, **values: Any) -> str:
    """A template of this package, filled in, without a line end after its last line.

    Args:
        template: the name of its file.
        values: all that it names; one that is missing is an error and no empty place.
    """
    return _environment().get_template(template).render(values).rstrip("\n")


@cache
def _environment() -> Environment:
    # Imported here: only who asks a language model pays for the template engine.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # No HTML: its escapes would only hide what was seen. `_finalize` does for a prompt what they do for a page.
    return Environment(
        loader=PackageLoader("hearthwatch.prompt"),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: Any) -> Any:
    return inert(value) if isinstance(value, str) and not isinstance(value, Inert) else value
