"""Data that is there is used, whoever keeps it: reading takes no lock, and writes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metabench.cli import main
from metabench.data.load import load_data
from metabench.data.making.build import build_data
from metabench.doctor.installation import examine_folder
from metabench.errors import StorageError
from metabench.system.home import minari_root


@pytest.fixture
def library(small_disk, tiny_built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A read-only disk with the Minari files of `tiny`, where no lock was ever taken; the home is the test's own."""
    place = small_disk.path / "minari"
    shutil.copytree(
        tiny_built / "minari", place, ignore=shutil.ignore_patterns(".*", "histories-*", "expert-actions-*")
    )
    small_disk.make_read_only()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(place))
    return place


@pytest.mark.slow
def test_a_read_only_library_is_built_from_and_run_on(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METABENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    built = build_data("tiny", "medium")
    assert built == build_data("tiny", "medium")
    assert load_data("tiny", "expert").num_episodes == 20
    with pytest.raises(SystemExit) as ended:
        main(["run", "tiny", "-d", "mixed", "-m", "random", "--preset", "tiny", "--track", "zero-shot"])
    assert not ended.value.code
    with pytest.raises(StorageError, match="cannot be written: Read-only file system"):
        build_data("tiny", "medium", force=True)


def test_doctor_does_not_call_it_wrong(library: Path) -> None:
    (finding,) = examine_folder("Minari datasets", minari_root(), library=True)
    assert (finding.level, "can be read" in finding.message) == ("note", True)
    (finding,) = examine_folder("results", library)
    assert finding.level == "wrong"


@pytest.mark.parametrize(
    ("mode", "lock"), [(0o777, 0o666), (0o775, 0o664), (0o755, 0o644), (0o700, 0o600), (0o555, 0o644)]
)
def test_who_may_write_a_folder_may_take_its_locks(folders: Path, mode: int, lock: int) -> None:
    place = folders / "minari" / "metabench" / "tiny"
    place.mkdir(parents=True)
    place.chmod(mode)
    build_data("tiny", "expert")
    assert (place / ".expert-v1.lock").stat().st_mode & 0o777 == lock
