"""`metabench.run` and `check_method` as programs call them: with classes, instances, scripts, wrong values."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import metabench
from metabench.errors import MetabenchError, UnknownNameError
from metabench.methods.given_methods import describe_given_method

QUICK = {"preset": "tiny", "tracks": "zero-shot", "splits": "test", "threads": 1}

SOURCE = """
import numpy as np
import metabench
from metabench import Config, Method, Policy, load_state, save_state
from pydantic import Field


class StillConfig(Config):
    scale: float = Field(default=1.0, description="of every action")


class StillPolicy(Policy):
    def __init__(self, scale):
        self.scale = scale

    def reset(self, groups, seeds):
        self.lanes = len(groups)

    def act(self, step):
        return np.full((self.lanes, 2), 0.01 * self.scale)

    def save(self, folder):
        save_state({"scale": self.scale}, folder / "policy")


class Still(Method):
    name = "still"
    config_class = StillConfig
    discrete_actions = False

    def train(self, data, run):
        run.log(loss=0.0)
        return StillPolicy(self.config.scale)

    def load(self, folder, spaces):
        return StillPolicy(load_state(folder / "policy")["scale"])
"""


@pytest.fixture
def own(place: Path, monkeypatch: pytest.MonkeyPatch):
    """A module of the working folder with a method's class, imported as a notebook would."""
    (place / "own_methods.py").write_text(SOURCE)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    module = __import__("own_methods")
    yield module
    del sys.modules["own_methods"]


@pytest.mark.slow
def test_classes_and_instances_are_run_as_their_file_and_a_script_is_not_run_again_by_its_processes(own, place):
    """There is no `if __name__ == "__main__"` in it."""
    (place / "script.py").write_text(
        "import metabench\nfrom own_methods import Still, StillConfig\nprint('once')\n"
        "methods = [Still, Still(StillConfig(scale=2.0)), 'random']\n"
        f"print(len(metabench.run('tiny', 'medium', methods, **{QUICK})))\n"
    )
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=place, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "once\n3\n"), ended.stderr
    written = {path: path.read_bytes() for path in (place / "results").rglob("*.gz")}
    first, second = metabench.run("tiny", "medium", [own.Still, own.Still(own.StillConfig(scale=2.0))], **QUICK)
    assert (first.result.overrides, second.result.overrides) == ({}, {"scale": 2.0})
    assert first.result.cell.method_code == second.result.cell.method_code is not None
    (same,) = metabench.run("tiny", "medium", "own_methods.py:Still", overrides={"scale": 2.0}, **QUICK)
    assert same == second
    assert {path: path.read_bytes() for path in (place / "results").rglob("*.gz")} == written


@pytest.mark.slow
def test_a_method_that_changes_the_folder_leaves_its_record_where_it_was_asked_for(
    own, place, tmp_path_factory, monkeypatch
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (place / "moving.py").write_text(
        "import os\nfrom own_methods import *\n\n\nclass Moving(Still):\n    name = 'moving'\n\n"
        f"    def train(self, data, run):\n        os.chdir({str(elsewhere)!r})\n"
        "        return super().train(data, run)\n"
    )
    monkeypatch.setenv("METABENCH_HOME", os.path.relpath(os.environ["METABENCH_HOME"]))
    (record,) = metabench.run("tiny", "medium", "moving.py:Moving", results="here", **QUICK)
    assert (place / "here" / record.path).exists()
    assert not list(elsewhere.rglob("0.json.gz"))


def test_a_number_of_seeds_generators_and_single_names_are_what_they_mean(place):
    told = []
    methods = (name for name in ["random"])
    records = metabench.run("tiny", "medium", methods, seeds=2, results=str(place / "r"), progress=told.append, **QUICK)
    assert [record.result.cell.seed for record in records] == [0, 1]
    assert len(told) == 2
    again = metabench.run("tiny", "medium", "random", seeds=(seed for seed in (1, 0)), results=place / "r", **QUICK)
    assert again == records[::-1]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"workers": 0}, "workers: expected a whole number from 1, found 0"),
        ({"threads": -1}, "threads: expected a whole number from 1, found -1"),
        ({"seeds": []}, "seeds: expected at least one, found none"),
        ({"seeds": [0.5]}, "seeds: expected whole numbers from 0, found 0.5"),
        ({"seeds": [-1]}, "seeds: expected whole numbers from 0, found -1"),
        ({"seeds": True}, "seeds: expected several values, found True"),
        ({"methods": []}, "methods: expected at least one, found none"),
        ({"methods": None}, "methods: expected several values, found None"),
        ({"methods": [3]}, "expected methods as names, classes or instances of metabench.Method, found 3"),
        ({"methods": [""]}, "methods: expected names, found ''"),
        ({"dataset": ""}, "datasets: expected names, found ''"),
        ({"dataset": ["medium"]}, "datasets: expected names, found ['medium']"),
        ({"tracks": ()}, "tracks: expected at least one, found none"),
        ({"suite": ["tiny"]}, "suite: expected a suite or the name of one, found ['tiny']"),
        ({"results": ""}, "results: expected a folder, found ''"),
        ({"overrides": ["a=1"]}, "overrides: expected configuration keys and values, found ['a=1']"),
        ({"progress": True}, "progress: expected what can be called with a line (print), found True"),
    ],
)
def test_wrong_values_are_one_line(place, monkeypatch, wrong, expected):
    monkeypatch.chdir(place)
    with pytest.raises(MetabenchError) as caught:
        metabench.run(**{"suite": "tiny", "dataset": "medium", "methods": ["random"], **QUICK, **wrong})
    assert str(caught.value) == expected
    assert not (place / "results").exists()


