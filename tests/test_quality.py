"""The gates beside `make lint`: rooms, circles, public names, baselines as an outsider writes them."""

import ast
import inspect
import re
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import metabench

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 300

LARGEST_ROOM = 12
"""Files of a folder, beside its `__init__.py`."""

FULLER_ROOMS = {"metabench/cli"}
"""One file a verb."""


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


def rooms(folder: str) -> list[Path]:
    return sorted({path.parent for path in sources(folder)})


@pytest.mark.parametrize("folder", ["metabench", "baselines"])
def test_rooms_hold_few_files(folder: str) -> None:
    full = {
        name: count
        for room in rooms(folder)
        if (count := len([*room.glob("*.py")]) - 1) > LARGEST_ROOM
        and (name := str(room.relative_to(ROOT))) not in FULLER_ROOMS
    }
    assert not full, f"more than {LARGEST_ROOM} files: {full}"


@pytest.mark.parametrize("room", rooms("metabench"), ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_says_what_it_is_for_and_what_must_stay_out(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(re.findall(r"[.](?:\s|$)", said)) >= 2, f"{room}: expected two sentences, found {said!r}"


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_go_round_in_no_circle() -> None:
    """Lazy ones inside functions and those under TYPE_CHECKING count, too."""
    graph = grimp.build_graph("metabench", "metabench_baselines", cache_dir=None)
    assert len(graph.modules) > 300
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert find_circle(imports) == []
    back = {**imports, "metabench.errors": {"metabench.runs.plan"}}
    assert set(find_circle(back)) >= {"metabench.errors", "metabench.runs.plan"}, "a circle would not be found"


def test_public_names_are_there_once_and_say_what_they_are() -> None:
    assert dir(metabench) == sorted(set(metabench.__all__))
    for name in set(metabench.__all__) - {"__version__"}:
        found = getattr(metabench, name)
        assert found is not None
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, name
    assert re.fullmatch(r"\d+\.\d+\.\d+", metabench.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = metabench.nonsense  # type: ignore[attr-defined]


def test_datasets_and_leaderboard_hold_no_python() -> None:
    found = [str(path) for folder in ("datasets", "leaderboard") for path in (ROOT / folder).rglob("*.py*")]
    assert not found, "a package of that name would shadow the Hugging Face library `datasets`"


LARGEST_TREE = 60
"""MiB of all files that git tracks."""


def test_the_tracked_files_are_small() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
    total = sum(sizes.values()) / 2**20
    assert len(sizes) > 500
    assert total < LARGEST_TREE, f"{total:.0f} MiB; the largest: {', '.join(map(str, largest))}"
