"""Policies in a process of their own: the same actions, nothing to be found there, and no harm done from there."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metabench import DataError, MethodError, evaluate, load_method, load_suite
from metabench.errors import PolicyProcessError
from metabench.methods.contract import Episode, Step
from metabench.runs.isolation.confinement import LINUX
from metabench.runs.isolation.isolated_policy import confinement_gaps, open_isolated
from metabench.runs.isolation.limits import Limits
from metabench.runs.isolation.method_facts import find_facts

pytestmark = pytest.mark.slow


PLUGIN = Path(__file__).with_name("hostile_plugin.py")
PLACE = r" \(hostile_plugin\.py, line \d+\)"
SECRET_NAME = "whispered-valley"
SECRET_GOAL = 0.7364918273645501

only_linux = pytest.mark.skipif(not LINUX, reason="namespaces are Linux's")


def masked(data: bytes) -> str:
    return bytes(byte ^ 0x5A for byte in data).hex()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """What the hostile policies are saved in; the folder's name is a secret, too."""
    folder = tmp_path / SECRET_NAME / "policy"
    hidden = tmp_path / "hidden"
    folder.mkdir(parents=True)
    hidden.mkdir()
    (hidden / "tasks.toml").write_text("a task")
    notes = {
        "needles": [masked(SECRET_NAME.encode()), masked(struct.pack("<d", SECRET_GOAL)), masked(b"0.73649182736455")],
        "hidden": str(hidden),
        "evaluator": os.getpid(),
    }
    (folder / "notes.json").write_text(json.dumps(notes))
    return folder


def note(saved, **notes):
    """Tell the policy more."""
    file = saved / "notes.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **notes}))


@pytest.fixture
def suite(tmp_path: Path):
    """The suite `tiny`, with a secret name and a secret goal in every test task."""
    folder = tmp_path / SECRET_NAME
    folder.mkdir(exist_ok=True)
    text = (load_suite("tiny").folder / "suite.toml").read_text().replace('name = "tiny"', f'name = "{SECRET_NAME}"')
    before, *tasks = text.split("[[task]]")
    tasks = [
        "\n".join(
            f"parameters.goal = [{SECRET_GOAL}, {0.25 * place}]" if "goal" in line else line
            for line in task.splitlines()
        )
        if 'split = "test' in task
        else task
        for place, task in enumerate(tasks)
    ]
    (folder / "suite.toml").write_text("[[task]]".join([before, *tasks]))
    return load_suite(folder)


def scores(opener, suite):
    """All that evaluation measures but its time."""
    tracks = [evaluate(opener, suite, track, name="watched") for track in ("zero-shot", "few-shot")]
    return [(track.blocks, track.collection, track.counts) for track in tracks]


def alone(name, saved, suite, *limits, **options):
    return scores(lambda: open_isolated(f"{PLUGIN}:{name}", saved, suite.spaces, *limits, **options), suite)


def test_nothing_changes_but_the_process(saved, suite):
    expected = scores(load_method(f"{PLUGIN}:Good").load(saved, suite.spaces), suite)
    assert alone("Good", saved, suite) == expected
    assert len({row.total_return for blocks, *_ in expected for block in blocks for row in block.rows}) > 5


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete"])
def test_actions_are_equal_bit_for_bit(name, tmp_path):
    """Of a transformer, with supports of unequal numbers and lengths; more lanes after fewer."""
    import torch
    from metabench_baselines.common.decision_transformer.train import Scales, build_networks
    from metabench_baselines.prompt_dt.config import build_presets
    from metabench_baselines.prompt_dt.policy import PromptDTPolicy

    spaces = load_suite(name).spaces
    config, size = build_presets(name)["tiny"], spaces.observation_dim
    torch.manual_seed(0)
    scales = Scales(np.zeros(size, np.float32), np.ones(size, np.float32), 1.0, 1.0)
    PromptDTPolicy(config, build_networks(config, spaces), spaces, scales).save(tmp_path)
    generator = np.random.default_rng(1)

    def episode(length):
        return Episode(
            generator.standard_normal((length + 1, size)).astype(np.float32),
            spaces.uniform_actions(generator, (length,)),
            generator.standard_normal(length).astype(np.float32),
            length < spaces.horizon,
            length == spaces.horizon,
        )

    support = {7: [episode(3), episode(spaces.horizon)], 2: [episode(1)], 5: []}
    rounds = [([2], 3), ([7, 2, 7, 5], 4)]
    steps = [
        Step(
            generator.standard_normal((len(groups), size)).astype(np.float32),
            spaces.uniform_actions(generator, (len(groups),)),
            generator.standard_normal(len(groups)).astype(np.float32),
            np.full(len(groups), timestep),
            np.arange(len(groups)) != timestep,
            np.full(len(groups), True),
        )
        for groups, count in rounds
        for timestep in range(count)
    ]

    def actions(policy):
        shown, chosen = iter(steps), []
        for groups, count in rounds:
            policy.reset(groups, [2**62 + lane for lane in range(len(groups))])
            policy.adapt({group: support[group] for group in dict.fromkeys(groups)})
            chosen += [policy.act(next(shown)) for _ in range(count)]
        return chosen

    here = load_method("prompt-dt").load(tmp_path, spaces)
    with open_isolated("prompt-dt", tmp_path, spaces) as there:
        found = actions(there)
        assert there.parameter_count() == here.parameter_count() > 0
        there.save(tmp_path / "copy")
    for ours, theirs in zip(actions(here), found, strict=True):
        np.testing.assert_array_equal(ours.astype(theirs.dtype), theirs)
    assert len({action.tobytes() for action in found}) > 1
    again = load_method("prompt-dt").load(tmp_path / "copy", spaces)
    np.testing.assert_array_equal(actions(again)[-1], actions(here)[-1])


