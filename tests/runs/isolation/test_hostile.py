"""Hostile plugins under `metabench run --isolate`: each costs its own cell, and nothing of it stays behind."""

from __future__ import annotations

import json
import re
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import metabench
from metabench import MethodError, load_method, load_suite
from metabench.checks.method import iterate_method_checks
from metabench.cli import main
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.isolation.isolated_policy import confinement_gaps, open_isolated
from metabench.runs.isolation.limits import Limits
from metabench.runs.kept.record import read_record
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

from .mischief import write_plugin

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(confinement_gaps()), reason="this system cannot confine a process"),
]

EVERYTHING = ("import", "train", "save", "load", "act")


def run(place: Path, *methods: str) -> int:
    """The status of `metabench run --isolate` of these methods."""
    arguments = f"run tiny -d medium --preset tiny --track zero-shot --results {place}/results --workers 2"
    with pytest.raises(SystemExit) as ended:
        main([*arguments.split(), "-m", ",".join(methods), "--isolate", "--time-limit", "2m"])
    return ended.value.code or 0


def list_files(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file, by its path."""
    found = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found if not path.is_dir()}


@pytest.mark.parametrize("isolate", [False, True])
def test_planning_goes_on_without_a_plugin_that_hangs(place, isolate):
    hangs = write_plugin(place, "hangs", at_import="time.sleep(3600)")
    left_out = {}
    request = RunRequest(["tiny"], ["medium"], [hangs, "bc"], "tiny", isolate=isolate, limits=Limits(seconds=1.0))
    (cell,) = plan_cells(request, lambda method, error: left_out.update({method: str(error)}))
    assert cell.cell.method == "bc"
    assert left_out == {hangs: f"method {hangs!r}: its import or configuration ran longer than its limit of 1 s"}
    with pytest.raises(MethodError, match="ran longer"):
        plan_cells(replace(request, methods=[hangs]))


@pytest.mark.walk
@pytest.mark.parametrize("door", ["train", "save", "load", "grow"])
def test_who_hangs_or_grows_is_ended_at_every_door(place, door):
    misdeed = {"train": "hoard = [bytearray(1 << 24) for _ in range(1000)]"} if door == "grow" else {}
    spec = write_plugin(place, door, **misdeed or {door: "time.sleep(3600)"})
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], [spec], "tiny", isolate=True, results=place / "results"))
    limits = Limits(memory_bytes=1 << 30) if door == "grow" else Limits(seconds=4.0)
    assert run_cells([cell], Settings(isolate=True, limits=limits)).failed == (0,)
    found = json.loads(cell.failure_path.read_text())["error"]
    assert re.search("of memory, more than its limit of 1 GiB" if door == "grow" else "ran longer than its limi", found)


def test_a_failure_keeps_the_traceback_and_the_last_that_was_printed(place):
    training = "print('read 3 files \\x1b[31mred', flush=True); missing_name"
    acting = "print('x' * 100_000 + ' step 0', flush=True); self.spaces.nothing"
    specs = [write_plugin(place, "untrained", train=training), write_plugin(place, "unmoved", act=acting)]
    cells = plan_cells(RunRequest(["tiny"], ["medium"], specs, "tiny", isolate=True, results=place / "results"))
    assert run_cells(cells, Settings(isolate=True)).failed == (0, 1)
    trained, acted = (json.loads(cell.failure_path.read_text()) for cell in cells)
    assert re.search(r"train raised NameError: .* \(untrained.py, line \d+\)$", trained["error"])
    assert re.search(r'untrained.py", line \d+, in train', trained["traceback"])
    assert "The last that it printed:\nread 3 files red\n" in trained["traceback"]
    assert re.search(r'unmoved.py", line \d+, in act', acted["traceback"])
    assert "xxx step 0\n" in acted["traceback"]
    assert len(acted["traceback"]) < 20_000


UNPICKLED = re.compile(r"^\s*(import|from) (pickle|dill|marshal|shelve)|ProcessPool|allow_pickle=True", re.MULTILINE)
OF_THEIR_OWN = {"metaworld/lane.py", "foreign/safe_pickle.py"}
"""One writes a pickle for a call in the same process, the other reads those that `data import meta-dt` is given."""


def test_a_pickle_in_an_array_passes_the_check_and_harms_nobody(tmp_path):
    """Nothing of metabench reads a pickle; a method that reads its own does so where it can do no harm."""
    marker = tmp_path / "marker"
    payload = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    save = (
        "import pickle; evil = type('Evil', (), {'__reduce__': lambda self: (exec, (" + repr(payload) + ",))}); "
        "metabench.save_state({'a': np.frombuffer(pickle.dumps(evil()), np.uint8).copy()}, folder / 'state')"
    )
    load = "import pickle; pickle.loads(metabench.load_state(folder / 'state')['a'].tobytes())"
    spec = write_plugin(tmp_path, "pickled", save=save, load=load)
    findings = {finding.title: finding for finding in iterate_method_checks(spec) if finding.suite == "tiny"}
    assert findings["saves"].passed
    assert "such as a pickle, cannot be seen" in findings["saves"].expected
    assert marker.exists()  # `check` runs the method's own code
    marker.unlink()
    spaces, saved = load_suite("tiny").spaces, tmp_path / "saved"
    load_method(spec).train(SimpleNamespace(spaces=spaces), None).save(saved)
    with pytest.raises(MethodError, match=r"raised OSError: .*Read-only"), open_isolated(spec, saved, spaces):
        pass
    assert not marker.exists()
    source = Path(metabench.__file__).parent
    reading = {path for path in source.rglob("*.py") if UNPICKLED.search(path.read_text())}
    assert {"/".join(path.parts[-2:]) for path in reading} == OF_THEIR_OWN


@pytest.mark.walk  # a dozen plugins, each in processes of its own, some of which must be waited for
def test_each_costs_its_own_cell_and_nothing_stays_behind(place, capfd, monkeypatch):
    plugins, temporary = place / "plugins", place / "tmp"
    plugins.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    watched = [str(place / "results"), str(place / "home"), str(place / "home" / "runs"), str(place / "home/policies")]
    ending = {
        "exits-importing": {"at_import": "os._exit(0)"},
        "quits-importing": {"at_import": "sys.exit()"},
        "stops-training": {"train": "raise KeyboardInterrupt"},
        "exits-loading": {"load": "os._exit(0)"},
        "links": {"save": "os.symlink('/dev/zero', folder / 'weights')"},
    }
    specs = {name: write_plugin(plugins, name, **misdeeds) for name, misdeeds in ending.items()}
    everywhere = {"at_import": "everything('import')"} | {door: f"everything({door!r})" for door in EVERYTHING[1:]}
    specs["mischief"] = write_plugin(plugins, "mischief", watched, **everywhere)
    specs["honest"] = write_plugin(plugins, "honest")
    outside = [Path(sysconfig.get_path("purelib")), Path(metabench.__file__).parent, plugins]
    before = list_files(*outside)

    assert run(place, *specs.values(), "random") == 1

    told = capfd.readouterr().err
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert f"{plugins}/exits-importing.py:Plugin': its import or configuration ended its process with exit sta" in told
    assert f"{plugins}/quits-importing.py: failed to load: SystemExit" in told
    failed = {path.parts[-3]: json.loads(path.read_text())["error"] for path in place.rglob("*.failed.json")}
    expected = {
        "stops-training": "train raised KeyboardInterrupt",
        "exits-loading": "load ended its process with exit status 0",
        "links": "weights: is neither a file nor a folder; expected plain files only",
    }
    assert set(failed) == set(expected)
    for name, words in expected.items():
        assert words in failed[name]
    records = {path.parts[-3]: read_record(path) for path in (place / "results").rglob("*.json.gz")}
    assert set(records) == {"mischief", "honest", "random"}
    rows = {name: records[name].result.blocks for name in ("mischief", "honest")}
    assert rows["mischief"] == rows["honest"]

    assert list_files(*outside) == before
    assert not list(temporary.iterdir())
    assert not [*Path("/tmp").glob("left-*"), *Path("/tmp").glob("link-*")]
    assert not [path for path in place.rglob("*") if path.name.startswith(("left-", "link-", "deep", "scratch"))]
    assert not list(Path("/").glob("l*-*"))
    assert not [each for each in psutil.process_iter(["cmdline"]) if "mischief" in (each.info["cmdline"] or [])]
