"""What the documentation pages say is so: links lead somewhere, blocks run, references are whole, the site builds."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import metabench
from metabench.runs.sweep import read_sweep
from metabench.site.commands import describe_commands
from metabench.site.hooks import REFERENCES
from metabench.site.pages import list_links
from metabench.site.schemas import MEANINGS, describe_record, describe_suite_file

from ..pages import PAGES, PRINTS, READ, ROOT, RUN, Reader, read_blocks, read_page

SECONDS = 60
"""Within which the site builds on two cores."""


class _Config(yaml.SafeLoader):
    """Reads mkdocs.yml without the tags that are MkDocs's own."""


_Config.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
_Config.add_multi_constructor("!", lambda *_: None)


def list_navigation(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for each in (entry.values() if isinstance(entry, dict) else entry) for page in list_navigation(each)]


def test_the_navigation_holds_every_page_once() -> None:
    navigation = list_navigation(yaml.load((ROOT / "mkdocs.yml").read_text(), _Config)["nav"])
    assert sorted(navigation) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in list_links(read_page(page)):
        assert (ROOT / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_run_or_are_output(page: str) -> None:
    blocks = read_blocks(page)
    assert 2 * len(blocks) == len(re.findall(r"^ *```", read_page(page), re.MULTILINE)), "an odd or indented fence"
    for before, block in zip([None, *blocks], blocks, strict=False):
        assert block.language in (*RUN, *READ), f"{block.language!r} of {block.text!r:.60}"
        assert block.title != PRINTS or (before is not None and before.language == "python")
        if block.language == "python":
            compile(block.text, page, "exec")
        if block.language == "toml":
            tomllib.loads(block.text)


def test_sweep_files_of_pages_are_sweeps(tmp_path: Path) -> None:
    sweeps = [block for page in PAGES for block in read_blocks(page) if block.title == "sweep.toml"]
    assert sweeps
    for block in sweeps:
        (tmp_path / "sweep.toml").write_text(block.text)
        assert read_sweep(tmp_path / "sweep.toml")


def test_the_reference_of_the_api_holds_every_public_name() -> None:
    named = re.findall(r"^::: metabench\.(\w+)$", read_page("metabench/api.md"), re.MULTILINE)
    assert sorted(named) == sorted(set(metabench.__all__) - {"__version__"})


def test_references_are_asked_for_by_pages() -> None:
    asked = [
        name for page in PAGES for name in re.findall(r"^<!-- reference: (\S+) -->$", read_page(page), re.MULTILINE)
    ]
    assert sorted(asked) == sorted(REFERENCES)


def test_the_reference_of_schemas_holds_every_key() -> None:
    record, suite = describe_record(), describe_suite_file()
    assert "| `seconds_training` | number ≥ 0 |" in record
    assert "| `collections` | list of [Collection](#collection) | the unscored support" in record
    assert (
        "| `validation` | true or false | a training task that methods hold out to choose by (default: `false`) |"
        in suite
    )
    assert "## TaskEntry" in suite
    for text in (record, suite):
        assert re.findall(r"^\| `\w+` \|.*\| *\|$", text, re.MULTILINE) == [], "keys without a meaning"
        headings = re.findall(r"^## (\w+)$", text, re.MULTILINE)
        assert len(headings) == len(set(headings))
        assert set(re.findall(r"\]\(#(\w+)\)", text)) <= {heading.lower() for heading in headings}
    assert set(re.findall(r"^\| `(\w+)`", record, re.MULTILINE)) >= set(MEANINGS)


@pytest.mark.slow
def test_the_reference_of_commands_holds_every_option() -> None:
    text = describe_commands()
    assert "## `metabench run`" in text
    assert "### `metabench leaderboard verify`" in text
    assert "| `--fresh-tasks SEED` | score it in moved and fresh tasks" in text
    (sweep,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(tomllib.loads(sweep)["part"]) == 1


@pytest.fixture
def reader(tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """In a folder that has a copy of what pages name of a checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("leaderboard", "baselines/examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return Reader(tmp_path, os.environ)


def list_walked() -> list[str]:
    return [page for page in PAGES if any(block.runs for block in read_blocks(page))]


@pytest.mark.walk
@pytest.mark.parametrize("page", list_walked())
def test_a_reader_gets_through(page: str, reader: Reader) -> None:
    for block in read_blocks(page):
        reader.do(block)


@pytest.mark.slow
def test_the_programs_of_the_quick_start_run(reader: Reader, tiny_built: Path) -> None:
    programs = [block for block in read_blocks("metabench/quick_start.md") if block.language == "python"]
    assert programs
    for block in programs:
        reader.do(block)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built within a minute and without a warning."""
    pytest.importorskip("mkdocs", reason="needs the extra docs: make docs")
    folder = tmp_path_factory.mktemp("site")
    started = time.monotonic()
    # Not quietly: --strict does not count what --quiet does not show.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert time.monotonic() - started < SECONDS
    return folder


@pytest.mark.walk
def test_the_site_holds_every_page_and_needs_no_network(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}
    for page in PAGES:
        place = re.sub(r"README\.md$", "index.md", page).removesuffix(".md") + ".html"
        assert len(pages[place]) > 1000, page
    assert pages["leaderboard/page.html"] == (ROOT / "leaderboard" / "index.html").read_text()
    loaded = [
        (name, address)
        for name, text in pages.items()
        for address in re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"', text)
    ]
    assert loaded == [], "the site must open without a network"


@pytest.mark.walk
def test_the_search_works_from_disk(site: Path, browser: Any) -> None:
    browser.open(site / "index.html")
    browser.wait("[data-md-component=search-query]")
    browser.click("[data-md-component=search-query]")
    browser.press("headroom")
    browser.wait(".md-search-result__item")
    found = browser.texts(".md-search-result__item h1")
    assert "What headroom is" in found
