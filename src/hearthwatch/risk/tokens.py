"""How many tokens a text has for the server that will read it, counted from the thread that builds the prompt."""

from __future__ import annotations

import asyncio
import logging

from hearthwatch.errors import HearthwatchError
from hearthwatch.prompt.counting import CountTokens, bytes_at_most
from hearthwatch.risk.place import Place
from hearthwatch.risk.server import LanguageModelServer

_log = logging.getLogger(__name__)


def counter_of(server: LanguageModelServer, place: Place, deadline: float) -> CountTokens:
    """A function for another thread than that of the running event loop, which it asks.

    The server counts where it is near and can; from its first failure on, and where it is elsewhere (a text that is
    only counted may still hold names), the bound of `bytes_at_most` does.

    Args:
        server: that will read the text.
        place: of `LanguageModelServer.place`.
        deadline: seconds of the server's clock that counting may last to.
    """
    loop = asyncio.get_running_loop()
    can = place.is_near

    def count(text: str) -> int:
        nonlocal can
        if can:
            try:
                return asyncio.run_coroutine_threadsafe(server.count_tokens(text, place, deadline), loop).result()
            except HearthwatchError as error:
                can = False
                _log.info("tokens are counted by their bound reason=%s", error)
        return bytes_at_most(text)

    return count
