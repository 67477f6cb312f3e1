"""Checks that the links between the documents hold: python tools/check_links.py [ROOT].

Looked at are the Markdown files below ROOT (the working directory). A relative link must lead to a file or folder of
ROOT, its fragment to a heading or an explicit anchor there. Links to other hosts are left alone: no check needs a
network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(
    r"""\]\(\s*(?:<([^>\n]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+["'(][^\n]*?["')])?\s*\)"""  # [text](target)
    r"""|^ {0,3}\[[^\]\n]+\]:\s*<?([^\s>]+)"""  # [name]: target
    r"""|<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=["']([^"'\s]+)""",  # HTML
    re.MULTILINE,
)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$|^(?=\S)(.+)\n {0,3}(?:=+|-+)[ ]*$", re.MULTILINE)
ANCHOR = re.compile(r"""<[a-z][^>]*?\b(?:id|name)=["']([^"']+)""", re.IGNORECASE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
NOT_OURS = frozenset({"out", "dist", "build", "node_modules"})


def documents(root: Path) -> list[Path]:
    """List the Markdown files below `root`, without hidden folders and those that tools write."""
    found = (path for path in root.rglob("*.md") if path.is_file())
    return sorted(path for path in found if not _is_skipped(path.relative_to(root)))


def anchors(text: str) -> set[str]:
    """Collect the fragments that a Markdown text answers to, by GitHub's rule for headings."""
    text = _blank(COMMENT, _blank(FENCE, text))
    names = set(ANCHOR.findall(_blank(CODE, text)))
    seen: dict[str, int] = {}
    for match in HEADING.finditer(text):
        slug = _slug(match[1] if match[1] is not None else match[2])
        repeated = seen.get(slug, 0)
        seen[slug] = repeated + 1
        names.add(f"{slug}-{repeated}" if repeated else slug)
    return names


def links(text: str) -> Iterator[tuple[int, str]]:
    """Each link's line, from 1, and target; what stands in code or a comment is no link."""
    text = _blank(CODE, _blank(COMMENT, _blank(FENCE, text)))
    for match in LINK.finditer(text):
        target = next(group for group in match.groups() if group is not None)
        yield text.count("\n", 0, match.end()) + 1, target


def problem(root: Path, document: Path, target: str) -> str | None:
    """Why `target` in `document` leads nowhere; None when it holds or is not ours to check."""
    if ELSEWHERE.match(target):
        return None
    name, _, fragment = unquote(target).partition("#")
    name = name.partition("?")[0]
    place = document if not name else root / name[1:] if name.startswith("/") else document.parent / name
    if not place.resolve().is_relative_to(root.resolve()):
        return f"{target} leaves the repository"
    if not place.exists():
        return f"{target} does not exist"
    is_document = place.suffix == ".md" and place.is_file()
    if fragment and is_document and fragment not in anchors(place.read_text(encoding="utf-8")):
        return f"{target}: no heading or anchor has that name"
    return None


def main(root: Path) -> int:
    """Report every broken link below `root`; 1 when there is one, else 0."""
    checked, broken = 0, 0
    for document in documents(root):
        for line, target in links(document.read_text(encoding="utf-8")):
            checked += 1
            if reason := problem(root, document, target):
                broken += 1
                sys.stderr.write(f"{document.relative_to(root)}:{line}: {reason}\n")
    sys.stdout.write(f"{checked} links in the documents, {broken} broken\n")
    return 1 if broken else 0


def _is_skipped(path: Path) -> bool:
    return any(part.startswith(".") or part in NOT_OURS for part in path.parts)


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Take away what matches, keeping its line breaks so that line numbers stay true."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


def _slug(heading: str) -> str:
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link's text is what counts
    words = re.sub(r"<[^>]+>", "", words).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
