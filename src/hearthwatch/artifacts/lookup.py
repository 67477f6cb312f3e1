"""Which weight file serves a model: explicit path, documented variable, models directory, in this order.

Where the run uses sample weights, the folder of samples takes the place of the models directory.

A path that somebody gave is never passed over in silence: when it leads nowhere, that is the error. In a folder, files
whose card or metadata names the model come first, then the catalog's file names, then the known layouts; `.onnx` comes
before a checkpoint, and two candidates left are an error that names both. What cannot be read is passed over while
looking, so that one broken file never hides the others.
"""

from __future__ import annotations

import filecmp
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearthwatch.artifacts.catalog import FOLDERS, default_entry, entries_for, model_names
from hearthwatch.artifacts.declaration import declared_by_card, declared_by_metadata
from hearthwatch.artifacts.samples import SAMPLE, SAMPLES_DIR, has_sample, sample_path, sample_weights
from hearthwatch.errors import WeightsAmbiguous, WeightsInvalid, WeightsMissing

Kind = Literal["onnx", "checkpoint", "bundled"]
#: What all models of a run use where nobody names a file for one of them.
WeightsChoice = Literal["real", "sample"]

#: Weight files by their extension, the preferred first.
EXTENSIONS = (".onnx", ".safetensors", ".pt", ".pth", ".bin")
#: Sub-folders that hold the weights in layouts of exporters: Ultralytics runs and Hugging Face exports.
INNER_FOLDERS = ("weights", "onnx")


