"""Fetching one weight file into the models directory.

The file grows in `.staging` and is renamed into its folder only when its size and digest hold: a reader never sees a
part, and a failed pull leaves what was there before. The digest is the catalog's; where that has none, the first pull
is trusted and recorded in the lock file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import orjson

from hearthwatch.artifacts.catalog import PERMISSIVE_ALTERNATIVES, CatalogEntry, entries_for, licence_class
from hearthwatch.artifacts.download import Hooks, download
from hearthwatch.artifacts.hub import HubClient, NotOnHub, Remote
from hearthwatch.artifacts.lockfile import LOCK_FILE, LockRow, exclusive, read_lock, record
from hearthwatch.errors import PullError

Policy = Literal["any", "permissive"]

STAGING = ".staging"


@dataclass(frozen=True, slots=True)
class PulledFile:
    """What became of one file.

    Attributes:
        entry: the catalog's row.
        path: where the file is now.
        status: `downloaded`, or `present` when it was there already.
        sha256: of the file; empty for a present file of unknown origin.
        size_bytes: of the file.
        revision: the commit it came from, where known.
        licence: as the repository states it, where known.
        notes: sentences: what is not as the catalog says, and what was trusted.
    """

    entry: CatalogEntry
    path: Path
    status: Literal["downloaded", "present"]
    sha256: str
    size_bytes: int
    revision: str | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()


def pull(
    entry: CatalogEntry,
    models_dir: Path,
    *,
    endpoint: str,
    offline: bool = False,
    policy: Policy = "any",
    force: bool = False,
    hooks: Hooks | None = None,
) -> PulledFile:
    """Bring one weight file into the models directory; a file that is there with the right digest is left alone.

    Args:
        entry: the catalog's row.
        models_dir: made where it does not exist.
        endpoint: address of the hub.
        offline: refuse to download.
        policy: `permissive` refuses every licence that is not known to be permissive.
        force: replace what is there, and forget which revision was pulled first.
        hooks: who is told what.

    Raises:
        PullError: refused or failed, with the reason; what was there before is untouched.
        WeightsInvalid: the lock file is corrupt.
    """
    hooks = hooks or Hooks()
    if entry.repository is None:
        where = f"it comes inside the package {entry.bundled_in}" if entry.bundled_in else entry.manual
        raise PullError(f"{entry.file} of {entry.model} is on no hub: {where}")
    _refuse_licence(entry, entry.licence, policy)
    models_dir = models_dir.resolve()
    target = _target(entry, models_dir)
    try:
        if not force and (present := _present(entry, models_dir, target)):
            return present
        if offline:
            raise PullError(f"HEARTHWATCH_OFFLINE is set: {entry.source} is not downloaded")
        client = HubClient(endpoint)
        staging = models_dir / STAGING
        staging.mkdir(parents=True, exist_ok=True)
        with exclusive(staging / f"{entry.folder}--{entry.file}.guard", hooks.on_wait):
            # Looked at again: another process may have brought it while this one waited.
            if not force and (present := _present(entry, models_dir, target)):
                return present
            return _fetch(entry, models_dir, target, client, policy=policy, force=force, hooks=hooks)
    except OSError as error:
        raise PullError(f"{models_dir} cannot be written: {error.strerror or error}") from error


def _target(entry: CatalogEntry, models_dir: Path) -> Path:
    for name in (entry.folder, entry.file):
        if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
            raise PullError(f"{name!r} is no name of a file or folder to write to")
    if any(part in {"", ".", ".."} for part in entry.path_in_repository.split("/")):
        raise PullError(f"{entry.path_in_repository!r} is no path inside a repository")
    folder = models_dir / entry.folder
    for path in (models_dir / STAGING, folder, folder / entry.file):
        if path.is_symlink():
            raise PullError(f"{path} is a symbolic link; pull writes to plain files and folders only")
    return folder / entry.file


def _present(entry: CatalogEntry, models_dir: Path, target: Path) -> PulledFile | None:
    """Tell whether the file is there; one with another digest than it should have is an error."""
    if not target.exists():
        return None
    row = _row(entry, models_dir)
    expected = entry.sha256 or (row.sha256 if row else None)
    size = target.stat().st_size
    if expected is None:
        note = f"{target} was there before and its origin is not known; --force fetches it again"
        return PulledFile(entry, target, "present", "", size, notes=(note,))
    digest = _digest(target)
    if digest != expected:
        raise PullError(
            f"{target} is there with sha256 {digest}, not {expected}: it is damaged or not the catalog's file;"
            " move it away, or replace it with --force"
        )
    return PulledFile(
        entry, target, "present", digest, size, row.revision if row else None, row.license if row else None
    )


def _fetch(
    entry: CatalogEntry,
    models_dir: Path,
    target: Path,
    client: HubClient,
    *,
    policy: Policy,
    force: bool,
    hooks: Hooks,
) -> PulledFile:
    row = None if force else _row(entry, models_dir)
    remote = _describe(entry, client, row.revision if row else entry.revision)
    if remote.licence is not None:
        _refuse_licence(entry, remote.licence, policy)
    expected, origin = (entry.sha256, "the catalog") if entry.sha256 else (row.sha256 if row else None, LOCK_FILE)
    if expected and remote.sha256 and remote.sha256 != expected:
        raise PullError(_mismatch(entry, remote.sha256, expected, origin) + "; nothing was downloaded")
    hooks.on_start(entry, remote)
    partial = download(client, remote, models_dir / STAGING, f"{entry.folder}--{entry.file}", hooks)
    digest = _digest(partial)
    if digest != (expected or remote.sha256 or digest):
        partial.unlink()
        wanted, origin = (expected, origin) if expected else (remote.sha256 or "", "the hub")
        raise PullError(_mismatch(entry, digest, wanted, origin) + "; the download was thrown away")
    target.parent.mkdir(exist_ok=True)
    partial.replace(target)
    _write_card(entry, target)
    record(models_dir, _key(entry), _new_row(entry, remote, digest, hooks.now()))
    notes = _notes(entry, remote, digest, known=expected is not None)
    return PulledFile(entry, target, "downloaded", digest, remote.size_bytes, remote.revision, remote.licence, notes)


def _write_card(entry: CatalogEntry, target: Path) -> None:
    """What is known of the file and not in it; a card that is there is somebody's own and stays."""
    card = target.with_suffix(".json")
    if entry.card and not card.exists():
        facts = {"model": entry.model, "license": entry.licence, "source": entry.source, **dict(entry.card)}
        card.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))


