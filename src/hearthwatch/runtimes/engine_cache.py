"""TensorRT engines on disk: where they are kept, what they were built for, and whether their results agreed.

An engine is only valid for the weights, the GPU, the driver, the versions, the precision and the shapes that it was
built for. All of that is its key and is kept beside it; an engine of another key is not used, nor is one that lies
there without a key: engines are code, and only our own are loaded. `engine_files` has the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event

import orjson

from hearthwatch import __version__
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.engine_files import (
    MANIFEST_VERSION,
    Place,
    StoredEngine,
    damage_of,
    digest_of_file,
    key_of,
    last_written,
    read_key,
    read_manifest,
    write_manifest,
)
from hearthwatch.runtimes.engine_key import EngineKey

FOLDER = "tensorrt"
#: How often a waiting builder looks whether it may go on or must stop.
POLL_S = 0.1

_log = logging.getLogger(__name__)


class EngineCache:
    """The places of one engine: beside the documented path, then in the cache directory.

    Args:
        key: what is wanted.
        engine_path: the documented `.engine` file; None where there is none.
        cache_dir: the cache directory; None where there is none.
        version: of our code. A verdict holds for the code that gave it: decoding and limits may have changed since.
    """

    def __init__(
        self, key: EngineKey, engine_path: Path | None, cache_dir: Path | None, version: str = __version__
    ) -> None:
        self.key = key
        self._version = version
        self._documented = None if engine_path is None else Place(engine_path.parent, engine_path.stem)
        self._cached = None if cache_dir is None else Place(cache_dir / FOLDER / key.slot, "engine")
        self._engine_path = engine_path
        self._cache_dir = cache_dir

    @property
    def timing_folder(self) -> Path | None:
        """Measured kernels, which later builds on the same GPU, driver and TensorRT start from."""
        if self._cache_dir is None:
            return None
        facts = [self.key.gpu_uuid, self.key.driver, self.key.tensorrt]
        return self._cache_dir / FOLDER / "timing" / hashlib.sha256(orjson.dumps(facts)).hexdigest()[:12]

    def find(self) -> StoredEngine | str:
        """The engine, or why there is none to use."""
        reasons: list[str] = []
        for place in (self._documented, self._cached):
            if place is None:
                continue
            found = self._read(place)
            if not isinstance(found, str):
                return found
            reasons.append(found)
        return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "no engine is built yet"

    def place_to_build(self) -> tuple[Place, tuple[str, ...]]:
        """Where to keep a new engine, and why not where it was expected.

        Raises:
            LoadFailed: no place can be written.
        """
        reasons: list[str] = []
        documented = self._documented
        if documented is not None:
            kept = read_key(documented)
            if kept is not None and kept.gpu_uuid != self.key.gpu_uuid:
                reasons.append(f"{self._engine_path} is kept for the GPU {kept.gpu} ({kept.gpu_uuid})")
            elif reason := _not_writable(documented.folder):
                reasons.append(reason)
            else:
                return documented, ()
        if self._cached is not None:
            reason = _not_writable(self._cached.folder)
            if reason is None:
                return self._cached, tuple(f"{said}: the engine is in {self._cached.folder}" for said in reasons)
            reasons.append(reason)
        raise LoadFailed(f"there is no folder for the engine: {'; '.join(reasons) or 'no path and no cache directory'}")

    def stage(self, place: Place) -> Path:
        """An empty folder to build in. The caller holds the lock, so what is there was left by one that was killed."""
        shutil.rmtree(place.staging, ignore_errors=True)
        place.staging.mkdir(parents=True)
        return place.staging

    def commit(self, place: Place, notes: Sequence[str] = ()) -> None:
        """Make what was built in the staging folder the engine of this place; readers see all of it or nothing.

        Raises:
            LoadFailed: nothing was built.
        """
        built = sorted(file for file in place.staging.iterdir() if place.is_ours(file.name))
        if not any(file.suffix == ".engine" for file in built):
            raise LoadFailed("the build ended without an engine: TensorRT took no part of the graph")
        old = set((read_manifest(place) or {}).get("files", {}))
        if place == self._cached:  # a folder of ours alone: also what a kill in the middle of this left
            old |= {file.name for file in place.folder.iterdir()}
        place.manifest.unlink(missing_ok=True)
        for name in old:
            if place.is_ours(name):
                (place.folder / name).unlink(missing_ok=True)
        files = {file.name: {"bytes": file.stat().st_size, "sha256": digest_of_file(file)} for file in built}
        for file in built:
            file.replace(place.folder / file.name)
        write_manifest(place, {"version": MANIFEST_VERSION, "key": asdict(self.key), "files": files,
                                "notes": list(notes), "verdict": None})  # fmt: skip
        shutil.rmtree(place.staging, ignore_errors=True)

    def discard(self, place: Place) -> None:
        """Remove what a build left that did not end well; the engine that was there stays."""
        shutil.rmtree(place.staging, ignore_errors=True)

    def judged(self, found: StoredEngine, reason: str | None) -> None:
        """Keep the verdict: None accepts. Where it cannot be kept, the engine is compared again at the next start."""
        manifest = read_manifest(found.place)
        if manifest is None or key_of(manifest) != self.key or found.changed():
            return  # replaced by another process meanwhile
        manifest["verdict"] = {"accepted": reason is None, "reason": reason or "", "by": self._version}
        try:
            write_manifest(found.place, manifest)
        except OSError as error:
            _log.warning("tensorrt verdict file=%s kept=no reason=%s", found.place.manifest, error)

    @contextlib.contextmanager
    def locked(self, place: Place, cancelled: Event, sleep: Callable[[float], object] | None = None) -> Iterator[None]:
        """Hold this place against builders in other processes; waits until it is free.

        Args:
            place: of the engine.
            cancelled: ends the wait.
            sleep: between two looks; None waits for `cancelled`.

        Raises:
            LoadFailed: cancelled while waiting.
        """
        wait = cancelled.wait if sleep is None else sleep
        place.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place.folder / f".{place.stem}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                if cancelled.is_set():
                    raise LoadFailed("it was cancelled")
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    wait(POLL_S)
            yield
        finally:
            os.close(descriptor)

    def _read(self, place: Place) -> StoredEngine | str:
        """The engine of one place, why it cannot be used, or "" where there is none."""
        manifest = read_manifest(place)
        kept = None if manifest is None else key_of(manifest)
        if manifest is None or kept is None:
            foreign = place is self._documented and self._engine_path is not None and self._engine_path.exists()
            return f"{self._engine_path} was not built by this installation" if foreign else ""
        if difference := self.key.difference(kept):
            return f"the engine in {place.folder} is not used: {difference}"
        files = tuple(place.folder / name for name in manifest["files"])
        written = last_written(files)
        if damage := damage_of(place, manifest):
            return f"the engine in {place.folder} is not used: {damage}"
        verdict = manifest.get("verdict") or {}
        known = verdict.get("by") == self._version
        return StoredEngine(
            place=place,
            context=place.context if place.context.name in manifest["files"] else None,
            accepted=verdict.get("accepted") is True if known else None,
            reason=str(verdict.get("reason", "")),
            files=files,
            written=written,
            notes=tuple(str(note) for note in manifest.get("notes", ())),
        )


def _not_writable(folder: Path) -> str | None:
    """Why nothing can be written there; tried, since a mount may be read-only whatever the permissions say."""
    probe = folder / f".writable-{os.getpid()}-{time.monotonic_ns()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror or error})"
    return None
