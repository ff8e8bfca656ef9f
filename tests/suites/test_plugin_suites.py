"""Suites of other distributions: found by entry point, loaded by name, blamed by name."""

import shutil
from pathlib import Path

import pytest

from metabench import MetabenchError, load_suite
from metabench.suites import datasets_folder, list_suites


def install(site: Path, distribution: str, entry_points: dict[str, str]) -> None:
    """A distribution with suites, as an installer leaves it."""
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[metabench.suites]\n{lines}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    suite = folder / "little"
    shutil.copytree(datasets_folder() / "tiny", suite)
    text = (suite / "suite.toml").read_text().replace('name = "tiny"', 'name = "little"')
    (suite / "suite.toml").write_text(text)
    (folder / "plugin_of_a_stranger.py").write_text(
        f"from pathlib import Path\nLITTLE = Path({str(suite)!r})\nAS_TEXT = {str(suite)!r}\n"
    )
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize("attribute", ["LITTLE", "AS_TEXT"])
def test_a_plugin_suite_is_listed_and_loaded(site: Path, attribute: str) -> None:
    install(site, "stranger", {"little": f"plugin_of_a_stranger:{attribute}"})
    assert "little" in list_suites()
    assert load_suite("little").identity == "little-v1"


def test_a_built_in_name_wins(site: Path) -> None:
    install(site, "stranger", {"tiny": "plugin_of_a_stranger:LITTLE"})
    assert load_suite("tiny").folder == datasets_folder() / "tiny"


def test_a_failing_plugin_is_named_and_hides_no_other(site: Path) -> None:
    install(site, "stranger", {"broken": "plugin_that_is_not_there:SUITE", "little": "plugin_of_a_stranger:LITTLE"})
    assert {"broken", "little", "tiny"} <= set(list_suites())
    assert load_suite("little").name == "little"
    with pytest.raises(MetabenchError, match=r"'broken': its plugin plugin_that_is_not_there:SUITE failed to load"):
        load_suite("broken")


def test_a_name_given_twice_is_refused_and_hides_no_other(site: Path) -> None:
    install(site, "stranger", {"little": "plugin_of_a_stranger:LITTLE"})
    install(site, "other", {"little": "plugin_of_another:LITTLE"})
    with pytest.raises(MetabenchError, match=r"'little' is registered twice: by .*plugin_of_another.*"):
        load_suite("little")
    assert load_suite("tiny").name == "tiny"
    assert "tiny" in list_suites()
