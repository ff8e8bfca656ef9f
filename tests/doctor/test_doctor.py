"""`metabench doctor`: what is damaged is named with what to do, and the status says so."""

from __future__ import annotations

import pytest

from metabench.doctor import installation as doctor
from metabench.errors import NoRendererError


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Rendering is tried elsewhere: it starts processes that load OpenGL."""

    def find_none():
        raise NoRendererError("MuJoCo renders no pictures here")

    monkeypatch.setattr(doctor, "find_backend", find_none)


def findings(out, level):
    return [line.removeprefix(f"{level:5} ") for line in out.splitlines() if line.startswith(f"{level:5} ")]


@pytest.mark.slow
def test_a_sound_place_has_nothing_wrong(command, place):
    ended = command("doctor")
    assert ended.status == 0, ended.out
    assert not findings(ended.out, "wrong")
    fine = "\n".join(findings(ended.out, "ok"))
    for what in ("Python", "packages", "imports", "torch", "METABENCH_HOME", "results", "suites", "methods"):
        assert f"{what}: " in fine
    assert "data: tiny: " in fine
    assert any(line.startswith("rendering: MuJoCo renders no pictures") for line in findings(ended.out, "note"))


@pytest.mark.slow
def test_damage_is_named_with_its_remedy(command, place, monkeypatch):
    (column,) = (place / "home" / "stores").glob("tiny-v*/medium-v*/rewards.npy")
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    (place / "results").write_text("in the way")
    monkeypatch.setattr(doctor, "IMPORTS", ("numpy", "no_such_package"))
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=99", "pytest", "absent>=1 ; extra == 'dev'"])
    ended = command("doctor")
    assert ended.status == 1
    wrong = findings(ended.out, "wrong")
    assert ended.out.splitlines()[-1].startswith(f"{len(wrong)} wrong, ")
    assert any(line.startswith("packages: expected numpy>=99, found ") for line in wrong)
    assert any(line.startswith("imports: no_such_package does not import: ModuleNotFoundError") for line in wrong)
    assert any(line.startswith("results: results: cannot be written to") for line in wrong)
    (data,) = [line for line in wrong if line.startswith("data: ")]
    assert str(column) in data
    assert data.endswith("run `metabench data build tiny --dataset medium --force`")
    assert len(wrong) == 4


@pytest.mark.slow
def test_locks_that_do_not_hold_are_told(command, place, monkeypatch):
    monkeypatch.setattr(doctor, "LOCKING", "raise SystemExit(1)")
    wrong = findings(command("doctor").out, "wrong")
    assert [line.partition(": ")[0] for line in wrong] == ["METABENCH_HOME", "Minari datasets", "results"]
    assert all("locks do not hold" in line for line in wrong)


@pytest.mark.parametrize(("free", "level"), [(1 << 29, "wrong"), (2 << 30, "note"), (9 << 30, "ok")])
def test_space_is_looked_at(place, monkeypatch, free, level):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    (finding,) = doctor.examine_folder("results", place / "results")
    assert finding.level == level
