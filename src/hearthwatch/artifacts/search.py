"""Finding a model's weight file in a folder: by card or metadata, by the catalog's names, by known layouts.

`.onnx` comes before a checkpoint, and two candidates left are an error that names both. What cannot be read is passed
over while looking, so that one broken file never hides the others.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hearthwatch.artifacts.catalog import FOLDERS, default_entry, entries_for, model_names
from hearthwatch.artifacts.declaration import declared_by_card, declared_by_metadata
from hearthwatch.artifacts.hugging_face import CLASSES, CONFIG
from hearthwatch.errors import WeightsAmbiguous

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
        repositories: owner/name on a hub, as Hugging Face's own cache files them.
        kin: another model whose files serve as well where somebody names them, and as a sample; empty: none.
    """

    model: str
    aliases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    bundled_in: str | None = None
    remedy: str = ""
    repositories: tuple[str, ...] = ()
    kin: str = ""

    @classmethod
    def for_model(
        cls, model: str, aliases: tuple[str, ...] = (), variables: tuple[str, ...] = (), kin: str = ""
    ) -> WeightsQuery:
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
            repositories=tuple(dict.fromkeys(row.repository for row in entries_for(model) if row.repository)),
            kin=kin,
        )

    @property
    def with_kin(self) -> WeightsQuery:
        """The same question, which the files of the model's kin answer as well."""
        if not self.kin:
            return self
        other = WeightsQuery.for_model(self.kin)
        return replace(
            self,
            aliases=(*self.aliases, self.kin),
            folders=(*self.folders, *other.folders),
            files=(*self.files, *other.files),
        )

    @property
    def names(self) -> frozenset[str]:
        """Every name that means this model."""
        return frozenset((self.model, *self.aliases))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file or folder that may be the weights, and why, for a person."""

    path: Path
    why: str


def places_of(query: WeightsQuery, models_dir: Path) -> tuple[list[Path], list[Path]]:
    """Where a model's weights may be, and which of these folders exist and are its own."""
    places = [models_dir, *(models_dir / name for name in query.folders)]
    return places, [place for place in places[1:] if is_folder(place)]


def search(query: WeightsQuery, places: list[Path], own: list[Path]) -> Candidate | None:
    """Apply the first rule that has candidates; rules 1 and 2 look in all places, 3 in the model's own."""
    files = _weight_files(places, own)
    rules: tuple[Callable[[], Iterable[Candidate]], ...] = (
        lambda: _by_declaration(query, files),
        lambda: _by_file_name(query, files),
        lambda: _by_layout(query, own),
    )
    return next((_only(query, candidates) for rule in rules if (candidates := list(rule()))), None)


def companion(query: WeightsQuery, path: Path) -> Candidate | None:
    """The file beside the one that was named, where that says that it serves the other tower and this one says ours.

    CLIP's towers are two files of one folder, and one variable names them. Any other file that somebody named is taken
    as it is, whatever lies beside it.
    """
    declared = declared_by_card(path) or declared_by_metadata(path)
    if declared is None or declared in query.names or not {*FOLDERS.get(declared, ())} & {*query.folders}:
        return None
    beside = [file for file in files_of(path.parent) if file.suffix.lower() in EXTENSIONS]
    ours = list(_by_declaration(query, beside))
    return ours[0] if len(ours) == 1 else None


def snapshots(query: WeightsQuery, hub_cache: Path | None) -> Iterator[Path]:
    """The folders in which Hugging Face's cache keeps the model's repositories, as `main` has them."""
    if hub_cache is None:
        return
    for repository in query.repositories:
        folder = hub_cache / f"models--{repository.replace('/', '--')}"
        try:
            revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if revision.isalnum() and is_folder(folder / "snapshots" / revision):
            yield folder / "snapshots" / revision


def holds_weights(models_dir: Path) -> bool:
    """Whether a models directory has weights of any model: such as its search would find, one candidate or more.

    A file that says which model it serves counts whatever it says: another version, or an alias, may be meant.
    """
    for model in model_names():
        query = WeightsQuery.for_model(model)
        if query.bundled_in is not None:
            continue
        places, own = places_of(query, models_dir)
        files = _weight_files(places, own)
        named = any(declared_by_card(file) or declared_by_metadata(file) for file in files)
        if named or any(_by_file_name(query, files)) or any(_by_layout(query, own)):
            return True
    return False


