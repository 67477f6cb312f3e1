"""Which weight file serves a model: explicit path, documented variable, models directory, in this order.

A path that somebody gave is never passed over in silence: when it leads nowhere, that is the error. A folder is
searched by the rules of `search`. Where the run uses sample weights, their folder takes the place of the models
directory.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearthwatch.artifacts.samples import SAMPLE, SAMPLES_DIR, has_sample, sample_path, sample_weights
from hearthwatch.artifacts.search import (
    EXTENSIONS,
    WeightsQuery,
    companion,
    describe_places,
    files_of,
    is_folder,
    places_of,
    search,
    snapshots,
)
from hearthwatch.errors import WeightsInvalid, WeightsMissing

Kind = Literal["onnx", "checkpoint", "bundled"]
#: What all models of a run use where nobody names a file for one of them.
WeightsChoice = Literal["real", "sample"]


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """The file that serves a model.

    Attributes:
        path: the file; the folder, for a Hugging Face checkpoint (several files) and for bundled weights.
        kind: `onnx` runs as it is, a `checkpoint` has to be converted, `bundled` is loaded by its own package.
        how: where it was found: "given path", the name of a variable, "models directory", "package", "sample weights".
        why: what made it this file, for a person.
        looked_at: the places that were tried before it, in order.
    """

    path: Path
    kind: Kind
    how: str
    why: str = ""
    looked_at: tuple[str, ...] = ()


def find_weights(
    query: WeightsQuery,
    *,
    explicit: Path | str | None = None,
    variable: tuple[str, str] | None = None,
    models_dir: Path,
    weights: WeightsChoice = "real",
    samples_dir: Path = SAMPLES_DIR,
    hub_cache: Path | None = None,
) -> FoundWeights:
    """Find the weight file of one model.

    Args:
        query: what is looked for.
        explicit: a file or folder that the caller names.
        variable: (name, value) of the documented variable, where it is set.
        models_dir: the folder with everything; it need not exist.
        weights: where nobody names a file: `sample` looks in the folder of samples and nowhere else.
        samples_dir: that folder.
        hub_cache: the folder `hub` of Hugging Face's own cache, which is looked through last; None: nowhere.

    Raises:
        WeightsMissing: nothing is there, or the path that was given leads nowhere.
        WeightsAmbiguous: two files claim the model.
        WeightsInvalid: the path that was given is no weight file, or the sample's card is not what it has to be.
    """
    if explicit is not None and str(explicit):
        return _given(query, "given path", Path(explicit))
    if variable is not None and variable[1]:
        return _given(query, variable[0], Path(variable[1]))
    looked_at = [f"{name} is not set" for name in query.variables]
    if query.bundled_in is not None:
        return _bundled(query, query.bundled_in, looked_at)
    if weights == "sample":
        return _sample(query, samples_dir, looked_at)
    places, own = places_of(query, models_dir)
    found = search(query, places, own)
    looked_at += describe_places(query, places, own)
    if found is None:
        for snapshot in snapshots(query, hub_cache):
            found = search(query, [snapshot], [snapshot])
            looked_at.append(str(snapshot))
            if found is not None:
                return FoundWeights(found.path, _kind(found.path), "Hugging Face's cache", found.why, tuple(looked_at))
        sample = "HEARTHWATCH_WEIGHTS=sample takes sample weights, for trying out only"
        there = any(has_sample(model, samples_dir) for model in (query.model, query.kin) if model)
        raise _missing(query, looked_at, sample if there else "")
    return FoundWeights(found.path, _kind(found.path), "models directory", found.why, tuple(looked_at))


def _given(query: WeightsQuery, origin: str, path: Path) -> FoundWeights:
    """Take what a person named; a folder is searched, but nothing outside it."""
    path = _expanded(path)
    if is_folder(path):
        found = search(query, [path], [path]) or search(query.with_kin, [path], [path])
        if found is None:
            advice = f"Let {origin} name the file itself, or leave it out: {query.remedy}."
            raise WeightsMissing(query.model, describe_places(query, [path], [path], origin), advice, named=True)
        return FoundWeights(found.path, _kind(found.path), origin, found.why)
    if not _exists(path):
        advice = f"Correct {origin}, or leave it out: {query.remedy}."
        raise WeightsMissing(query.model, [f"{origin} = {path}, which does not exist"], advice, named=True)
    if path.suffix.lower() not in EXTENSIONS:
        raise WeightsInvalid(
            f"{origin} = {path} is no weight file of {query.model}: allowed are folders and {', '.join(EXTENSIONS)}"
        )
    beside = companion(query, path) or companion(query.with_kin, path)
    if beside is not None:
        return FoundWeights(beside.path, _kind(beside.path), origin, beside.why)
    return FoundWeights(path, _kind(path), origin)


def _bundled(query: WeightsQuery, package: str, looked_at: list[str]) -> FoundWeights:
    # find_spec, not an import: the package would load OpenCV and its own configuration.
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    if folder is None or not any(file.suffix == ".onnx" for file in files_of(folder)):
        raise WeightsMissing(query.model, [*looked_at, f"the package {package}"], f"Install {package}.")
    return FoundWeights(folder, "bundled", "package", f"inside the package {package}", tuple(looked_at))


def _sample(query: WeightsQuery, folder: Path, looked_at: list[str]) -> FoundWeights:
    models = (query.model, query.kin) if query.kin else (query.model,)
    path = next((found for model in models if (found := sample_weights(model, folder)) is not None), None)
    looked_at += [str(sample_path(model, folder)) for model in models]
    if path is None:
        raise _missing(query, looked_at, sample=True)
    return FoundWeights(path, "onnx", SAMPLE, "trained on drawn scenes", tuple(looked_at))


def _missing(query: WeightsQuery, looked_at: list[str], other: str = "", *, sample: bool = False) -> WeightsMissing:
    own_file = f"{' or '.join(query.variables)} can name a file or folder of your own" if query.variables else ""
    fetch = f"Real weights: {query.remedy}" if sample and query.remedy else query.remedy
    remedy = "; ".join(part for part in (fetch, own_file, other) if part)
    return WeightsMissing(query.model, looked_at, f"{remedy}." if remedy else "", sample=sample)


def _kind(path: Path) -> Kind:
    return "onnx" if path.suffix.lower() == ".onnx" else "checkpoint"


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~name of a user that does not exist
        return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
