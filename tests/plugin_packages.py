"""A plugin suite as `metabench new suite` writes it, installed for one test."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from metabench.suites.scaffold import write_suite_plugin


def install(plugin: Path) -> None:
    """Leave the package in `plugin` as an editable install would: importable, with its entry points."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    info = plugin / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    groups = project["entry-points"].items()
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()) for group, points in groups
    )
    (info / "entry_points.txt").write_text(text)


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`make_plugin("my-cart", code)` writes the plugin with `code` at the end of family.py, installs it; its folder."""
    packages = []

    def make(name: str = "my-cart", code: str = "") -> Path:
        plugin = tmp_path / name
        write_suite_plugin(name, plugin)
        package = name.replace("-", "_")
        packages.append(package)
        family = plugin / package / "family.py"
        family.write_text(family.read_text() + code)
        install(plugin)
        monkeypatch.syspath_prepend(plugin)
        return plugin

    yield make
    for module in [*sys.modules]:
        if module.split(".")[0] in packages:
            del sys.modules[module]
