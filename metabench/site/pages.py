"""Which files the site holds: Markdown pages where they lie in the repository, and what they link to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PLACES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "metabench",
    "baselines",
    "datasets",
    "leaderboard",
)
"""Files and folders of the repository that may hold pages."""

LEADERBOARD_PAGE = "leaderboard/index.html"
"""The interactive page: it comes along with the rows that it loads."""

_BLOCK = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def list_pages(root: Path) -> list[str]:
    """Paths of all Markdown pages, relative to the repository's `root`, in order."""
    found: list[Path] = []
    for place in PLACES:
        path = root / place
        found += [path] if path.is_file() else path.rglob("*.md")
    return sorted(path.relative_to(root).as_posix() for path in found)


def list_links(markdown: str) -> list[str]:
    """Targets of the relative links in a page, without what follows a #; code is no link."""
    text = _CODE.sub("", _BLOCK.sub("", markdown))
    targets = [target.partition("#")[0] for target in _LINK.findall(text)]
    return [target for target in targets if target and not re.match(r"[a-z]+:", target)]


def list_linked_files(root: Path) -> Iterator[str]:
    """Files that pages link to and that are no pages, relative to `root`; those that are not there are left out."""
    known = set(list_pages(root))
    for page in sorted(known):
        for target in list_links((root / page).read_text(encoding="utf-8")):
            path = (root / page).parent.joinpath(target).resolve()
            if not path.is_relative_to(root) or not path.is_file():
                continue  # MkDocs says so, with the page's name
            name = path.relative_to(root).as_posix()
            if name not in known:
                known.add(name)
                yield name
