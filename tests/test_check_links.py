"""The check of the links between the documents finds what a reader would stumble over, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "check_links.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), str(root)], capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A picture, a document with headings of every kind, and room for the document under test."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "a (1).png").write_bytes(b"")
    (tmp_path / "docs" / "guide.md").write_text(
        "# The guide\n## What's *new*, in `1.0`?\n## Twice\n## Twice\nUnderlined\n----------\n"
        '<a id="by-hand"></a>\n```sh\n# not a heading\n```\n',
        encoding="utf-8",
    )
    return tmp_path


@pytest.mark.parametrize(
    "link",
    [
        "[a folder](docs)",
        "[a file](docs/guide.md)",
        "[a file of the root](/docs/guide.md)",
        '[a file](docs/guide.md "with a title")',
        "[a heading](docs/guide.md#the-guide)",
        "[a heading with marks](docs/guide.md#whats-new-in-10)",
        "[a heading that comes twice](docs/guide.md#twice-1)",
        "[an underlined heading](docs/guide.md#underlined)",
        "[an anchor](docs/guide.md#by-hand)",
        "# Mine\n[a heading here](#mine)",
        "![a picture](a%20(1).png)",
        "![a picture](<a (1).png>)",
        "[![a picture in a link](<a (1).png>)](docs/guide.md)",
        "[a name][it]\n\n[it]: docs/guide.md#twice",
        '<a href="docs/guide.md"><img src="a%20(1).png"></a>',
        "[another host](https://example.org/missing.md#nowhere)",
        "[a letter](mailto:someone@example.org)",
        "`[code](missing.md)`",
        "```\n[code](missing.md)\n```",
        "<!-- [a comment](missing.md) -->",
    ],
)
def test_a_link_that_leads_somewhere_holds(repository: Path, link: str) -> None:
    (repository / "README.md").write_text(link, encoding="utf-8")
    result = check(repository)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("[a file](docs/gone.md)", "docs/gone.md does not exist"),
        ('[a file](docs/gone.md "with a title")', "docs/gone.md does not exist"),
        ("[![](gone.png)](docs/guide.md)", "gone.png does not exist"),
        ("[![](<a (1).png>)](docs/gone.md)", "docs/gone.md does not exist"),
        ("[it]: docs/gone.md", "docs/gone.md does not exist"),
        ('<img alt="" src="gone.png">', "gone.png does not exist"),
        ("[a heading](docs/guide.md#gone)", "docs/guide.md#gone: no heading or anchor has that name"),
        ("[code](docs/guide.md#not-a-heading)", "docs/guide.md#not-a-heading: no heading or anchor has that name"),
        ("[a heading here](#gone)", "#gone: no heading or anchor has that name"),
        ("[a neighbour](../other/README.md)", "../other/README.md leaves the repository"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_place(repository: Path, link: str, reason: str) -> None:
    (repository / "README.md").write_text(f"# Title\n```\n[code](x)\n```\n{link}\n", encoding="utf-8")
    result = check(repository)
    assert result.returncode == 1
    assert result.stderr == f"README.md:5: {reason}\n"


def test_documents_of_tools_and_hidden_folders_are_not_looked_at(repository: Path) -> None:
    for folder in (".venv", "out", "docs/.cache"):
        (repository / folder).mkdir()
        (repository / folder / "README.md").write_text("[a file](gone.md)", encoding="utf-8")
    assert check(repository).returncode == 0