def test_an_empty_preset_is_no_preset(place):
    with pytest.raises(UnknownNameError, match="unknown preset of method random ''"):
        metabench.run("tiny", "medium", ["random"], preset="")


def test_a_class_that_no_process_can_find_is_told_where_to_go(own, monkeypatch):
    notebook = type("Cell", (own.Still,), {"__module__": "__main__", "name": "cell"})
    main = type(sys)("__main__")
    main.Cell = notebook
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(MetabenchError, match=r"'Cell': is in no file.*%%writefile my_method.py.*'my_method.py:Cell'$"):
        metabench.run("tiny", "medium", [notebook], **QUICK)

    class Local(own.Still):
        name = "local"

    with pytest.raises(MetabenchError, match=r"Local': other processes cannot find it; expected a class at the top"):
        metabench.run("tiny", "medium", [Local()], **QUICK)
    with pytest.raises(MetabenchError, match=r"own_methods.py.*is in no file|at the top of a file"):
        metabench.check_method(Local)


def test_a_configuration_that_is_none_is_named(place, monkeypatch):
    source = SOURCE + (
        "import dataclasses\n@dataclasses.dataclass\nclass Plain:\n    scale: float = 1.0\n"
        "class Dataclass(Still):\n    name = 'dataclass'\n    config_class = Plain\n"
        "class Preset(Still):\n    name = 'preset'\n    @classmethod\n"
        "    def presets(cls, suite):\n        return {'tiny': Plain()}\n"
        "class Own(Still):\n    name = 'own'\n    def __init__(self, scale, more):\n        self.scale = scale\n"
    )
    (place / "plain.py").write_text(source)
    monkeypatch.chdir(place)
    for name, expected in (
        ("Dataclass", "expected `config_class` to be a subclass of metabench.Config, found <class '.*Plain'>"),
        ("Preset", "method 'preset': expected preset 'tiny' to be a StillConfig, found Plain"),
        ("Own", "method 'own': cannot be made of its configuration alone: TypeError: .*'more'"),
    ):
        with pytest.raises(MetabenchError, match=expected):
            metabench.run("tiny", "medium", f"plain.py:{name}", **QUICK)


def test_an_instance_without_its_configuration_is_named(own):
    method = own.Still()
    method.config = dataclasses.make_dataclass("Plain", ["scale"])(1.0)
    with pytest.raises(MetabenchError, match=r"method 'still': expected its `config` to be a StillConfig.*Plain"):
        metabench.run("tiny", "medium", method, **QUICK)


def test_the_class_of_the_program_itself_is_that_of_its_file(own, monkeypatch):
    program = types.ModuleType("__main__")
    program.__file__ = own.__file__
    exec(Path(own.__file__).read_text(), vars(program))
    monkeypatch.setitem(sys.modules, "__main__", program)
    assert program.Still.__module__ == "__main__"
    assert describe_given_method(program.Still(program.StillConfig(scale=3.0)), "tiny", "tiny") == (
        f"{own.__file__}:Still",
        {"scale": 3.0},
    )


def test_a_script_that_runs_itself_when_it_is_imported_is_told_of_the_guard(place, monkeypatch):
    (place / "unguarded.py").write_text(SOURCE + "metabench.run('tiny', 'medium', 'unguarded.py:Still')\n")
    monkeypatch.chdir(place)
    with pytest.raises(MetabenchError) as caught:
        metabench.load_method("unguarded.py:Still")
    assert 'put its program under `if __name__ == "__main__":` (unguarded.py, line' in str(caught.value)
