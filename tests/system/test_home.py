"""The folders of the user's own data, which no test may touch."""

from pathlib import Path

import pytest

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
