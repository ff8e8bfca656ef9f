"""The wheel holds what the repository holds, and works without it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.walk


ROOT = Path(__file__).parents[2]
FOLDERS = {"metabench": "metabench", "baselines": "metabench_baselines", "datasets": "metabench_datasets"}
"""Folder of the repository to folder of the wheel."""

PAGES = re.compile(
    r"^(metabench|datasets|baselines)/(?!.*README\.md$).*\.md$|^metabench/site/assets/|^baselines/examples/"
)
"""Documentation, which is read in a checkout or on the site; method READMEs and suite cards are in the wheel."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command, without this process's Python settings; returns its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PYTEST"))}
    done = subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def repository_files(*paths: str) -> list[str]:
    """What git tracks, or would if it were added."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths, cwd=ROOT).splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist that is built from a copy of the repository's files: nothing else can slip in."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in repository_files("pyproject.toml", "README.md", "LICENSE", *FOLDERS):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "source", cwd=folder)
    assert len([*folder.glob("metabench-*.tar.gz")]) == 1
    (built,) = folder.glob("metabench-*.whl")
    return built


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; only the dependencies are borrowed from this one."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", python, *install, wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # A folder named in a .pth file is searched last, and its own .pth files (the editable checkout) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.mark.parametrize("folder", FOLDERS)
def test_wheel_holds_what_the_repository_holds(wheel: Path, folder: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(f"{FOLDERS[folder]}/")}
    expected = {
        FOLDERS[folder] + name.removeprefix(folder) for name in repository_files(folder) if not PAGES.match(name)
    }
    assert packed == expected


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(FOLDERS.values())


def test_suites_are_found_beside_the_installed_package(installation: Path, tmp_path: Path) -> None:
    program = "import metabench.suites as s; print(s.__file__); print(s.datasets_folder()); print(*s.list_suites())"
    module, folder, names = run(installation / "bin" / "python", "-c", program, cwd=tmp_path).splitlines()
    assert Path(module).is_relative_to(installation)
    assert Path(folder).is_relative_to(installation)
    assert {"point-robot", "tiny"} <= set(names.split())


def test_the_command_works_from_the_wheel(installation: Path, tmp_path: Path) -> None:
    metabench = installation / "bin" / "metabench"
    places = {"METABENCH_HOME": str(tmp_path / "home"), "MINARI_DATASETS_PATH": str(tmp_path / "minari")}
    listed = run(metabench, "list", cwd=tmp_path, **places)
    assert "point-robot" in listed
    assert "meta-dt-plus" in listed
    assert "\n0 wrong" in run(metabench, "doctor", cwd=tmp_path, OMP_NUM_THREADS="1", **places)
    cells = ["--dataset", "medium", "--method", "random,bc", "--preset", "tiny", "--seeds", "1"]
    run(metabench, "run", "tiny", *cells, cwd=tmp_path, OMP_NUM_THREADS="1", **places)
    records = sorted(str(path.relative_to(tmp_path / "results")) for path in (tmp_path / "results").rglob("*.json.gz"))
    assert [record.split("/")[:3] for record in records] == [
        ["tiny-v1", "medium", "bc"],
        ["tiny-v1", "medium", "random"],
    ]
