"""Continuous profiling with Pyroscope, where the extra `observe` is installed and a server answers.

Whatever is missing costs one line in the log: never a delay, never the service.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

#: Seconds that the server has to answer the first connection; nobody waits for it.
CONNECT_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)

#: Pyroscope's own `configure`.
Configure = Callable[..., Any]


def start_profiling(
    url: str, application: str, tags: Mapping[str, str], *, configure: Configure | None = None
) -> threading.Thread:
    """Profile this process from now on; returns at once.

    Args:
        url: of the Pyroscope server.
        application: the name that the profiles are kept under.
        tags: further labels of theirs.
        configure: starts the profiler; None takes that of the package.

    Returns:
        The thread that tries; it ends by itself.
    """
    arguments = (url, application, dict(tags), configure)
    thread = threading.Thread(target=_start, args=arguments, name="profiling", daemon=True)
    thread.start()
    return thread


def _start(url: str, application: str, tags: dict[str, str], configure: Configure | None) -> None:
    try:
        parts = urlsplit(url)
        if parts.hostname is None:
            raise ValueError("it names no host")
        # Asked first: the profiler itself would retry, and say so, for ever.
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S).close()
        (configure or _configure())(application_name=application, server_address=url, tags=tags)
    except ImportError:
        _log.warning('profiling off url=%s reason=pip install "hearthwatch[observe]" brings the profiler', url)
    except Exception as error:  # noqa: BLE001 - a profiler must not hurt what it profiles
        _log.warning("profiling off url=%s reason=%s", url, error)
    else:
        _log.info("profiling on url=%s application=%s", url, application)


def _configure() -> Configure:
    import pyroscope  # the extra `observe`

    configure: Configure = pyroscope.configure
    return configure
