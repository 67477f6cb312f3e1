"""What is there: for each model its weight file, licence, size and source, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearthwatch.artifacts.card import Card, read_card
from hearthwatch.artifacts.catalog import default_entry, entries_for
from hearthwatch.artifacts.graph import read_metadata
from hearthwatch.artifacts.lockfile import LockRow, read_lock
from hearthwatch.artifacts.lookup import FoundWeights, Kind, WeightsChoice, find_weights
from hearthwatch.artifacts.samples import SAMPLE, SAMPLES_DIR
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.errors import WeightsAmbiguous, WeightsError, WeightsInvalid, WeightsMissing

State = Literal["found", "sample", "checkpoint only", "missing", "ambiguous", "refused"]

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Stock:
    """The weights of one model, or their absence.

    Attributes:
        model: canonical name.
        state: `sample`: the run uses sample weights; `checkpoint only` has to be converted before it runs; `ambiguous`:
            two files claim the model; `refused`: the path that was given is no weight file.
        kind: of the weights; `sample` is an ONNX file; None where there are none.
        licence: of the file; of what would be pulled, where there is none; `unknown` where nobody says.
        size_bytes: likewise; None where unknown.
        path: the file or folder.
        source: where the weights come from.
        how: where the file was found and what made it this one; else the problem, as a sentence.
        looked_at: the places that were tried.
    """

    model: str
    state: State
    kind: Kind | Literal["sample"] | None
    licence: str
    size_bytes: int | None
    path: Path | None
    source: str
    how: str
    looked_at: tuple[str, ...] = ()


def take_stock(
    query: WeightsQuery,
    *,
    variable: tuple[str, str] | None,
    models_dir: Path,
    weights: WeightsChoice = "real",
    samples_dir: Path = SAMPLES_DIR,
    hub_cache: Path | None = None,
) -> Stock:
    """Look up one model's weights; what is wrong with them becomes a state, not an error.

    Args:
        query: what is looked for.
        variable: (name, value) of the documented variable, where it is set.
        models_dir: the folder with everything.
        weights: what a run uses where nobody names a file.
        samples_dir: the folder of samples.
        hub_cache: as `find_weights`.
    """
    try:
        found = find_weights(
            query,
            variable=variable,
            models_dir=models_dir,
            weights=weights,
            samples_dir=samples_dir,
            hub_cache=hub_cache,
        )
    except WeightsError as error:
        return _absent(query.model, error)
    licence, source = _licence_and_source(query.model, found, models_dir)
    sample = found.how == SAMPLE
    return Stock(
        model=query.model,
        state="sample" if sample else "checkpoint only" if found.kind == "checkpoint" else "found",
        kind="sample" if sample else found.kind,
        licence=licence,
        size_bytes=_size(found.path),
        path=found.path,
        source=source,
        how=", ".join(part for part in (found.how, found.why) if part),
        looked_at=found.looked_at,
    )


def _absent(model: str, error: WeightsError) -> Stock:
    state: State = "missing"
    if not isinstance(error, WeightsMissing):
        state = "ambiguous" if isinstance(error, WeightsAmbiguous) else "refused"
    entry = default_entry(model)
    looked_at = error.looked_at if isinstance(error, WeightsMissing) else ()
    return Stock(model, state, None, entry.licence, entry.size_bytes, None, entry.source, str(error), looked_at)


def _licence_and_source(model: str, found: FoundWeights, models_dir: Path) -> tuple[str, str]:
    """Take each from the first that states it: card, the file's metadata, lock file, catalog (by the file's name)."""
    if found.kind == "bundled":
        entry = default_entry(model)
        return entry.licence, entry.source
    card, row = _card(found.path), _row(found.path, models_dir)
    by_name = next((entry for entry in entries_for(model) if entry.file == found.path.name), None)
    licence = card.license or _metadata_licence(found) or (row.license if row else None)
    source = card.source or (f"{row.repository}@{row.revision[:8]}" if row else "")
    if found.how == SAMPLE:
        source = source or "inside this package"
    return licence or (by_name.licence if by_name else UNKNOWN), source or UNKNOWN


def _card(path: Path) -> Card:
    card = path.with_suffix(".json")
    try:
        return read_card(card) if card.is_file() else Card()
    except WeightsInvalid:  # loading the model reports it
        return Card()


def _metadata_licence(found: FoundWeights) -> str | None:
    if found.kind != "onnx":
        return None
    try:
        return read_metadata(found.path).get("license")
    except WeightsInvalid:
        return None


def _row(path: Path, models_dir: Path) -> LockRow | None:
    try:
        return read_lock(models_dir).get(path.resolve().relative_to(models_dir.resolve()).as_posix())
    except (ValueError, OSError, WeightsInvalid):  # a file from elsewhere, or a lock file that `pull` will complain of
        return None


def _size(path: Path) -> int | None:
    try:
        files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return None
