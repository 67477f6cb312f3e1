"""The lock files pin what pyproject.toml asks for, for everyone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BASE = ROOT / "requirements" / "base.lock"
DEV = ROOT / "requirements" / "dev.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> dict[str, str]:
    """Package name to the one version that is pinned for every platform."""
    lines = re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == len(dict(lines)), "a package is pinned twice"
    return dict(lines)


def asked_for() -> Iterator[tuple[Path, Requirement]]:
    base, dev = PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["dev"]
    build = PROJECT["build-system"]["requires"]
    for lock, requirements in ((BASE, base + build), (DEV, base + build + dev)):
        yield from ((lock, Requirement(text)) for text in requirements)


def test_every_requirement_is_pinned_inside_its_bounds() -> None:
    for lock, requirement in asked_for():
        version = pins(lock).get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock.name}: make lock"
        assert version in requirement.specifier, f"{lock.name} pins {requirement.name} {version}: make lock"


def test_developers_run_what_users_run() -> None:
    assert pins(BASE).items() <= pins(DEV).items()


@pytest.mark.parametrize("lock", [BASE, DEV], ids=lambda path: path.name)
def test_a_lock_has_a_digest_for_every_pin_and_names_no_place(lock: Path) -> None:
    lines = lock.read_text(encoding="utf-8").splitlines()
    for line, after in pairwise([*lines, ""]):
        assert "==" not in line or "--hash=sha256:" in after, f"{line} has no digest"
        assert "/" not in line, f"{line} names a place"
        assert not line.startswith("-"), f"{line} is an option"
