"""The command line as a whole: quick, and short with mistakes."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from metabench.cli import VERBS, main

HEAVY = ("torch", "transformers", "metaworld", "mujoco", "minari", "scipy", "gymnasium")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["run", "--help"]])
def test_help_and_list_import_nothing_heavy(arguments):
    program = (
        "import sys\nfrom metabench.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        f"    assert not end.code\nprint('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.slow
def test_who_reads_may_go_and_the_cells_are_run_to_their_end(place):
    words = "run tiny -d medium -m random --preset tiny --seeds 2 --threads 1 --track zero-shot"
    program = f"{sys.executable} -m metabench {words} | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "tiny medium random seed 0: started\n"
    assert len(list((place / "results").rglob("*.json.gz"))) == 2


def test_characters_that_the_output_does_not_know_are_replaced(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    sys.stdout.flush()
    assert not ended.value.code
    assert b"Usage: metabench run" in raw.getvalue() and b"?" in raw.getvalue()


def test_help_names_every_verb(command):
    ended = command("--help")
    assert ended.status == 0
    assert all(verb in ended.out for verb in VERBS)


@pytest.mark.parametrize("verb", [*VERBS])
def test_every_verb_has_help(command, verb):
    ended = command(verb, "--help")
    assert ended.status == 0
    assert f"metabench {verb}" in ended.out


def test_the_version_is_told(command):
    from importlib.metadata import version

    assert command("--version").out == f"metabench {version('metabench')}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "tiny", "-d", ""], "error: -d: expected a value, found an empty one\n"),
        (["run", "tiny", "--results="], "error: --results: expected a value, found an empty one\n"),
        (["run", "tiny", "--preset", " "], "error: --preset: expected a value, found an empty one\n"),
        (["describe", ""], "error: the word after 'describe': expected a value, found an empty one\n"),
        ([""], "error: the first word: expected a value, found an empty one\n"),
        (
            ["run", "tiny", "-d", "medium", "-m", "bc,"],
            "error: --method: expected names, found an empty one in 'bc,'\n",
        ),
        (["compare", "a", "b", "--track", ","], "error: --track: expected names, found an empty one in ','\n"),
        (["hlep"], "error: unknown verb 'hlep'; did you mean 'help'?\n"),
        (["rn"], "error: unknown verb 'rn'; did you mean 'run'?\n"),
        (["run", "tyni", "-d", "medium", "-m", "random"], "error: unknown suite 'tyni'; did you mean 'tiny'?\n"),
        (
            ["run", "tiny", "-d", "medim", "-m", "random"],
            "error: unknown dataset of suite tiny 'medim'; did you mean 'medium'?\n",
        ),
        (["run", "tiny", "-d", "medium", "-m", "bcc"], "error: unknown method 'bcc'; did you mean 'bc'?\n"),
        (
            ["run", "tiny", "-d", "medium", "-m", "bc", "--preset", "papr"],
            "error: unknown preset of method bc 'papr'; did you mean 'paper'?\n",
        ),
        (
            ["run", "tiny", "-d", "medium", "-m", "random", "--track", "few"],
            "error: unknown track 'few'; did you mean 'few-shot'?\n",
        ),
        (
            ["run", "tiny", "-d", "medium", "-m", "bc", "--set", "updats=3"],
            "error: unknown configuration key of method bc 'updats'; did you mean 'updates'?\n",
        ),
        (
            ["run", "tiny", "-d", "medium", "-m", "bc", "--seeds", "some"],
            "error: --seeds: expected a number of seeds (5, at most 10000) or a list of seeds (0,3,4), found 'some'\n",
        ),
    ],
)
def test_mistakes_are_answered_with_one_line_and_status_2(command, folders, arguments, expected):
    ended = command(*arguments)
    assert (ended.status, ended.err) == (2, expected)
    assert ended.out == ""


def test_a_wrong_value_is_named_with_its_key(command, folders):
    ended = command("run", "tiny", "-d", "medium", "-m", "bc", "--set", "updates=many")
    assert ended.status == 2
    assert "'updates'" in ended.err
    assert "'many'" in ended.err
    assert ended.err.count("\n") == 1


def test_a_wrong_device_is_named(command, folders):
    ended = command("run", "tiny", "-d", "medium", "-m", "random", "--device", "gpu")
    assert ended.status == 2
    assert ended.err.startswith("error: device 'gpu' cannot be used")
    assert ended.err.count("\n") == 1


def test_help_is_a_verb_too(command):
    assert command("help").out == command("--help").out
    assert command("help", "data", "build").out == command("data", "build", "--help").out
    assert "Train and evaluate methods" in command("help", "run").out
