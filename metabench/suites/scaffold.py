"""Writes a plugin package around a small suite that works: the quickest way to an own one."""

from __future__ import annotations

from pathlib import Path

from metabench.envs import list_family_names
from metabench.errors import MetabenchError
from metabench.suites.folders import find_built_in_suites, find_plugin_suites
from metabench.system.scaffold import write_package

TEMPLATE = Path(__file__).parent / "template"

LONGEST_NAME = 64
"""As the schema of suite.toml has it."""

_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "init.py.txt": "{package}/__init__.py",
    "family.py.txt": "{package}/family.py",
    "teacher.py.txt": "{package}/teacher.py",
    "suite.toml.txt": "{package}/{name}/suite.toml",
    "card.md.txt": "{package}/{name}/README.md",
    "test_suite.py.txt": "tests/test_suite.py",
}


def write_suite_plugin(name: str, folder: Path) -> tuple[Path, ...]:
    """Write a package that registers the suite `name`, and a task family of that name, into the new or empty `folder`.

    Returns:
        The files, in the order written.

    Raises:
        MetabenchError: `name` is not a possible name, is taken by an installed suite, task family or package or by
            Python itself, or `folder` is not empty.
    """
    if len(name) > LONGEST_NAME:
        raise MetabenchError(
            f"suite name {name!r:.80}: expected at most {LONGEST_NAME} characters, found {len(name)}"
        )
    taken_by = None
    if name in find_plugin_suites():
        taken_by = " and ".join(
            f"the installed plugin {point.value}" for point in find_plugin_suites()[name]
        )
    elif name in find_built_in_suites():
        taken_by = "a suite of metabench"
    elif name in list_family_names():
        taken_by = "an installed task family"
    return write_package("suite", name, folder, TEMPLATE, _FILES, taken_by)
