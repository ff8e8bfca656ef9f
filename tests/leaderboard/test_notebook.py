"""The notebooks run from top to bottom on public names, and are kept as they were run."""

import ast
import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import metabench

pytestmark = pytest.mark.walk


FOLDER = Path(__file__).parents[2] / "leaderboard"
PATH = FOLDER / "notebook.ipynb"
LARGEST = 400_000
"""Bytes of the notebook with its pictures."""

CELLS: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_it_is_kept_as_it_was_run() -> None:
    assert PATH.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
    assert {output["name"] for output in outputs if "name" in output} == {"stdout"}
    pictures = [output["data"]["image/png"] for output in outputs if "data" in output]
    assert len(pictures) == 5
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


def test_it_uses_public_names_only() -> None:
    tree = ast.parse("\n".join(source(cell) for cell in CODE))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"gymnasium", "matplotlib.pyplot", "metabench", "numpy", "pathlib"}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "metabench"
    }
    assert {"load_data", "load_policy", "run", "compare_methods", "load_leaderboard"} <= used <= {*metabench.__all__}


def test_it_runs_with_a_small_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the preset of tests; what it concludes of the published records is then still the same."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs the extra `notebook`")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    monkeypatch.chdir(FOLDER)
    names: dict[str, Any] = {}
    try:
        with matplotlib.rc_context():
            for place, cell in enumerate(CODE):
                exec(compile(source(cell), f"{PATH.name}, cell {place + 1}", "exec"), names)
                if place == 0:
                    assert (names["PRESET"], len(names["SEEDS"])) == ("demo", 2)
                    names.update(PRESET="tiny", WORKERS=1, RESULTS=tmp_path)
            assert len(pyplot.get_fignums()) == 5
    finally:
        pyplot.close("all")
    assert len(list(tmp_path.rglob("*.json.gz"))) == len(names["records"]) == 4
    ours, published = names["reports"].values()
    assert [len(report.comparisons) for report in (ours, published)] == [4, 4]
    assert all(comparison.verdict is None for comparison in ours.comparisons)
    # The published records have three seeds and thirty test tasks: enough for a verdict.
    assert all(comparison.verdict == "better" for comparison in published.comparisons)
    printed = "".join(text for cell in CODE for output in cell["outputs"] for text in output.get("text", []))
    assert "verdict: none" in printed
    assert "verdict: better" in printed


WRITING = FOLDER / "write_a_method.ipynb"
WRITTEN = [cell for cell in json.loads(WRITING.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
MAGIC = "%%writefile ../results/notebook/"


def test_the_notebook_that_writes_a_method_is_kept_as_it_was_run() -> None:
    assert WRITING.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in WRITTEN] == list(range(1, len(WRITTEN) + 1))
    outputs = [output for cell in WRITTEN for output in cell["outputs"]]
    assert {output["name"] for output in outputs if "name" in output} == {"stdout"}
    printed = "".join(text for output in outputs for text in output.get("text", []))
    assert re.search(r"(\d+) of \1 checks passed", printed)
    assert re.search(r"logged-shot .* verdict: better", printed)


def test_the_notebook_that_writes_a_method_runs_with_a_small_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="needs the extra `notebook`")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, Any] = {}
    try:
        for place, cell in enumerate(WRITTEN):
            text = source(cell)
            if text.startswith(MAGIC):
                name, _, content = text.removeprefix(MAGIC).partition("\n")
                (tmp_path / name).write_text(content + "\n")
                continue
            exec(compile(text, f"{WRITING.name}, cell {place + 1}", "exec"), names)
            if place == 0:
                names.update(PRESET="tiny", SEEDS=(0, 1), WORKERS=1, RESULTS=tmp_path)
        assert len(pyplot.get_fignums()) == 1
    finally:
        pyplot.close("all")
        sys.modules.pop("best_place", None)
    assert all(finding.passed for finding in names["findings"])
    assert len(list(tmp_path.rglob("*.json.gz"))) == len(names["records"]) == 4
