"""Whatever file of a run is damaged, it is named, or what it held is made again."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from metabench.cli import main
from metabench.data.making.build import build_data
from metabench.errors import DataError
from metabench.methods.state_files import DIGESTS, STRUCTURE, TENSORS
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.clock import LOST_SECONDS
from metabench.runs.kept.record import read_record
from metabench.runs.kept.run_folder import run_folder
from metabench.runs.kept.saved_policy import FACTS, policy_folder, read_training
from metabench.system.home import home

from ..interrupted import METHODS, SETTINGS, after, interrupt, plan, quiet, run

pytestmark = pytest.mark.slow


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}


@pytest.mark.parametrize("name", [TENSORS, STRUCTURE, DIGESTS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(place, expected, name, damage):
    cell = plan(place / "results")
    interrupt(cell, 17)  # in the second stage
    path = run_folder(cell.cell) / "checkpoints" / "second" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    updates = []
    record = execute_cell(
        cell, SETTINGS, lambda stage, done, *rest: updates.append(done) if stage == "training: second" else None
    )
    assert updates == list(range(6, 13))  # of which the first six had been done
    assert record.result == expected.result


def test_two_damaged_checkpoints_are_named(place):
    cell = plan(place / "results")
    interrupt(cell, 5)
    found = sorted((run_folder(cell.cell) / "checkpoints").rglob(TENSORS))
    assert len(found) == 2
    for path in found:
        path.write_bytes(path.read_bytes()[:40])
    kind, message = run(cell)
    assert kind == "failed"
    assert f"{run_folder(cell.cell) / 'checkpoints' / 'first'}: damaged checkpoint" in message
    assert "delete the folder to start again" in message


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["notes", "tracks", "policy"])
def test_other_damaged_files_of_a_run_folder_cost_time_only(place, expected, kind, damage):
    cell = plan(place / "results")
    interrupt(cell, 17 if kind == "notes" else 24 + 20 + 30)
    folder = run_folder(cell.cell)
    run_cells([cell], SETTINGS, cancelled=after(2))  # with the file that tells how far it is
    found = {
        "notes": [folder / "clock.json", folder / "progress.json", folder.with_suffix(".lock")],
        "tracks": list(folder.glob("evaluated/*")),
        "policy": [path for path in folder.glob("trained/**/*") if path.is_file()],
    }[kind]
    assert found
    for path in found:
        path.write_bytes(DAMAGES[damage](path.read_bytes() or b"a lock" * 20))
    assert run(plan(place / "results")) == ("finished", "")
    record = read_record(cell.record_path)
    assert record.result == expected.result
    lost = kind == "notes" and damage != "flipped"
    assert record.provenance.warnings == ((LOST_SECONDS,) if lost else ())
    assert read_training(policy_folder(cell.cell)).cell == cell.cell
    assert not folder.exists()


def test_a_damaged_policy_is_named(uninterrupted, expected, tmp_path):
    folder = tmp_path / "policy"
    shutil.copytree(uninterrupted / "home" / "policies" / expected.folder, folder)
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path, damage in itertools.product(found, (*DAMAGES, "missing")):
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(DAMAGES[damage](content))
        with pytest.raises(DataError, match=str(path)) as told:
            read_training(folder)
        assert "\n" not in str(told.value)
        path.write_bytes(content)
    assert read_training(folder).files.keys() == {"weights/" + name for name in (TENSORS, STRUCTURE, DIGESTS)}


def test_a_damaged_policy_is_trained_again_when_tracks_are_added(place, expected):
    cell = plan(place / "results", tracks=["zero-shot"])
    execute_cell(cell, SETTINGS, quiet)
    (policy_folder(cell.cell) / FACTS).write_text("{}")
    assert run(plan(place / "results")) == ("finished", "")
    assert read_record(cell.record_path).result == expected.result


def test_a_truncated_store_is_named_and_once_it_is_mended_the_run_goes_on(place, expected, capsys):
    cell = plan(place / "results")
    interrupt(cell, 17)
    store = home() / "stores" / "tiny-v1" / "medium-v1"
    (store / "rewards.npy").write_bytes((store / "rewards.npy").read_bytes()[:-4])
    command = f"run tiny -d medium -m {METHODS}:Small --results {place / 'results'}".split()
    with pytest.raises(SystemExit):
        main(command)
    assert capsys.readouterr().err.splitlines() == [
        f"error: {store / 'rewards.npy'}: has 3324 bytes, expected 3328; "
        "run `metabench data build tiny --dataset medium --force`"
    ]
    build_data("tiny", "medium", force=True)
    updates = []
    record = execute_cell(cell, SETTINGS, lambda stage, done, *rest: updates.append((stage, done)))
    assert ("training: second", 5) not in updates
    assert record.result == expected.result


def test_damage_spares_no_bit_of_a_record(uninterrupted, expected, tmp_path):
    """Whichever bit of a record is wrong, it is either refused or says the same."""
    path = tmp_path / "record.json"
    content = (uninterrupted / "results" / expected.path).read_bytes()
    generator = np.random.default_rng()
    for _ in range(200):
        at, bit = int(generator.integers(len(content))), int(generator.integers(8))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
        try:
            assert read_record(path).result == expected.result
        except DataError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