def describe_places(query: WeightsQuery, places: list[Path], own: list[Path], origin: str = "") -> list[str]:
    """Tell what was looked for and where, for the error and for `models list -v`."""
    told = []
    for place in places:
        name = f"{origin} = {place}" if origin else str(place)
        if not is_folder(place):
            if place != places[0] and not is_folder(places[0]):
                continue  # said by the first
            told.append(f"{name} (no such folder)")
            continue
        names = list(query.files)
        if place in own:
            names += [*_layouts(query, place), f"{CONFIG} or {CLASSES} with *.safetensors or pytorch_model.bin"]
        told.append(f"{name} (a card or metadata with model {query.model}, or {', '.join(dict.fromkeys(names))})")
    return told


def files_of(place: Path) -> list[Path]:
    """List the plain files of a folder in order of their names; none where it cannot be read."""
    try:
        return sorted(file for file in place.iterdir() if _is_file(file) and not file.name.startswith("."))
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _weight_files(places: list[Path], own: list[Path]) -> list[Path]:
    inner = [place / name for place in own for name in INNER_FOLDERS]
    return [file for place in (*places, *inner) for file in files_of(place) if file.suffix.lower() in EXTENSIONS]


def _by_declaration(query: WeightsQuery, files: list[Path]) -> Iterator[Candidate]:
    for file in files:
        if declared_by_card(file) in query.names:
            yield Candidate(file, f"named by {file.with_suffix('.json').name}")
        elif declared_by_card(file) is None and declared_by_metadata(file) in query.names:
            yield Candidate(file, "named by its own metadata")


def _by_file_name(query: WeightsQuery, files: list[Path]) -> Iterator[Candidate]:
    for file in files:
        if file.name in query.files and _may_serve(query, file):
            yield Candidate(file, "named as in the catalog")


def _by_layout(query: WeightsQuery, own: list[Path]) -> Iterator[Candidate]:
    for place in own:
        for name in _layouts(query, place):
            if _is_file(place / name) and _may_serve(query, place / name):
                yield Candidate(place / name, f"laid out as {name}")
        described = any(_is_file(place / name) for name in (CONFIG, CLASSES))
        if described and any(_hugging_face_weights(place)):
            yield Candidate(place, "a Hugging Face checkpoint")


def _layouts(query: WeightsQuery, place: Path) -> list[str]:
    names = dict.fromkeys((place.name, query.model, *query.folders))
    own_names = [f"{name}{extension}" for name in names for extension in (".onnx", ".pt", ".pth")]
    return ["weights/best.onnx", "weights/best.pt", *own_names, "model.onnx", "onnx/model.onnx"]


def _hugging_face_weights(place: Path) -> Iterator[Path]:
    for file in files_of(place):
        if file.suffix == ".safetensors" or file.name == "pytorch_model.bin":
            yield file


def _may_serve(query: WeightsQuery, file: Path) -> bool:
    """Whether no card says that the file serves another model."""
    return declared_by_card(file) in {None, *query.names}


def _only(query: WeightsQuery, candidates: list[Candidate]) -> Candidate:
    """One of them: `.onnx` before a checkpoint, one of several formats of a name, one of several copies."""
    graphs = [candidate for candidate in candidates if candidate.path.suffix.lower() == ".onnx"]
    left: list[Candidate] = []
    for candidate in sorted(graphs or candidates, key=_preference):
        if not any(_same(candidate.path, other.path) for other in left):
            left.append(candidate)
    if len(left) == 1:
        return left[0]
    advice = f"name the one that is meant in {query.variables[0]}" if query.variables else "keep one of them"
    raise WeightsAmbiguous(
        f"{len(left)} files claim {query.model}: {', '.join(str(item.path) for item in left)}; {advice}"
    )


def _preference(candidate: Candidate) -> tuple[int, str]:
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


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
