"""The Markdown pages of the repository and their blocks, as tests read and walk them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from metabench.site.pages import list_pages

from .plugin_packages import install

ROOT = Path(__file__).parents[1]
PAGES = list_pages(ROOT)

RUN, READ = ("python", "sh"), ("toml", "text", "bibtex")
"""Languages of blocks: those that a test runs, and those that are only read. Output is `text`."""

NEEDS = "Needs "
"""How the title of a block begins that no test runs, and says what it takes."""

PRINTS = "prints"
"""The title of a `text` block with exactly what the Python block before it prints."""

ALREADY_DONE = ("make", "git", "pip", "python3", ".")
"""First words of lines that set metabench up, which was done before a test can run."""

_FENCE = re.compile(r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page.

    Attributes:
        page: where it stands.
        language: the word after the fence.
        title: what stands above it on the site; empty without one.
        text: its lines.
        prints: what it has to print; None if the page does not say.
    """

    page: str
    language: str
    title: str
    text: str
    prints: str | None = None

    @property
    def runs(self) -> bool:
        return self.language in RUN and not self.title.startswith(NEEDS)


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def read_blocks(page: str) -> list[Block]:
    blocks: list[Block] = []
    for language, title, text in _FENCE.findall(read_page(page)):
        if title == PRINTS and blocks:
            blocks[-1] = blocks[-1]._replace(prints=text)
        blocks.append(Block(page, language, title, text))
    return blocks


def make_small(text: str) -> str:
    """The same with the suite `tiny`, the preset `tiny` and at most two seeds; papers name their suites themselves."""
    lines = [line if line.startswith("metabench reproduce") else _name_tiny(line) for line in text.splitlines()]
    text = "\n".join(lines) + "\n"
    text = re.sub(r"--preset \w+", "--preset tiny", text)
    text = text.replace("/demo-*/", "/tiny-*/")  # the folder of that preset
    # What names no budget has that of `cpu`: minutes.
    without = r"^(metabench run (?!.*--preset)(?!\S+\.toml).*?)( *#.*)?$"
    text = re.sub(without, r"\1 --preset tiny", text, flags=re.MULTILINE)
    text = re.sub(r'preset ?= ?"\w+"', 'preset="tiny"', text)
    return re.sub(r"--seeds ([3-9]|\d\d)", "--seeds 2", text)


def _name_tiny(line: str) -> str:
    line = re.sub(r"\bpoint-robot/(\w+)-v\d+\b", r"tiny/\1-v1", line)
    return re.sub(r"\bpoint-robot\b", "tiny", re.sub(r"\bpoint-robot-v\d+\b", "tiny-v1", line))


class Reader:
    """One who does in a folder, from top to bottom, what a page says."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.environment = folder, dict(environment)
        self.names: dict[str, Any] = {"__name__": "page"}
        programs = folder / ".programs"
        programs.mkdir()
        # The command as it is here; the one on the PATH may be another installation's.
        (programs / "metabench").write_text(f'#!/bin/sh\nexec {sys.executable} -m metabench "$@"\n')
        (programs / "metabench").chmod(0o755)
        self.environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def do(self, block: Block) -> None:
        if block.language == "toml" and block.title:
            (self.folder / block.title).write_text(make_small(block.text))
        if block.runs:
            (self._run_python if block.language == "python" else self._run_shell)(block)

    def _run_python(self, block: Block) -> None:
        small = "point-robot" not in (block.prints or "")
        text = make_small(block.text) if small else block.text
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(text, block.page, "exec"), self.names)
        if block.prints is not None:
            assert printed.getvalue() == block.prints, block.page
        if block.title:  # a file of this name
            (self.folder / block.title).write_text(block.text)

    def _run_shell(self, block: Block) -> None:
        lines = make_small(block.text).replace("\\\n", " ").splitlines()
        for line in lines:
            words = shlex.split(line, comments=True)
            if words[:3] == ["pip", "install", "-e"] and (self.folder / words[3]).is_dir():
                install(self.folder / words[3])
                paths = [str(self.folder / words[3]), *self.environment.get("PYTHONPATH", "").split(os.pathsep)]
                self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
            elif words and words[0] not in ALREADY_DONE:
                done = subprocess.run(
                    ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{block.page}: {line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
