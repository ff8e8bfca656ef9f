"""What MkDocs calls while it builds the site: the files it gets, and the parts of pages that are read from code."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metabench.site.commands import describe_commands
from metabench.site.pages import LEADERBOARD_PAGE, list_linked_files, list_pages
from metabench.site.schemas import describe_record, describe_suite_file

REFERENCES: dict[str, Callable[[], str]] = {
    "commands": describe_commands,
    "record": describe_record,
    "suite.toml": describe_suite_file,
}
"""What `<!-- reference: NAME -->` of a page becomes."""

ASSETS = "metabench/site/assets"

_REFERENCE = re.compile(r"^<!-- reference: (\S+) -->$", re.MULTILINE)
_SOURCE = re.compile(r"^<!-- source: (\S+) -->$", re.MULTILINE)
_PYTHON_LINK = re.compile(r"(\]\([^)\s:]+\.py)\)")


def on_files(files: Any, config: Any) -> Any:
    """Take pages from where they lie in the repository, instead of one folder of documents."""
    from mkdocs.structure.files import File, Files, InclusionLevel

    root = Path(config.config_file_path).parent
    arguments = (str(root), config.site_dir, config.use_directory_urls)
    kept = [file for file in files if file.generated_by or file.src_dir != config.docs_dir]
    kept += [File(name, *arguments) for name in list_pages(root)]
    for name in list_linked_files(root):
        if name.endswith(".py"):
            text = write_source_page(root, name)
            kept.append(
                File.generated(
                    config, f"{name}.md", content=text, inclusion=InclusionLevel.NOT_IN_NAV
                )
            )
        else:
            kept.append(File(name, *arguments))
    board = File(LEADERBOARD_PAGE, *arguments)
    board.dest_uri = "leaderboard/page.html"  # index.html is the folder's README
    kept = [file for file in kept if file.src_uri != LEADERBOARD_PAGE] + [board]
    for path in sorted((root / "leaderboard" / "rows").glob("*.js")):
        kept.append(File(path.relative_to(root).as_posix(), *arguments))
    for path in sorted((root / ASSETS).iterdir()):
        asset = File(path.relative_to(root).as_posix(), *arguments)
        asset.dest_uri = f"assets/{path.name}"
        kept.append(asset)
    return Files(kept)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put in what is read from code, and let links to Python files lead to their pages."""
    del files
    root = Path(config.config_file_path).parent
    folder = posixpath.dirname(page.file.src_uri)
    markdown = _REFERENCE.sub(lambda found: REFERENCES[found[1]](), markdown)
    markdown = _SOURCE.sub(lambda found: write_code(root / folder / found[1]), markdown)
    return _PYTHON_LINK.sub(r"\1.md)", markdown)


def write_code(path: Path) -> str:
    """A Python file as a block."""
    return f"~~~~~~python\n{path.read_text(encoding='utf-8').rstrip()}\n~~~~~~"


def write_source_page(root: Path, name: str) -> str:
    """The page of a Python file that other pages link to; the search leaves it out."""
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n{write_code(root / name)}\n"
