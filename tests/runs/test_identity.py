"""A cell knows the code that made it: edited code is another cell, and takes no name of metabench's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metabench.errors import DataError, MetabenchError
from metabench.methods.registry import digest_method_code, load_method_class
from metabench.runs.again.evaluate_policy import evaluate_saved
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import read_record
from metabench.runs.kept.run_folder import run_folder
from metabench.runs.kept.saved_policy import copy_trained, policy_folder, read_training
from metabench.runs.plan import plan_cells
from metabench.runs.prepare import prepare_data
from metabench.runs.request import RunRequest
from metabench.runs.status import inspect_results
from metabench.runs.sweep import Sweep, SweepPart, plan_sweep
from metabench.suites import load_suite

from .interrupted import SETTINGS, after, quiet

pytestmark = pytest.mark.slow


SMALL = Path(__file__).with_name("small_methods.py").read_text()
EDIT = ("noise + shift", "noise - shift")


def write_method(path: Path, *edits: tuple[str, str]) -> Path:
    text = SMALL
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def request(*files: Path, results: Path, **changes) -> RunRequest:
    return RunRequest(["tiny"], ["medium"], [f"{file}:Small" for file in files], results=results, **changes)


def plan(file: Path, place: Path, **changes):
    (cell,) = plan_cells(request(file, results=place / "results", **changes))
    return cell


@pytest.fixture
def method(place) -> Path:
    return write_method(place / "small.py")


@pytest.mark.walk
def test_two_methods_of_one_name_and_different_code_are_refused_by_name(place, method):
    other = write_method(place / "other.py", EDIT)
    problem = f"methods {method}:Small and {other}:Small have one name, 'small', and different code; give each a name"
    with pytest.raises(MetabenchError, match=problem):
        plan_cells(request(method, other, results=place / "results"))
    parts = [
        SweepPart(suites=["tiny"], datasets=["medium"], methods=[f"{file}:Small"], seeds=[seed])
        for seed, file in enumerate((method, other))
    ]
    with pytest.raises(MetabenchError, match=problem):
        plan_sweep(Sweep(part=parts), request(results=place / "results"))
    copied = write_method(place / "copied.py")
    assert len(plan_cells(request(method, copied, results=place / "results"))) == 1  # the same code, wherever it lies


def test_edited_code_is_another_cell_whose_record_stands_beside_the_first(place, method):
    first = plan(method, place)
    before = execute_cell(first, SETTINGS, quiet)
    write_method(method, EDIT)
    second = plan(method, place)
    assert (second.state, second.cell.method_code != first.cell.method_code) == ("waiting", True)
    assert second.note == f"another cell than {first.record_path.parent.name}: its method code changed since"
    after_it = execute_cell(second, SETTINGS, quiet)
    assert after_it.result.blocks != before.result.blocks
    assert read_record(first.record_path) == before
    assert read_record(second.record_path) == after_it
    assert policy_folder(first.cell).is_dir()
    assert len(inspect_results(place / "results")) == 2
    write_method(method)
    assert plan(method, place).state == "finished"


def test_a_raised_version_stands_beside_the_one_before(place, method):
    first = plan(method, place)
    record = execute_cell(first, SETTINGS, quiet)
    write_method(method, ('    name = "small"\n', '    name = "small"\n    version = 2\n'))
    second = plan(method, place)
    assert execute_cell(second, SETTINGS, quiet).result.cell.method_version == 2
    assert read_record(first.record_path) == record


def test_a_checkpoint_of_other_code_is_not_resumed_and_the_plan_says_so(place, method):
    cell = plan(method, place)
    assert run_cells([cell], SETTINGS, cancelled=after(15)).stopped == (0,)
    write_method(method, EDIT)
    edited, updates = plan(method, place), []
    assert edited.note == "starts again: its method code changed since it was interrupted"
    record = execute_cell(edited, SETTINGS, lambda stage, done, *rest: updates.append((stage, done)))
    assert ("training: first", 1) in updates
    assert record.provenance.resumed == 0
    assert run_folder(cell.cell).is_dir()  # what there is of the first code goes on where it was
    write_method(method)
    assert execute_cell(plan(method, place), SETTINGS, quiet).provenance.resumed == 1


def test_code_that_is_edited_between_plan_and_run_is_not_run(place, method):
    cell = plan(method, place)
    write_method(method, EDIT)
    with pytest.raises(MetabenchError, match="the code of method 'small' changed after the cell was planned"):
        execute_cell(cell, SETTINGS, quiet)
    assert not cell.record_path.exists()


@pytest.mark.parametrize("isolate", [False, pytest.param(True, marks=pytest.mark.walk)])
def test_a_saved_policy_is_not_scored_by_other_code(place, method, isolate):
    cell = plan(method, place, tracks=["zero-shot"])
    record = execute_cell(cell, SETTINGS, quiet)
    _, measured = evaluate_saved(policy_folder(cell.cell), tracks=["zero-shot"], isolate=isolate)
    assert tuple(block for item in measured for block in item.blocks) == record.result.blocks
    write_method(method, EDIT)
    with pytest.raises(MetabenchError, match="its code is not that of the policy: expected sha256:"):
        evaluate_saved(policy_folder(cell.cell), tracks=["zero-shot"], isolate=isolate)


def test_names_of_metabench_itself_are_refused_from_other_code(place):
    imitation = write_method(place / "bc.py", ('name = "small"', 'name = "bc"'))
    with pytest.raises(MetabenchError, match=r"bc\.py:Small: its name 'bc' is that of a method of metabench; expected"):
        plan(imitation, place)
    with pytest.raises(MetabenchError, match="another, such as 'my-bc'"):
        load_method_class(f"{imitation}:Small")


def test_a_record_tells_of_foreign_code_and_what_it_needs(place, method):
    record = execute_cell(plan(method, place), SETTINGS, quiet)
    (code,) = record.provenance.foreign_code
    assert (code.role, code.name, code.version) == ("method", "small.py", None)
    assert code.digest == record.result.cell.method_code == digest_method_code(load_method_class(f"{method}:Small")[0])
    assert {"numpy", "torch", "pydantic"} <= set(code.dependencies)
    assert (code.git_revision, code.git_dirty) == (None, None)
    subprocess.run(["git", "init", "-q", place], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", place, "add", "small.py"], check=True)
    subprocess.run(["git", "-C", place, *identity, "commit", "-q", "-m", "x"], check=True)
    head = subprocess.run(["git", "-C", place, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    (code,) = execute_cell(plan(method, place, seeds=(1,)), SETTINGS, quiet).provenance.foreign_code
    assert code.git_revision == head.stdout.strip()


def test_methods_and_suites_of_metabench_have_no_digest_of_code(place):
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], ["bc"], preset="tiny", results=place / "results"))
    assert (cell.cell.method_code, cell.cell.suite_code) == (None, None)
    assert "method_code" not in cell.cell.model_dump(mode="json")
    assert load_suite("cheetah-vel").sources == ()


def test_edited_physics_of_ones_own_suite_are_another_cell(place, make_plugin):
    plugin = make_plugin("my-cart")
    (first,) = plan_cells(RunRequest(["my-cart"], ["medium"], ["bc"], preset="tiny", results=place / "results"))
    assert first.cell.suite_code is not None
    assert first.cell.method_code is None
    family = plugin / "my_cart" / "family.py"
    family.write_text(family.read_text() + "\nGRAVITY = 3\n")
    (second,) = plan_cells(RunRequest(["my-cart"], ["medium"], ["bc"], preset="tiny", results=place / "results"))
    assert second.cell.suite_code != first.cell.suite_code
    assert second.record_path != first.record_path
    assert first.cell.suite_digest == second.cell.suite_digest


def test_data_of_other_physics_is_not_trained_on(place, make_plugin):
    plugin = make_plugin("my-cart")
    asked = RunRequest(["my-cart"], ["random"], ["bc"], preset="tiny", results=place / "results")
    assert prepare_data(plan_cells(asked))
    family = plugin / "my_cart" / "family.py"
    family.write_text(family.read_text() + "\nGRAVITY = 3\n")
    with pytest.raises(DataError, match=r"made from other tasks, teachers, code or .*metabench data build my-cart"):
        prepare_data(plan_cells(asked))


@pytest.mark.walk
def test_an_installed_package_is_identified_by_all_of_its_code(place):
    package = place / "pack"
    package.mkdir()
    write_method(package / "method.py")
    (package / "__init__.py").write_text("from pack.method import Small\n")
    (package / "helper.py").write_text("FACTOR = 1\n")
    script = (
        "from pack import Small\nfrom metabench.methods.registry import digest_method_code\n"
        "print(digest_method_code(Small))"
    )

    def digest() -> str:
        environment = {**os.environ, "PYTHONPATH": str(place)}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.strip()

    first = digest()
    assert digest() == first
    (package / "notes.txt").write_text("not code")
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "method.cpython-311.pyc").write_bytes(b"what Python keeps")
    assert digest() == first
    (package / "helper.py").write_text("FACTOR = 2\n")
    assert digest() != first


def test_a_class_without_a_file_is_refused(place):
    script = (
        "from metabench import Method\nfrom metabench.methods.registry import digest_method_code\n"
        "class Typed(Method):\n    name = 'typed'\ndigest_method_code(Typed)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert "class 'Typed' of __main__: its source is in no file" in ended.stderr


def test_a_class_that_says_it_is_metabench_s_own_is_not_believed(place):
    file = write_method(
        place / "liar.py",
        ("class Small(Method):", 'class Small(Method):\n    __module__ = "metabench_baselines.bc"\n'),
    )
    with pytest.raises(MetabenchError, match=r"class 'Small' of metabench_baselines\.bc: its source is in no file"):
        plan(file, place)


def test_a_rerun_that_fails_leaves_the_record_and_policy_that_it_was_to_replace(place, method, monkeypatch):
    file = method
    write_method(file, ('    name = "failing"', '    name = "failing-sometimes"'))

    def cell(**changes):
        spec = f"{file}:Failing"
        (found,) = plan_cells(RunRequest(["tiny"], ["medium"], [spec], results=place / "results", **changes))
        return found

    assert run_cells([cell()], SETTINGS).finished == (0,)
    before = cell().record_path.read_bytes()
    monkeypatch.setenv("FAIL", "1")
    assert run_cells([cell(overwrite=True)], SETTINGS).failed == (0,)
    assert cell().record_path.read_bytes() == before
    assert policy_folder(cell().cell).is_dir()
    monkeypatch.delenv("FAIL")
    assert cell().state == "waiting"  # the rerun that was asked for goes on
    assert run_cells([cell()], SETTINGS).finished == (0,)
    assert cell().state == "finished"
    assert cell().record_path.read_bytes() != before


def test_a_policy_that_a_crash_left_aside_is_put_back_before_anything_is_written(place, method):
    cell = plan(method, place)
    execute_cell(cell, SETTINGS, quiet)
    folder = policy_folder(cell.cell)
    aside = folder.with_name(f".{folder.name}.old")
    folder.rename(aside)  # a crash between the two renames of a replacement
    with pytest.raises(FileNotFoundError):
        copy_trained(place / "gone", folder)
    assert read_training(folder).cell == cell.cell
    assert not aside.exists()
