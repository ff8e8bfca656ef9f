"""Planning: every name is checked before any work, and what is finished is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metabench.cli.arguments import read_names, read_overrides, read_seeds, read_shots
from metabench.data.load import read_dataset_identity
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import store_exists
from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation.protocol import PROTOCOL
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.earlier_record import UNKNOWN_DIGEST
from metabench.runs.kept.record import digest_of, make_record, read_record, write_record
from metabench.runs.plan import plan_cells
from metabench.runs.prepare import prepare_data
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.runs.status import inspect_results
from metabench.suites import load_suite


def test_a_cell_names_all_that_its_result_depends_on(place, small):
    cells = plan_cells(RunRequest(["tiny"], ["medium", "expert"], [small], seeds=(0, 3), overrides={"updates": 4}))
    assert [(c.cell.dataset, c.cell.seed) for c in cells] == [
        ("medium", 0),
        ("medium", 3),
        ("expert", 0),
        ("expert", 3),
    ]
    cell, suite = cells[1].cell, load_suite("tiny")
    assert (cell.suite, cell.suite_version, cell.suite_digest) == ("tiny", 1, suite.digest)
    assert (cell.method, cell.method_version, cell.preset, cell.protocol) == ("small", 1, "cpu", PROTOCOL)
    assert cell.config_digest == digest_of({"updates": 4, "learning_rate": 0.05})
    digest8 = digest_of(cell.model_dump(mode="json", exclude={"seed"}))[7:15]
    assert str(cell.path) == f"tiny-v1/medium/small/cpu-{digest8}/3.json.gz"
    assert cells[0].tracks == tuple(
        (split, track) for split in ("test", "test-far") for track in ("zero-shot", "few-shot", "logged-shot")
    )
    assert cells[0].cell.dataset_digest != cells[2].cell.dataset_digest


def test_the_same_cell_is_planned_once(place, small):
    assert len(plan_cells(RunRequest(["tiny"], ["medium"], [small, small], seeds=(0, 0, 1)))) == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"suites": ["tyni"]}, "unknown suite 'tyni'; did you mean 'tiny'"),
        ({"datasets": ["medum"]}, "unknown dataset of suite tiny 'medum'; did you mean 'medium'"),
        ({"methods": ["randon"]}, "unknown method 'randon'; did you mean 'random'"),
        ({"methods": ["random/quick"]}, "unknown variant of method random 'quick'"),
        ({"preset": "cpus"}, "unknown preset of method random 'cpus'; did you mean 'cpu'"),
        ({"tracks": ["fewshot"]}, "unknown track 'fewshot'; did you mean 'few-shot'"),
        ({"overrides": {"lr": 1}}, "unknown configuration key of method random 'lr'"),
        ({"seeds": (-1,)}, "seeds: expected whole numbers from 0, found -1"),
    ],
)
def test_wrong_names_are_refused_before_any_work(folders, changes, expected):
    given = {"suites": ["tiny"], "datasets": ["medium"], "methods": ["random"], **changes}
    with pytest.raises(MetabenchError) as caught:
        plan_cells(RunRequest(**given))
    assert expected in str(caught.value)
    assert not store_exists(load_suite("tiny"), "medium")


def test_a_method_that_cannot_act_in_a_suite_is_refused(folders, small):
    with pytest.raises(
        MetabenchError, match=r"method 'small' cannot act in suite 'tiny-discrete': it takes no discrete"
    ):
        plan_cells(RunRequest(["tiny", "tiny-discrete"], ["medium"], [small]))


def test_planning_builds_nothing_and_preparing_builds_what_is_missing(folders, small):
    suite = load_suite("tiny")
    request = RunRequest([suite], ["expert"], [small])
    planned = plan_cells(request)
    assert not any(folders.rglob("*"))  # no folder, no lock, no store
    assert planned[0].cell.dataset_digest == suite.dataset("expert").digest
    told = []
    assert prepare_data(planned, lambda *report: told.append(report))
    assert store_exists(suite, "expert")
    assert store_exists(suite, "medium")  # the support of logged-shot
    assert {what.partition(":")[0] for what, _, _ in told} == {"tiny expert", "tiny medium"}
    (cell,) = plan_cells(request)
    assert cell.cell.dataset_digest == read_dataset_identity(suite, "expert").digest
    assert not prepare_data([cell])


def test_finished_cells_need_no_data(place, small):
    request = RunRequest(["tiny"], ["medium"], [small], results=place / "results")
    run_cells(plan_cells(request), Settings())
    (cell,) = plan_cells(request)
    shutil.rmtree(store_folder(load_suite("tiny"), "medium"))
    assert cell.state == "finished"
    assert not prepare_data([cell])


def undigested_lines():
    """The lines of tiny's suite.toml, without digests of its data."""
    text = (load_suite("tiny").folder / "suite.toml").read_text()
    return [line for line in text.splitlines() if not line.startswith("digest")]


