"""Whoever ends the command before it is done, it does not look as if it was done."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "metabench", *words], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("import os; os._exit(0)", 2, "error: the command ended with status 0 before it was done: code of a plugin"),
        ("import os; os._exit(7)", 2, "error: the command ended with status 7 before it was done: code of a plugin"),
        ("import os; os.kill(os.getpid(), 11)", 128 + 11, "error: the command was ended by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 40)", 128 + 40, "error: the command was ended by signal 40"),
        ("import os, time\nif os.fork(): os._exit(0)\ntime.sleep(3)", 2, "error: the command ended with status 0"),
    ],
)
def test_code_that_ends_the_command_is_told(tmp_path: Path, code: str, status: int, told: str) -> None:
    (tmp_path / "ends.py").write_text(code + "\n")
    ended = run("describe", "ends.py:Ends", cwd=tmp_path)
    assert ended.returncode == status
    assert ended.stderr.startswith(told)
    assert "fork" in code or ended.stderr.count("\n") == 1


def test_statuses_and_words_are_the_commands_own(tmp_path: Path) -> None:
    assert run("rn", cwd=tmp_path).stderr == "error: unknown verb 'rn'; did you mean 'run'?\n"
    assert run("rn", cwd=tmp_path).returncode == 2
    assert run("--version", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_command_reaches_its_work(tmp_path: Path, number: int) -> None:
    import psutil

    (tmp_path / "waits.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(100)\n")
    words = [sys.executable, "-m", "metabench", "describe", "waits.py:Waits"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.wait(20)
    psutil.wait_procs([child], 10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
