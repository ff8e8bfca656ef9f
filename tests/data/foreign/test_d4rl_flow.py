"""The README's two steps with D4RL's files, walked to their end: imported, made a suite of, run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import gymnasium
import h5py
import minari
import numpy as np
import pytest

from metabench import MetabenchError
from metabench.cli import main
from metabench.data.foreign.options import ImportOptions
from metabench.runs.kept.record import read_record
from metabench.suites import load_suite

IDS = [f"hopper-d4rl/task-{task}-v0" for task in range(3)]
COMMON = ["--preset", "tiny", "--dataset"]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command in a folder of its own: what it printed, or where it is refused (`fails=True`) its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, fails: bool = False) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        assert bool(ended.value.code) == fails, printed.err
        return printed.err if fails else printed.out

    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files of one environment that ends early; no episode reaches its time limit, the longest differ."""
    env = gymnasium.make("Hopper-v5", disable_env_checker=True)
    env.action_space.seed(0)
    folder, paths = tmp_path_factory.mktemp("d4rl"), []
    for number in range(3):
        rows: dict[str, list] = {"observations": [], "actions": [], "rewards": [], "terminals": []}
        for episode in range(14):
            seen, ended = env.reset(seed=100 * number + episode)[0], False
            while not ended:
                action = env.action_space.sample()
                after, reward, ended, *_ = env.step(action)
                for key, value in zip(rows, (seen, action, reward, ended), strict=True):
                    rows[key].append(value)
                seen = after
        paths.append(folder / f"hopper_{number}.hdf5")
        with h5py.File(paths[-1], "w") as file:
            for key, values in rows.items():
                file[key] = np.array(values)
            file["timeouts"] = np.zeros(len(rows["rewards"]), bool)
    return paths


def import_all(command: Callable[..., str], files: list[Path], *options: str) -> list[int]:
    """Import the files as tasks 0, 1 and 2; returns the longest episode of each."""
    told = [
        command("data", "import", "d4rl", str(path), "--suite", "hopper-d4rl", "--task", str(task), *options)
        for task, path in enumerate(files)
    ]
    return [int(re.search(r"of at most (\d+) steps", text)[1]) for text in told]


@pytest.mark.slow
def test_an_environment_named_for_the_suite_is_acted_in(command: Callable[..., str], files: list[Path]) -> None:
    longest = import_all(command, files)
    assert len(set(longest)) > 1
    command("suite", "from-minari", *IDS[:2], "--test", IDS[2], "--horizon", "40", "--environment", "Hopper-v5")
    suite = load_suite("./hopper-d4rl")
    assert [task.parameters for task in suite.tasks] == [{"environment": "Hopper-v5"}] * 3
    assert suite.entry.seen_tasks
    text = Path("hopper-d4rl/suite.toml").read_text()
    Path("hopper-d4rl/suite.toml").write_text(text.replace("episodes = 20", "episodes = 4"))
    command("data", "build", "./hopper-d4rl")
    done = command("run", "./hopper-d4rl", *COMMON, "medium", "--method", "random", "--track", "zero-shot")
    assert "1 done, 0 skipped, 0 failed" in done
    (path,) = Path("results").rglob("0.json.gz")
    assert [block.track for block in read_record(path).result.blocks] == ["zero-shot"]


@pytest.mark.slow
def test_an_environment_named_at_import_is_known_from_then_on(command: Callable[..., str], files: list[Path]) -> None:
    assert import_all(command, files, "--environment", "Hopper-v5") == [1000] * 3
    dataset = minari.load_dataset(IDS[0])
    env = dataset.recover_environment()
    assert env.spec.id == "Hopper-v5"
    assert dataset.action_space == env.action_space
    assert dataset.storage.metadata["horizon"] == 1000
    made = command("suite", "from-minari", *IDS[:2], "--test", IDS[2])
    assert "horizon 1000" in made
    assert "run ./hopper-d4rl --dataset medium --method bc,prompt-dt" in made
    load_suite("./hopper-d4rl").check_available()


@pytest.mark.slow
def test_without_an_environment_it_is_predicted_and_the_option_is_named(
    command: Callable[..., str], files: list[Path]
) -> None:
    longest = import_all(command, files)
    made = command("suite", "from-minari", *IDS[:2], "--test", IDS[2])
    assert f"horizon {max(longest)}" in made
    *_, following = [line.removeprefix("next: metabench ").split() for line in made.splitlines() if line[:4] == "next"]
    following[following.index("kernel-model")] = "ridge-model"  # quicker
    refused = command("run", "./hopper-d4rl", *COMMON, "medium", "--method", "bc", fails=True)
    assert "known only from the recorded data 'hopper-d4rl/task-2-v0'" in refused
    assert "--environment Hopper-v5" in refused
    assert "1 done, 0 skipped, 0 failed" in command(*following)
    (path,) = Path("results").rglob("0.json.gz")
    record = read_record(path).result
    assert record.blocks == ()
    assert record.predictions
    assert "1 skipped" in command(*following)


def test_an_environment_that_does_not_fit_is_refused(command: Callable[..., str], files: list[Path]) -> None:
    def attempt(*options: str) -> str:
        return command(
            "data", "import", "d4rl", str(files[0]), "--suite", "hopper-d4rl", "--task", "0", *options, fails=True
        )

    assert "observations: expected 17 numbers a row as Walker2d-v5 has, found 11" in attempt(
        "--environment", "Walker2d-v5"
    )
    assert "environment 'Hoper-v5' cannot be made" in attempt("--environment", "Hoper-v5")
    assert "environment 'a b': expected a Gymnasium id" in attempt("--environment", "a b")
    assert "leave them out" in attempt("--environment", "Hopper-v5", "--action-bound", "2")
    assert not minari.list_local_datasets()
    import_all(command, files)
    refused = command("suite", "from-minari", *IDS[:2], "--test", IDS[2], "--environment", "Walker2d-v5", fails=True)
    assert "--environment Walker2d-v5: observation space: expected 11 numbers" in refused
    with pytest.raises(MetabenchError, match="environment Hopper-v5: leave it out, tiny-v1 has its own"):
        ImportOptions("tiny", environment="Hopper-v5").load_suite_of_target()


def test_what_an_import_says_of_its_environment_is_what_gymnasium_says(
    command: Callable[..., str], files: list[Path]
) -> None:
    import_all(command, files[:1], "--environment", "Hopper-v5")
    metadata = json.loads((Path(minari.storage.get_dataset_path(IDS[0])) / "data" / "metadata.json").read_text())
    assert json.loads(metadata["env_spec"])["id"] == "Hopper-v5"
    assert json.loads(metadata["env_spec"])["max_episode_steps"] == gymnasium.spec("Hopper-v5").max_episode_steps
