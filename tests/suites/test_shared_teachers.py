"""`teachers = "SUITE"` in suite.toml: one suite's weights for another's data."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from metabench import DataError, load_suite
from metabench.data.making.roll_out import roll_out
from metabench.data.storage.recipe import compute_recipe_digest
from metabench.suites import datasets_folder


def write_arc(folder: Path, name: str, teachers: str | None, family: str = "point-robot") -> Path:
    """A copy of `tiny` under another name."""
    text = (datasets_folder() / "tiny" / "suite.toml").read_text()
    head, rest = text.replace('name = "tiny"', f'name = "{name}"').split("\n[evaluation]", 1)
    head = head.replace('family = "point-robot"', f'family = "{family}"')
    line = "" if teachers is None else f'teachers = "{teachers}"\n'
    (folder / name).mkdir(parents=True)
    (folder / name / "suite.toml").write_text(f"{head}\n{line}\n[evaluation]{rest}")
    return folder / name


def test_without_the_key_a_suite_uses_its_own() -> None:
    suite = load_suite("ant-dir")
    assert suite.teachers_folder == suite.folder / "teachers"


def test_a_built_in_suite_uses_those_of_the_suite_it_names() -> None:
    assert load_suite("ant-dir-arc").teachers_folder == datasets_folder() / "ant-dir" / "teachers"


def test_the_named_suite_is_looked_up_by_name_wherever_this_one_lies(tmp_path: Path) -> None:
    suite = load_suite(write_arc(tmp_path, "far-away", "tiny"))
    assert suite.teachers_folder == datasets_folder() / "tiny" / "teachers"


def test_results_do_not_depend_on_the_key(tmp_path: Path) -> None:
    """Digests in records published before the key existed stay what they were."""
    own = load_suite(write_arc(tmp_path / "own", "arc", None))
    other = load_suite(write_arc(tmp_path / "other", "arc", "tiny"))
    assert own.digest == other.digest


@pytest.mark.parametrize(
    ("teachers", "expected"),
    [
        ("tinny", "teachers: unknown suite 'tinny'; did you mean 'tiny'?"),
        ("ant-dir", "teachers: expected a suite of family 'point-robot', found 'ant-dir' of family 'ant-dir'"),
        ("Ant Dir", "teachers: String should match pattern"),
        ("arc", "teachers: unknown suite 'arc'"),
    ],
)
def test_a_wrong_name_is_one_line(tmp_path: Path, teachers: str, expected: str) -> None:
    folder = write_arc(tmp_path, "arc", teachers)
    with pytest.raises(DataError) as caught:
        load_suite(folder)
    assert str(caught.value).startswith(f"{folder / 'suite.toml'}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with the suites `owner` and `borrower`; `owner` has weights."""
    site = tmp_path / "site"
    for name, teachers in (("owner", None), ("borrower", "owner")):
        shutil.copytree(write_arc(tmp_path / "made", name, teachers), site / name)
    (site / "owner" / "teachers").mkdir()
    save_file({"weight": np.zeros(3, np.float32)}, site / "owner" / "teachers" / "expert.safetensors")
    (site / "plugin_with_two_suites.py").write_text(
        f"OWNER, BORROWER = {str(site / 'owner')!r}, {str(site / 'borrower')!r}\n"
    )
    info = site / "two-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: two\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[metabench.suites]\nowner = plugin_with_two_suites:OWNER\nborrower = plugin_with_two_suites:BORROWER\n"
    )
    monkeypatch.syspath_prepend(site)
    return site


def test_plugin_suites_share_teachers_and_data_depend_on_the_weights(plugins: Path) -> None:
    weights = plugins / "owner" / "teachers" / "expert.safetensors"
    assert load_suite("borrower").teachers_folder == weights.parent
    before = compute_recipe_digest(load_suite("borrower"), "medium")
    save_file({"weight": np.ones(3, np.float32)}, weights)
    assert compute_recipe_digest(load_suite("borrower"), "medium") != before


def test_borrowing_from_a_borrower_is_refused(plugins: Path, tmp_path: Path) -> None:
    folder = write_arc(tmp_path, "third", "borrower")
    with pytest.raises(DataError, match=r"teachers: 'borrower' has no own teachers, it uses those of 'owner'"):
        load_suite(folder)


def test_the_teacher_acts_with_the_weights_it_borrows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, arc = tmp_path / "ant-dir", load_suite("ant-dir-arc")
    generator = np.random.default_rng(0)
    shapes = {"weight_0": (27, 8), "bias_0": (8,), "mean": (27,), "noise": (8,)}
    tensors = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    (owner / "teachers").mkdir(parents=True)
    save_file({**tensors, "deviation": np.ones(27, np.float32)}, owner / "teachers" / "expert.safetensors")
    monkeypatch.setattr("metabench.suites.suite.suite_folder", {"ant-dir": owner}.__getitem__)
    short = arc.entry.model_copy(update={"horizon": 2})
    columns = roll_out(type(arc)(short, arc.folder), [3], ["expert"], [0]).columns
    assert np.abs(columns.actions).max() > 0
    save_file({**tensors, "deviation": np.full(27, 2, np.float32)}, owner / "teachers" / "expert.safetensors")
    assert not np.array_equal(
        columns.actions, roll_out(type(arc)(short, arc.folder), [3], ["expert"], [0]).columns.actions
    )