@dataclass(frozen=True, slots=True)
class WeightsQuery:
    """What is looked for.

    Attributes:
        model: canonical name.
        aliases: other names that a card may use.
        folders: names of the model's folder in a models directory.
        files: names of its weight files.
        variables: documented variables that may point to it; only for the error's advice.
        bundled_in: the Python package that brings the weights.
        remedy: how to get the weights, without a full stop.
    """

    model: str
    aliases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    bundled_in: str | None = None
    remedy: str = ""

    @classmethod
    def for_model(cls, model: str, aliases: tuple[str, ...] = (), variables: tuple[str, ...] = ()) -> WeightsQuery:
        """Ask for one model of the catalog.

        Raises:
            UnknownModel: the catalog has no such model.
        """
        entry = default_entry(model)
        return cls(
            model=model,
            aliases=aliases,
            folders=FOLDERS.get(model, ()),
            files=tuple(row.file for row in entries_for(model) if row.bundled_in is None),
            variables=variables,
            bundled_in=entry.bundled_in,
            remedy=f"`hearthwatch models pull {model}` fetches them" if entry.pullable else entry.manual,
        )

    @property
    def names(self) -> frozenset[str]:
        """Every name that means this model."""
        return frozenset((self.model, *self.aliases))


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
) -> FoundWeights:
    """Find the weight file of one model.

    Args:
        query: what is looked for.
        explicit: a file or folder that the caller names.
        variable: (name, value) of the documented variable, where it is set.
        models_dir: the folder with everything; it need not exist.
        weights: where nobody names a file: `sample` looks in the folder of samples and nowhere else.
        samples_dir: that folder.

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
    places, own = _places(query, models_dir)
    found = _search(query, places, own)
    looked_at += _describe(query, places, own)
    if found is None:
        sample = "HEARTHWATCH_WEIGHTS=sample takes sample weights, for trying out only"
        raise _missing(query, looked_at, sample if has_sample(query.model, samples_dir) else "")
    return FoundWeights(found.path, _kind(found.path), "models directory", found.why, tuple(looked_at))


def holds_weights(models_dir: Path) -> bool:
    """Whether a models directory has weights of any model: such as its search would find, one candidate or more.

    A file that says which model it serves counts whatever it says: another version, or an alias, may be meant.
    """
    for model in model_names():
        query = WeightsQuery.for_model(model)
        if query.bundled_in is not None:
            continue
        places, own = _places(query, models_dir)
        files = _weight_files(places, own)
        named = any(declared_by_card(file) or declared_by_metadata(file) for file in files)
        if named or any(_by_file_name(query, files)) or any(_by_layout(query, own)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    why: str


def _given(query: WeightsQuery, origin: str, path: Path) -> FoundWeights:
    """Take what a person named; a folder is searched, but nothing outside it."""
    path = _expanded(path)
    if _is_folder(path):
        found = _search(query, [path], [path])
        if found is None:
            advice = f"Let {origin} name the file itself, or leave it out: {query.remedy}."
            raise WeightsMissing(query.model, _describe(query, [path], [path], origin), advice, named=True)
        return FoundWeights(found.path, _kind(found.path), origin, found.why)
    if not _exists(path):
        advice = f"Correct {origin}, or leave it out: {query.remedy}."
        raise WeightsMissing(query.model, [f"{origin} = {path}, which does not exist"], advice, named=True)
    if path.suffix.lower() not in EXTENSIONS:
        raise WeightsInvalid(
            f"{origin} = {path} is no weight file of {query.model}: allowed are folders and {', '.join(EXTENSIONS)}"
        )
    return FoundWeights(path, _kind(path), origin)


def _bundled(query: WeightsQuery, package: str, looked_at: list[str]) -> FoundWeights:
    # find_spec, not an import: the package would load OpenCV and its own configuration.
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    if folder is None or not any(file.suffix == ".onnx" for file in _files_of(folder)):
        raise WeightsMissing(query.model, [*looked_at, f"the package {package}"], f"Install {package}.")
    return FoundWeights(folder, "bundled", "package", f"inside the package {package}", tuple(looked_at))


def _sample(query: WeightsQuery, folder: Path, looked_at: list[str]) -> FoundWeights:
    path = sample_weights(query.model, folder)
    looked_at.append(str(sample_path(query.model, folder)))
    if path is None:
        raise _missing(query, looked_at, sample=True)
    return FoundWeights(path, "onnx", SAMPLE, "trained on drawn scenes", tuple(looked_at))


def _missing(query: WeightsQuery, looked_at: list[str], other: str = "", *, sample: bool = False) -> WeightsMissing:
    own_file = f"{' or '.join(query.variables)} can name a file or folder of your own" if query.variables else ""
    fetch = f"Real weights: {query.remedy}" if sample and query.remedy else query.remedy
    remedy = "; ".join(part for part in (fetch, own_file, other) if part)
    return WeightsMissing(query.model, looked_at, f"{remedy}." if remedy else "", sample=sample)


def _places(query: WeightsQuery, models_dir: Path) -> tuple[list[Path], list[Path]]:
    """Where a model's weights may be, and which of these folders exist and are its own."""
    places = [models_dir, *(models_dir / name for name in query.folders)]
    return places, [place for place in places[1:] if _is_folder(place)]


def _weight_files(places: list[Path], own: list[Path]) -> list[Path]:
    inner = [place / name for place in own for name in INNER_FOLDERS]
    return [file for place in (*places, *inner) for file in _files_of(place) if file.suffix.lower() in EXTENSIONS]


def _search(query: WeightsQuery, places: list[Path], own: list[Path]) -> _Candidate | None:
    """Apply the first rule that has candidates; rules 1 and 2 look in all places, 3 in the model's own."""
    files = _weight_files(places, own)
    rules: tuple[Callable[[], Iterable[_Candidate]], ...] = (
        lambda: _by_declaration(query, files),
        lambda: _by_file_name(query, files),
        lambda: _by_layout(query, own),
    )
    return next((_only(query, candidates) for rule in rules if (candidates := list(rule()))), None)


def _by_declaration(query: WeightsQuery, files: list[Path]) -> Iterator[_Candidate]:
    for file in files:
        if declared_by_card(file) in query.names:
            yield _Candidate(file, f"named by {file.with_suffix('.json').name}")
        elif declared_by_card(file) is None and declared_by_metadata(file) in query.names:
            yield _Candidate(file, "named by its own metadata")