@only_linux
def test_a_spy_finds_nothing(saved, suite, monkeypatch):
    monkeypatch.setenv("SUITE", SECRET_NAME)
    monkeypatch.chdir(saved)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # the working folder, under pytest only
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", SECRET_NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        find_secrets(saved, suite)
        other.communicate()


EVALUATION = """
import sys
from contextlib import nullcontext
from pathlib import Path
from metabench import evaluate, load_method, load_suite
suite = load_suite(sys.argv[2])
policy = load_method(sys.argv[1]).load(Path(sys.argv[3]), suite.spaces)
evaluate(lambda: nullcontext(policy), suite, "zero-shot", name="watched")
"""


def find_secrets(saved, suite):
    """Look for them in the evaluator, in a process that is not confined, and in one that is."""
    evaluator = [sys.executable, "-c", EVALUATION, f"{PLUGIN}:Spies", str(suite.folder), str(saved)]
    here = subprocess.run(evaluator, capture_output=True, text=True)  # a new one: this one has much to look through
    assert re.search(r"found in: .*environment.*objects.*own memory.*working directory", here.stderr), here.stderr
    needles = json.loads((saved / "notes.json").read_text())["needles"]
    script = "import sys, spying; print(spying.places([bytes.fromhex(part) for part in sys.argv[1:]], 0))"
    plain = subprocess.run([sys.executable, "-c", script, *needles], cwd=PLUGIN.parent, capture_output=True, text=True)
    assert re.search("other cmdline.*other environ", plain.stdout), plain.stderr
    if confinement_gaps():
        pytest.skip(confinement_gaps()[0])
    assert alone("Spies", saved, suite)


@only_linux
def test_there_is_no_way_out(saved, suite):
    hidden = Path(json.loads((saved / "notes.json").read_text())["hidden"])
    if confinement_gaps():
        pytest.skip(confinement_gaps()[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        note(saved, port=server.getsockname()[1])
        assert alone("Reaches", saved, suite, hidden=[hidden])
    assert (hidden / "tasks.toml").exists()


@pytest.mark.parametrize(
    ("name", "limits", "expected"),
    [
        ("Hangs", Limits(seconds=5.0), "act at step 0 ran longer than its limit of 5 s"),
        ("Exits", Limits(), "act at step 0 ended its process with exit status 0"),
        ("Quits", Limits(), rf"act at step 0 raised SystemExit: 3{PLACE}"),
        ("Crashes", Limits(), "act at step 0 was ended by signal SIGSEGV"),
        ("Raises", Limits(), rf"act at step 0 raised ValueError: not \[31mtoday{PLACE}"),
        ("Garbles", Limits(), "act at step 0 sent an invalid answer"),
        ("Grows", Limits(memory_bytes=1 << 30), "act at step 0 used .* GiB of memory, more than its limit of 1 GiB"),
        ("Lies", Limits(), "act at step 1 failed: act must return a NumPy array, not list"),
    ],
)
def test_misdeeds_are_named(saved, suite, name, limits, expected):
    with pytest.raises(MethodError, match=f"^method 'watched': {expected}$"):
        alone(name, saved, suite, limits)


@pytest.mark.parametrize("name", ["Prints", "Shortens"])
def test_some_misdeeds_do_nothing(saved, suite, name, capfd):
    assert alone(name, saved, suite) == alone("Good", saved, suite)
    assert capfd.readouterr() == ("", "")


def test_what_it_started_ends_with_it(saved, suite):
    lock = saved / "lock"
    lock.touch()
    note(saved, lock=str(lock))
    with pytest.raises(MethodError, match="ended its process with exit status 0"):
        alone("Forks", saved, suite)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever lived on would hold it


def test_a_failed_process_stays_failed(saved, suite):
    with open_isolated(f"{PLUGIN}:Garbles", saved, suite.spaces) as policy:
        policy.reset([0], [0])
        step = Step(
            *(np.zeros((1, 2), np.float32),) * 2,
            *(np.zeros(1, np.float32), np.zeros(1, np.int64)),
            *[np.ones(1, bool)] * 2,
        )
        for expected in ("sent an invalid answer", "was ended by signal SIGKILL"):
            with pytest.raises(PolicyProcessError, match=expected):
                policy.act(step)


def test_what_cannot_be_opened_is_named(saved, suite, tmp_path):
    def opened(method, folder, **options):
        with open_isolated(method, folder, suite.spaces, **options):
            raise AssertionError

    with pytest.raises(DataError, match=r"nowhere: cannot be read; expected the folder that a policy was saved in"):
        opened("bc", tmp_path / "nowhere")
    with pytest.raises(DataError, match=f"{saved}.*policy"):  # not the copy that the process was given
        opened("bc", saved)
    with pytest.raises(DataError, match="unknown method 'bcc'; did you mean 'bc'"):
        opened("bcc", saved)
    with pytest.raises(MethodError, match="Privileged' is privileged: it is told the task"):
        opened(f"{PLUGIN}:Privileged", saved)
    with pytest.raises(DataError, match="configuration"):
        opened("bc", saved, configuration={"nonsense": 1})


def test_a_method_is_described_without_importing_it():
    before = set(sys.modules)
    for confined in (False, True):
        first, second = find_facts(f"{PLUGIN}:Good", "tiny", ["tiny", "tiny-discrete"], {}, confined=confined)
        assert first == second
        assert (first.name, first.version, first.privileged, first.configuration) == ("good", 1, False, {})
        assert {path.name for path in first.sources} == {PLUGIN.name, "spying.py"}  # and what it imports from there
    assert not [name for name in set(sys.modules) - before if name.startswith("metabench_file_")]
