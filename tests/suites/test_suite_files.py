"""A broken suite.toml: one line that names file, key and what was expected, whatever is wrong with it."""

import copy
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metabench import DataError, Suite
from metabench.suites import datasets_folder, read_suite

CONTENT = tomllib.loads((datasets_folder() / "tiny" / "suite.toml").read_text())


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)


def write(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in content.items())
    (folder / "suite.toml").write_text(text, encoding="utf-8")
    return folder


def paths(value: Any, prefix: tuple = ()) -> Iterator[tuple]:
    """Every key path of nested content."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*prefix, key)
        yield from paths(item, (*prefix, key))


def changed(path: tuple, value: Any) -> dict[str, Any]:
    """The tiny suite with one key set to `value`, or without it if `value` is `...`."""
    content = copy.deepcopy(CONTENT)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path / "tiny", CONTENT))
    assert suite.digest == read_suite(datasets_folder() / "tiny").digest


GOAL = CONTENT["task"][0]["parameters"]["goal"]


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        (("horizon",), ..., "horizon", "this key is missing"),
        (("horizon",), "twenty", "horizon", "whole number.*'twenty'"),
        (("horizon",), 0, "horizon", "at least 1"),
        (("format",), 2, "format", "1"),
        (("headline",), "best", "headline", "'normalised' or 'success'.*'best'"),
        (("colour",), "red", "colour", "no such key"),
        (("name",), "other", "name", "expected 'tiny', the folder's name, found 'other'"),
        (("family",), "point-robt", "family", "did you mean 'point-robot'"),
        (("evaluation", "supports"), 3, "evaluation", r"supports \(3\) must divide episodes \(2\)"),
        (("datasets", "medium", "behaviours"), {"meduim": 1.0}, "datasets.medium.behaviours", "did you mean 'medium'"),
        (
            ("datasets", "medium", "behaviours"),
            {"blind": 1.0},
            "datasets.medium.behaviours",
            "unknown behaviour 'blind'",
        ),
        (("datasets", "mixed", "behaviours", "medium"), 0.6, "datasets.mixed", "sum to 1, not 0.9"),
        (("datasets", "mixed", "behaviours"), {"medium": 0.25, "expert": 0.75}, "datasets.mixed", "whole number.*2.5"),
        (("datasets", "mixed", "behaviours"), {"medium": 1.5, "expert": -0.5}, "datasets.mixed", "positive"),
        (("datasets", "expert", "splits"), ["train"], "datasets.expert.splits", "'test'"),
        (("datasets", "expert", "digest"), "sha256:12", "datasets.expert.digest", "pattern"),
        (("task", 1, "id"), 7, "task ids", "from 0 without gaps"),
        (("task", 2, "parameters", "goal"), GOAL, "task 2 (test)", "also a training task"),
        (("task", 2, "split"), "exam", "task.2.split", "'train', 'test' or 'test-far'.*'exam'"),
        (("task", 2, "validation"), True, "validation", "only training tasks"),
        (("task", 1, "validation"), False, "validation", "at least one training task"),
        (("task", 0, "parameters", "goal"), [0.0, math.nan], "task.0.parameters", "between"),
        (("task", 0, "parameters", "goal"), [0.0], "task.0.parameters", "two numbers"),
        (("task", 0, "parameters", "speed"), 1.0, "task.0.parameters", "exactly 'goal'"),
        (("task", 3, "reference"), ..., "task.3.reference", "this key is missing"),
        (("task", 3, "reference", "expert"), -99.0, "task.3.reference", "above random"),
        (("task", 3, "reference", "expert"), math.inf, "task.3.reference.expert", "finite"),
    ],
)
def test_a_broken_file_names_file_key_and_expectation(
    tmp_path: Path, path: tuple, value: Any, key: str, expected: str
) -> None:
    folder = write(tmp_path / "tiny", changed(path, value))
    with pytest.raises(DataError, match=expected) as caught:
        read_suite(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'suite.toml'}: ")
    assert key in message
    assert "\n" not in message


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(paths(CONTENT), key=str)),
    st.sampled_from([..., "", "x", -1, 0, 10**30, 0.5, math.nan, -math.inf, True, [], [[]], {}, {"a": {}}]),
)
def test_any_change_gives_a_suite_or_one_line(tmp_path: Path, path: tuple, value: Any) -> None:
    folder = write(tmp_path / "tiny", changed(path, value))
    try:
        assert isinstance(read_suite(folder), Suite)
    except DataError as error:
        assert str(error).startswith(f"{folder / 'suite.toml'}: ")
        assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["name = ", "\x00", "[task]\n[task]\n", b"\xff\xfe"])
def test_what_is_not_toml_is_named(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "suite.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=r"suite\.toml: not valid TOML"):
        read_suite(tmp_path)


def test_a_folder_without_suite_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suite\.toml: cannot be read: No such file"):
        read_suite(tmp_path)


def write_named(folder: Path, content: dict[str, Any]) -> Path:
    """A suite of this content in a folder of its name, below `folder`."""
    folder.mkdir()
    return write(folder / content["name"], content)


def test_a_blind_reference_is_optional_and_part_of_the_digest(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    for task in content["task"]:
        task["reference"]["blind"] = task["reference"]["random"]
    suites = [read_suite(write_named(tmp_path / name, each)) for name, each in (("a", CONTENT), ("b", content))]
    assert suites[0].digest == read_suite(datasets_folder() / "tiny").digest != suites[1].digest
    assert suites[0].headroom("test") is None
    assert suites[1].headroom("test") == pytest.approx(100.0)
    del content["task"][2]["reference"]["blind"]
    assert read_suite(write_named(tmp_path / "c", content)).headroom("test") is None


def test_an_expert_below_the_blind_policy_is_refused(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["task"][2]["reference"]["blind"] = content["task"][2]["reference"]["expert"] + 1.0
    with pytest.raises(
        DataError, match=r"split .test.: expert must be above blind, which scores 107\.\d .* than the expert in task 2"
    ):
        read_suite(write_named(tmp_path / "a", content))