def _by_file_name(query: WeightsQuery, files: list[Path]) -> Iterator[_Candidate]:
    for file in files:
        if file.name in query.files and _may_serve(query, file):
            yield _Candidate(file, "named as in the catalog")


def _by_layout(query: WeightsQuery, own: list[Path]) -> Iterator[_Candidate]:
    for place in own:
        for name in _layouts(query, place):
            if _is_file(place / name) and _may_serve(query, place / name):
                yield _Candidate(place / name, f"laid out as {name}")
        if _is_file(place / "config.json") and any(_hugging_face_weights(place)):
            yield _Candidate(place, "a Hugging Face checkpoint")


def _layouts(query: WeightsQuery, place: Path) -> list[str]:
    names = dict.fromkeys((place.name, query.model, *query.folders))
    own_names = [f"{name}{extension}" for name in names for extension in (".onnx", ".pt", ".pth")]
    return ["weights/best.onnx", "weights/best.pt", *own_names, "model.onnx", "onnx/model.onnx"]


def _hugging_face_weights(place: Path) -> Iterator[Path]:
    for file in _files_of(place):
        if file.suffix == ".safetensors" or file.name == "pytorch_model.bin":
            yield file


def _may_serve(query: WeightsQuery, file: Path) -> bool:
    """Whether no card says that the file serves another model."""
    return declared_by_card(file) in {None, *query.names}


def _only(query: WeightsQuery, candidates: list[_Candidate]) -> _Candidate:
    """One of them: `.onnx` before a checkpoint, one of several formats of a name, one of several copies."""
    graphs = [candidate for candidate in candidates if candidate.path.suffix.lower() == ".onnx"]
    left: list[_Candidate] = []
    for candidate in sorted(graphs or candidates, key=_preference):
        if not any(_same(candidate.path, other.path) for other in left):
            left.append(candidate)
    if len(left) == 1:
        return left[0]
    advice = f"name the one that is meant in {query.variables[0]}" if query.variables else "keep one of them"
    raise WeightsAmbiguous(
        f"{len(left)} files claim {query.model}: {', '.join(str(item.path) for item in left)}; {advice}"
    )


def _preference(candidate: _Candidate) -> tuple[int, str]:
    suffix = candidate.path.suffix.lower()
    return (EXTENSIONS.index(suffix) if suffix in EXTENSIONS else len(EXTENSIONS), str(candidate.path))


def _same(path: Path, other: Path) -> bool:
    """One network: the same file by another way, the same name in another format, or the same bytes."""
    path, other = path.resolve(), other.resolve()
    if path == other or (path.parent, path.stem) == (other.parent, other.stem):
        return True
    try:
        return path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _kind(path: Path) -> Kind:
    return "onnx" if path.suffix.lower() == ".onnx" else "checkpoint"


def _describe(query: WeightsQuery, places: list[Path], own: list[Path], origin: str = "") -> list[str]:
    """Tell what was looked for and where, for the error and for `models list -v`."""
    told = []
    for place in places:
        name = f"{origin} = {place}" if origin else str(place)
        if not _is_folder(place):
            if place != places[0] and not _is_folder(places[0]):
                continue  # said by the first
            told.append(f"{name} (no such folder)")
            continue
        names = list(query.files)
        if place in own:
            names += [*_layouts(query, place), "config.json with *.safetensors"]
        told.append(f"{name} (a card or metadata with model {query.model}, or {', '.join(dict.fromkeys(names))})")
    return told


def _files_of(place: Path) -> list[Path]:
    """List the plain files of a folder in order of their names; none where it cannot be read."""
    try:
        return sorted(file for file in place.iterdir() if _is_file(file) and not file.name.startswith("."))
    except OSError:
        return []


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~name of a user that does not exist
        return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
