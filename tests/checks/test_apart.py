"""Checks run in a process of their own: code that ends it fails, whatever status it ends with."""

from pathlib import Path

import pytest

from metabench.checks.apart import iterate_checks_apart
from metabench.errors import MetabenchError

SOURCE = """
import os
import signal

from metabench import Config, Method, Policy


class Ending(Policy):
    def reset(self, groups, seeds):
        pass

    def act(self, step):
        {in_act}

    def save(self, folder):
        pass


class Ends(Method):
    name = "ends"
    config_class = Config

    def train(self, data, run):
        {in_train}
        run.log(loss=0.0)
        return Ending()

    def load(self, folder, spaces):
        return Ending()
"""


def write(tmp_path: Path, *, in_train: str = "pass", in_act: str = "pass", at_import: str = "") -> str:
    path = tmp_path / "ends.py"
    path.write_text(at_import + SOURCE.format(in_train=in_train, in_act=in_act))
    return f"{path}:Ends"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "code", "problem"),
    [
        ("at_import", "import os; os._exit(0)", "ended with status 0, before the first check"),
        ("in_act", "os._exit(0)", "ended with status 0, after the check 'trains'"),
        ("in_train", "os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV, after the check 'variants'"),
    ],
)
def test_a_method_that_ends_the_process_fails(tmp_path: Path, place: str, code: str, problem: str) -> None:
    *_, last = iterate_checks_apart(write(tmp_path, **{place: code}))
    assert not last.passed
    assert last.problem == f"the process that runs them {problem}"


@pytest.mark.slow
def test_a_forked_process_says_nothing(tmp_path: Path) -> None:
    findings = list(iterate_checks_apart(write(tmp_path, in_train="os.fork()", in_act="os._exit(0)")))
    titles = [finding.title for finding in findings]
    assert titles.count("trains") == 1
    assert titles[-1] == "ends"


@pytest.mark.slow
def test_what_cannot_be_loaded_is_told_in_the_same_words() -> None:
    with pytest.raises(MetabenchError, match="unknown method or suite 'bcd'; did you mean 'bc'"):
        list(iterate_checks_apart("bcd"))