def _describe(entry: CatalogEntry, client: HubClient, revision: str) -> Remote:
    try:
        return client.describe(entry.repository or "", entry.path_in_repository, revision)
    except NotOnHub as error:
        doubt = "" if entry.verified else f"; the catalog's row for {entry.file} was never checked and seems wrong"
        raise PullError(f"{error}{doubt}") from error


def _refuse_licence(entry: CatalogEntry, licence: str, policy: Policy) -> None:
    kind = licence_class(licence)
    if policy == "any" or kind == "permissive":
        return
    others = [other.file for other in entries_for(entry.model) if other.pullable and other.permissive]
    instead = PERMISSIVE_ALTERNATIVES.get(entry.model, "")
    if others:
        instead = f"`hearthwatch models pull {others[0]}`"
    raise PullError(
        f"{entry.file} of {entry.model} is {licence} ({kind}), which HEARTHWATCH_LICENSE_POLICY=permissive refuses"
        f"{f'; instead: {instead}' if instead else ''}"
    )


def _mismatch(entry: CatalogEntry, digest: str, expected: str, origin: str) -> str:
    return f"{entry.source} has sha256 {digest}, but {origin} says {expected}"


def _notes(entry: CatalogEntry, remote: Remote, digest: str, *, known: bool) -> tuple[str, ...]:
    notes = []
    if remote.licence is None:
        notes.append(f"the repository states no licence that could be read; the catalog says {entry.licence}")
    elif remote.licence.lower() != entry.licence.lower():
        notes.append(f"the repository says the licence is {remote.licence}, the catalog {entry.licence}")
    if entry.size_bytes not in {None, remote.size_bytes}:
        notes.append(f"the file has {remote.size_bytes} bytes, the catalog says {entry.size_bytes}")
    if not known:
        notes.append(f"no digest was published: sha256 {digest} is trusted from this first pull on")
    return tuple(notes)


def _new_row(entry: CatalogEntry, remote: Remote, digest: str, now: datetime) -> LockRow:
    return LockRow(
        model=entry.model,
        repository=remote.repository,
        path=remote.path,
        revision=remote.revision,
        sha256=digest,
        size_bytes=remote.size_bytes,
        license=remote.licence,
        pulled_at=now.isoformat(timespec="seconds"),
    )


def _row(entry: CatalogEntry, models_dir: Path) -> LockRow | None:
    """Read what an earlier pull recorded; a row of another source says nothing about this one."""
    row = read_lock(models_dir).get(_key(entry))
    same = row is not None and (row.repository, row.path) == (entry.repository, entry.path_in_repository)
    return row if same else None


def _key(entry: CatalogEntry) -> str:
    return f"{entry.folder}/{entry.file}"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