def test_the_digest_of_data_that_nobody_published_is_unknown_until_it_is_built(folders, small, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "suite.toml").write_text("\n".join(undigested_lines()))
    request = RunRequest([load_suite(tmp_path / "tiny")], ["expert"], [small])
    (cell,) = plan_cells(request)
    assert (cell.cell.dataset_digest, cell.note) == (UNKNOWN_DIGEST, "its data is not built yet")
    assert prepare_data([cell])
    (cell,) = plan_cells(request)
    assert cell.cell.dataset_digest.startswith("sha256:")


def test_data_unlike_the_published_is_warned_of(place, small, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    lines = undigested_lines()
    at = lines.index("[datasets.medium]") + 1
    folder.joinpath("suite.toml").write_text("\n".join([*lines[:at], f'digest = "sha256:{"0" * 64}"', *lines[at:]]))
    (cell,) = plan_cells(RunRequest([load_suite(Path(folder))], ["medium"], [small]))
    (warning,) = cell.warnings
    assert warning.startswith("dataset medium of tiny-v1 has digest sha256:")
    assert f"not the published sha256:{'0' * 64}" in warning


def test_what_users_type_is_read():
    assert read_names(["a,b", " c ", "a"], "--x") == ["a", "b", "c"]
    assert read_seeds("3") == (0, 1, 2)
    assert read_seeds("0,4,2") == (0, 4, 2)
    assert read_seeds("3,") == (3,)
    assert read_overrides(["a=1", "b=true", "c=x=y", "d=[1,2]", "e="]) == {
        "a": 1,
        "b": True,
        "c": "x=y",
        "d": [1, 2],
        "e": "",
    }
    assert read_shots("1,3") == (1, 3)
    assert read_shots(None) is None


@pytest.mark.parametrize("value", ["", "0", "-1", "a", "1,a", ",", "-1,2", "1.5"])
def test_wrong_seeds_are_refused(value):
    with pytest.raises(MetabenchError, match="--seeds: expected a number of seeds"):
        read_seeds(value)


@pytest.mark.parametrize("values", [["a"], ["=1"], ["a=1", "a=2"]])
def test_wrong_overrides_are_refused(values):
    with pytest.raises(MetabenchError, match="--set"):
        read_overrides(values)


def test_unknown_names_keep_their_kind():
    with pytest.raises(UnknownNameError) as caught:
        plan_cells(RunRequest(["point-robto"], ["medium"], ["random"]))
    assert (caught.value.kind, caught.value.name) == ("suite", "point-robto")


def test_a_record_of_another_protocol_in_a_cells_place_is_told_and_never_mixed_in(place):
    request = RunRequest(["tiny"], ["medium"], ["random"], tracks=["zero-shot"], results=place / "results")
    (cell,) = plan_cells(request)
    run_cells([cell], Settings())
    assert [each.state for each in inspect_results(place / "results")] == ["done"]
    record = read_record(cell.record_path)
    old = record.result.cell.model_copy(update={"protocol": "1", "dataset_digest": "sha256:" + "0" * 64})
    mixed = make_record(record.result.model_copy(update={"cell": old}), record.provenance)
    write_record(mixed, cell.record_path)
    (again,) = plan_cells(request)
    told = f"{cell.record_path}: holds a record of protocol 1"
    assert (again.state, again.note) == (
        "corrupt",
        f"{told} where one of protocol 2 belongs; delete it or use --overwrite",
    )
    (status,) = inspect_results(place / "results")
    assert (status.state, status.reason) == ("corrupt", f"{told} that belongs at {mixed.folder}")
    write_record(mixed, place / "results" / mixed.path)
    cell.record_path.unlink()
    assert [each.state for each in inspect_results(place / "results")] == ["done"]
