"""Checks run in a process of their own: code that ends it fails, whatever status it ends with."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from metabench.errors import MetabenchError
from metabench.runs.isolation.checks_apart import iterate_checks_apart

SOURCE = """
import os
import signal

import numpy as np

from metabench import Config, Method, Policy


class Ending(Policy):
    def reset(self, groups, seeds):
        pass

    def act(self, step):
        {in_act}
        return np.zeros((len(step.active), 2), np.float32)

    def save(self, folder):
        {in_save}


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


def write(
    tmp_path: Path, *, in_train: str = "pass", in_act: str = "pass", in_save: str = "pass", at_import: str = ""
) -> str:
    path = tmp_path / "ends.py"
    path.write_text(at_import + SOURCE.format(in_train=in_train, in_act=in_act, in_save=in_save))
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


@pytest.mark.slow
def test_a_method_may_start_processes_of_its_own_and_they_end_with_the_checks(tmp_path: Path) -> None:
    """A data loader does; what is left running is ended."""
    code = f"""import multiprocessing, subprocess
        multiprocessing.get_context('fork').Pool(1).map(abs, [-1])
        open(r'{tmp_path}/left', 'a').write(str(subprocess.Popen(['sleep', '300']).pid) + '\\n')"""
    findings = list(iterate_checks_apart(write(tmp_path, in_train=code)))
    assert next(finding for finding in findings if finding.title == "trains").passed
    left = [int(line) for line in (tmp_path / "left").read_text().split()]
    assert left
    assert not [pid for pid in left if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_links_and_real_time_signals_and_forged_ends_fail(tmp_path: Path) -> None:
    linked = list(iterate_checks_apart(write(tmp_path, in_save="folder.mkdir(); (folder / 'all').symlink_to('/')")))
    titles = [finding.title for finding in linked if finding.suite == "tiny"]
    assert titles[-1] == "saves"  # what is copied and damaged later is not looked at
    assert "all is neither a file nor a folder" in {finding.problem for finding in linked}
    *_, last = iterate_checks_apart(write(tmp_path, in_train="os.kill(os.getpid(), 40)"))
    assert "ended by signal 40" in (last.problem or "")
    forging = "import gc, multiprocessing.connection as c, os\n"
    forging += (
        '[o.send_bytes(b\'{"kind": "end"}\') for o in gc.get_objects() if isinstance(o, c.Connection) and o.writable]\n'
    )
    (only,) = iterate_checks_apart(write(tmp_path, at_import=forging + "os._exit(0)\n"))
    assert not only.passed


@pytest.mark.slow
def test_the_folder_may_change_and_a_killed_command_leaves_nothing(tmp_path: Path) -> None:
    name = write(tmp_path, at_import="import os, time; os.chdir('/')\n", in_train="import time; time.sleep(100)")
    started = [sys.executable, "-m", "metabench", "check", Path(name.partition(":")[0]).name + ":Ends"]
    process = subprocess.Popen(started, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "variants" not in process.stdout.readline():  # the last before training
        assert process.poll() is None
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.terminate()
    process.wait(20)
    psutil.wait_procs(family, 10)
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
