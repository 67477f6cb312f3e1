"""Talking to a model hub: what it says about a file, and the file's bytes from a given position on.

`hf_hub_download` is not used: in huggingface_hub 2.4 it throws away what it has when a process ends in the middle, and
weights of gigabytes must continue where they stopped. Its building blocks are used: addresses, headers with the user's
token, metadata, errors.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import hearthwatch
from hearthwatch.errors import PullError

#: Seconds without an answer or a byte after which a server is taken for dead.
TIMEOUT_S = 30.0

_IMPORT_LOCK = threading.Lock()


class Interrupted(Exception):
    """The connection broke or the server is overloaded; trying again may help. Never leaves this package."""


class NotOnHub(PullError):
    """The hub has no such repository, revision or file."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says about one file.

    Attributes:
        repository: owner/name.
        path: inside the repository.
        revision: the commit.
        size_bytes: of the whole file.
        etag: identifies the bytes; empty where the hub gives none.
        sha256: where the hub states it (it does for files in large-file storage).
        licence: as the repository's card states it; None where it cannot be read.
    """

    repository: str
    path: str
    revision: str
    size_bytes: int
    etag: str
    sha256: str | None
    licence: str | None


class HubClient:
    """One hub, by its address.

    Args:
        endpoint: address of the hub, such as a mirror's.

    Raises:
        PullError: the address is none.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")
        # A token of the hub is not sent in the clear, and so not to whatever listens on a loopback port.
        self._token: bool | None = None if _checked_scheme(endpoint) == "https" else False

    def describe(self, repository: str, path: str, revision: str) -> Remote:
        """Ask for a file's commit, size and licence.

        Raises:
            PullError: there is no such repository, revision or file, access is refused, or nobody answers.
        """
        hub = _library()
        with self._translated(hub, repository, path):
            url = hub.hf_hub_url(repository, path, revision=revision, endpoint=self.endpoint)
            found = hub.get_hf_file_metadata(
                url, token=self._token, timeout=TIMEOUT_S, endpoint=self.endpoint, **_SIGNATURE
            )
            if not found.commit_hash or not found.size:
                raise PullError(f"{self.endpoint} answers, but not as a model hub does (no commit or size for {path})")
        etag = found.etag or ""
        return Remote(
            repository=repository,
            path=path,
            revision=found.commit_hash,
            size_bytes=found.size,
            etag=etag,
            sha256=etag.lower() if len(etag) == 64 and _is_hex(etag) else None,
            licence=self._licence(hub, repository, found.commit_hash),
        )

    @contextmanager
    def open(self, remote: Remote, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open a file's bytes from a position on.

        Yields:
            Where the bytes really start (0 where the server cannot continue) and the bytes, as they come.

        Raises:
            Interrupted: try again, from where the bytes ended.
            PullError: trying again does not help.
        """
        hub = _library()
        url = hub.hf_hub_url(remote.repository, remote.path, revision=remote.revision, endpoint=self.endpoint)
        headers = {**hub.build_hf_headers(token=self._token, **_SIGNATURE), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with (
            self._translated(hub, remote.repository, remote.path, retry=True),
            hub.get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response,
        ):
            hub.hf_raise_for_status(response)
            partial = response.status_code == 206
            if partial and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise PullError(f"{self.endpoint} answered another part of {remote.path} than the one asked for")
            # As they come: with a chunk size, the bytes since the last full chunk would be lost when the line breaks.
            yield (start if partial else 0), response.iter_bytes()

    def _licence(self, hub: _Library, repository: str, revision: str) -> str | None:
        """Read the licence from the repository's card; a mirror without that page costs only this fact."""
        try:
            info = hub.HfApi(endpoint=self.endpoint, token=self._token, **_SIGNATURE).model_info(
                repository, revision=revision, timeout=TIMEOUT_S
            )
        except Exception:  # noqa: BLE001  (whatever a mirror answers there: the file itself is what counts)
            return None
        tags = (tag.partition(":") for tag in info.tags or ())
        return next((value for name, _, value in tags if name == "license" and value), None)

    @contextmanager
    def _translated(self, hub: _Library, repository: str, path: str, *, retry: bool = False) -> Iterator[None]:
        try:
            yield
        except hub.TooManyRedirects as error:
            raise PullError(f"{self.endpoint} sends the request for {path} round in circles") from error
        except hub.RequestError as error:
            reason = str(error) or type(error).__name__
            if retry:
                raise Interrupted(reason) from error
            raise PullError(f"{self.endpoint} cannot be reached: {reason}") from error
        except hub.HfHubHTTPError as error:
            status = error.response.status_code
            if retry and status in _TRY_AGAIN:
                raise Interrupted(f"{self.endpoint} answered {status}") from error
            raise self._refusal(hub, error, status, repository, path) from error
        except (hub.HFValidationError, hub.InvalidURL) as error:
            raise PullError(f"{path} of {repository!r} cannot be asked for: {error}") from error

    def _refusal(self, hub: _Library, error: Exception, status: int, repository: str, path: str) -> PullError:
        page = f"{self.endpoint}/{repository}"
        if isinstance(error, hub.GatedRepoError):
            return PullError(f"{page} is gated: accept its terms there and log in with a token (HF_TOKEN)")
        if isinstance(error, hub.RevisionNotFoundError):
            return NotOnHub(f"{page} no longer has the revision that was asked for")
        if isinstance(error, hub.EntryNotFoundError):
            return NotOnHub(f"{page} has no file {path}")
        if isinstance(error, hub.RepositoryNotFoundError):
            return NotOnHub(f"there is no repository {page}, or it is private")
        if status == 404:
            return NotOnHub(f"{page} has no {path}")
        if status in {401, 403}:
            return PullError(f"{page} refuses access ({status}); if it is private or gated, log in with HF_TOKEN")
        return PullError(f"{page} answered {status} for {path}")


#: 416 is none of them: it means that what we hold is no beginning of this file.
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_SIGNATURE = {"library_name": "hearthwatch", "library_version": hearthwatch.__version__}


@dataclass(frozen=True)
class _Library:
    """What is used of huggingface_hub, and the error classes of its HTTP library (httpx, in later versions httpx2)."""

    HfApi: Any
    build_hf_headers: Callable[..., dict[str, str]]
    get_hf_file_metadata: Callable[..., Any]
    get_session: Callable[[], Any]
    hf_hub_url: Callable[..., str]
    hf_raise_for_status: Callable[..., None]
    EntryNotFoundError: type[Exception]
    GatedRepoError: type[Exception]
    HfHubHTTPError: Any
    HFValidationError: type[Exception]
    RepositoryNotFoundError: type[Exception]
    RevisionNotFoundError: type[Exception]
    InvalidURL: type[Exception]
    RequestError: type[Exception]
    TooManyRedirects: type[Exception]


def _library() -> _Library:
    with _IMPORT_LOCK:  # two threads must not both replace the session
        return _load_library()


@functools.cache
def _load_library() -> _Library:
    # Not at the top: only `pull` needs the hub.
    import huggingface_hub as hub
    from huggingface_hub import constants, errors, utils

    # The library reads this variable when it is imported and looks at the constant at every request: without it, it
    # reports installed packages and asks the hub for a list of coding agents to report which one is running.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    if constants.HF_HUB_OFFLINE:
        raise PullError("HF_HUB_OFFLINE is set: nothing is downloaded; unset it to pull")
    http = importlib.import_module(type(utils.get_session()).__module__.partition(".")[0])

    def client() -> Any:
        # A mirror on this machine is reached directly, whatever proxy the environment names.
        direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
        return http.Client(follow_redirects=True, timeout=TIMEOUT_S, mounts=direct)

    hub.set_client_factory(client)
    return _Library(
        HfApi=hub.HfApi,
        build_hf_headers=utils.build_hf_headers,
        get_hf_file_metadata=hub.get_hf_file_metadata,
        get_session=utils.get_session,
        hf_hub_url=hub.hf_hub_url,
        hf_raise_for_status=utils.hf_raise_for_status,
        EntryNotFoundError=errors.EntryNotFoundError,
        GatedRepoError=errors.GatedRepoError,
        HfHubHTTPError=errors.HfHubHTTPError,
        HFValidationError=errors.HFValidationError,
        RepositoryNotFoundError=errors.RepositoryNotFoundError,
        RevisionNotFoundError=errors.RevisionNotFoundError,
        InvalidURL=http.InvalidURL,
        RequestError=http.RequestError,
        TooManyRedirects=http.TooManyRedirects,
    )


def _checked_scheme(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PullError(f"HF_ENDPOINT={endpoint!r} is no address; it looks like https://huggingface.co")
    return parts.scheme


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)
