"""The gates that code has to pass: style, types, layers, and baselines written as an outsider would."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import metabench

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 300


def tool(*command: str) -> None:
    """Run a tool of the environment in the repository's root; its output is the message if it fails."""
    executable = Path(sys.executable).parent / command[0]
    done = subprocess.run([executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_style_and_docstrings() -> None:
    tool("ruff", "check", "--quiet")


def test_format() -> None:
    tool("ruff", "format", "--check", "--quiet")


def test_types() -> None:
    tool("mypy")


def test_layers() -> None:
    tool("lint-imports")


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("path", sources("baselines"), ids=lambda path: str(path.relative_to(ROOT)))
def test_baselines_use_public_names_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        place = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            for name in node.names:
                assert name.name.split(".")[0] not in ("metabench", "metabench_baselines", "baselines"), (
                    f"{place}: import {name.name}; expected `from metabench import ...` or a relative import"
                )
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            top = node.module.split(".")[0]
            assert top not in ("metabench_baselines", "baselines"), f"{place}: expected a relative import"
            if top == "metabench":
                assert node.module == "metabench", f"{place}: {node.module} is not public"
                private = {name.name for name in node.names} - set(metabench.__all__)
                assert not private, f"{place}: {sorted(private)} are not in metabench.__all__"


@pytest.mark.parametrize("folder", ["metabench", "baselines", "tests"])
def test_files_are_short(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): length
        for path in sources(folder)
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long, f"longer than {LONGEST_FILE} lines: {long}"


def test_public_names_are_there() -> None:
    for name in metabench.__all__:
        assert getattr(metabench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = metabench.nonsense  # type: ignore[attr-defined]


def test_datasets_and_leaderboard_hold_no_python() -> None:
    found = [str(path) for folder in ("datasets", "leaderboard") for path in (ROOT / folder).rglob("*.py*")]
    assert not found, "a package of that name would shadow the Hugging Face library `datasets`"
