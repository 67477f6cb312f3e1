"""Whether a network is what its recipe would make now: a digest of the code that decides it.

Comments and docstrings do not count. The renderer counts as a whole: who imports a part of it draws with all of it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "training"
#: What shows, keeps and lists, and decides nothing about a network.
NO_PART = ("progress", "recipe", "cards", "zoo", "floors", "version")
RENDERER = "training.scenes"


def version_of(module: str) -> str:
    """16 hexadecimal digits of a module, of all of ours that it imports, at whatever place, and of the renderer."""
    names = {name for name in closure(module) if not name.startswith(RENDERER)} | renderer()
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"\n{name}\n{_code(_file(name))}".encode())
    return digest.hexdigest()[:16]


def renderer() -> set[str]:
    """The names of all modules of the renderer."""
    return {f"{RENDERER}.{path.stem}" for path in _file(RENDERER).parent.glob("*.py") if path.stem != "__init__"}


def closure(module: str) -> set[str]:
    """The module and what it imports of this package, and what that imports."""
    found, waiting = {module}, [module]
    while waiting:
        new = set(_imports(ast.parse(_file(waiting.pop()).read_text("utf-8")))) - found
        found |= new
        waiting.extend(new)
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE and len(parts) > 1 and parts[1] not in NO_PART and _exists(name):
                yield name


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a function's name behind a module's
        return False


def _file(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no module {name}")
    return Path(spec.origin)


def _code(path: Path) -> str:
    """What the file does, however it is laid out."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                del body[0]
    return ast.dump(tree)
