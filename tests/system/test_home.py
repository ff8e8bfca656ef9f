"""The folders of the user's own data, which no test may touch."""

import os
from pathlib import Path

import pytest

from metabench.cli import main
from metabench.data.making.build import build_data
from metabench.errors import MetabenchError
from metabench.system.home import home, minari_root


@pytest.fixture(scope="module")
def folders_of_a_module() -> tuple[Path, Path]:
    return home(), minari_root()


def test_neither_tests_nor_their_fixtures_see_the_users_own_data(
    folders_of_a_module: tuple[Path, Path], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = (home(), minari_root())
    monkeypatch.delenv("METABENCH_HOME")
    monkeypatch.delenv("MINARI_DATASETS_PATH")
    own = (home(), minari_root())
    assert here == (folders / "home", folders / "minari")
    for found in (here, folders_of_a_module):
        assert all(path != mine for path, mine in zip(found, own, strict=True))
    assert folders_of_a_module != here


@pytest.mark.parametrize("variable", ["METABENCH_HOME", "MINARI_DATASETS_PATH"])
def test_folders_of_the_environment_are_whole_paths(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = {"METABENCH_HOME": home, "MINARI_DATASETS_PATH": minari_root}[variable]
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    for given, wanted in {"data": "data", "./data": "data", "~/data": "me/data"}.items():
        monkeypatch.setenv(variable, given)
        assert find() == tmp_path / wanted
    monkeypatch.setenv(variable, "~nobody-is-called-so/data")
    with pytest.raises(MetabenchError, match=f"{variable}: '~nobody-is-called-so/data' is no folder"):
        find()
    monkeypatch.setenv(variable, "")
    empty = find()
    monkeypatch.delenv(variable)
    assert empty == find()


@pytest.mark.parametrize("given", ["data", "~/data", ""])
def test_data_is_built_where_the_variable_means(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", given)
    build_data("tiny", "expert")
    root = {"data": "data", "~/data": "me/data", "": "me/.minari/datasets"}[given]
    assert (tmp_path / root / "metabench" / "tiny" / "expert-v1" / "data" / "metadata.json").is_file()
    assert (tmp_path / root / "metabench" / "tiny" / "namespace_metadata.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [root.partition("/")[0]]
    assert os.environ["MINARI_DATASETS_PATH"] == given


def test_options_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell expands it after a space, not after an equals sign."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    for name, folder in (("one", ["--folder=~/one"]), ("two", ["--folder", "~/two"])):
        with pytest.raises(SystemExit) as ended:
            main(["new", "method", name, *folder])
        assert not ended.value.code
        assert (tmp_path / "me" / name / "pyproject.toml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["me"]
