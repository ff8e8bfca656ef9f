"""Published numbers of Meta-DT beside ours: from a leaderboard's file, and from a fresh training."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metabench_baselines.meta_dt.reproduction.config import ReproduceConfig
from metabench_baselines.meta_dt.reproduction.quoted import AGAIN, OTHER_DATA, PAPER
from metabench_baselines.meta_dt.reproduction.reproduce import reproduce

from metabench import CancelledError, DataError, TrainingRun, evaluate, load_data, load_method, load_suite
from metabench.leaderboard.scores.models import Costs
from tests.released_files import write_released

MODULE = importlib.import_module("metabench_baselines.meta_dt.reproduction.reproduce")
CONFIG = importlib.import_module("metabench_baselines.meta_dt.reproduction.config")
RELEASED = importlib.import_module("metabench_baselines.meta_dt.reproduction.released")
ESTIMATE = {"mean": 0.0, "interval": None}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry of a leaderboard's file: meta-dt on point-robot at zero shots, two seeds."""
    names = ("suite", "suite_digest", "dataset", "dataset_digest", "method", "preset", "config_digest", "protocol")
    seed = {"seed": 0, "headline": 0, "task_scores": [], "clipped": 0, "normalised_return": 0, "mean_return": 0}
    return {
        **dict.fromkeys(names, "x"),
        **{"suite": "point-robot", "dataset": "medium", "method": "meta-dt", "preset": "cpu", "split": "test"},
        **{"suite_version": 1, "dataset_version": 1, "method_version": 1, "id": "0", "label": "meta-dt"},
        **{
            "overrides": {},
            "privileged": False,
            "track": "zero-shot",
            "shots": 0,
            "metric": "normalised",
            "clipped": 0,
        },
        **dict.fromkeys(("headline", "normalised_return", "success_any", "success_last"), ESTIMATE),
        **{"mean_return": {"mean": -12.0, "interval": [-13.0, -11.0]}},
        **{"seeds": [{**seed, "success_any": None, "success_last": None} for _ in range(2)]},
        **{"collection": [], "tasks": [], "missing": [], "devices": ["cpu"], "parameters": 1},
        **dict.fromkeys(("worst_task", "adaptation", "bootstrap", "profile", "outdated", "data_as_published")),
        **{"costs": {**dict.fromkeys(Costs.model_fields), "updates": 3_000.0}, "created": "2026-01-01T12:00:00+00:00"},
        **changes,
    }


def write_board(folder: Path, *entries: dict[str, Any]) -> str:
    board = {"schema_version": 2, "protocol": "x", "confidence": 0.95, "entries": list(entries)}
    board |= {"seeds_for_a_verdict": 3, "tasks_for_a_verdict": 10, "methods": {}, "digest": "x"}
    board |= dict.fromkeys(("updated", "revision"))
    path = folder / "leaderboard.json"
    path.write_text(json.dumps({**board, **{key: [] for key in ("suites", "boards", "overall", "sources")}}))
    return str(path)


def sort_tables(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"quoted": [], "what differs": [], "teacher": []}
    for row in rows:
        (kind,) = [name for name in found if name in row]
        found[kind].append(row)
    return found


def test_ours_stand_beside_what_was_published(tmp_path: Path) -> None:
    wider = {"mean": -15.0, "interval": None}
    path = write_board(
        tmp_path,
        entry(),
        entry(dataset="replay", preset="paper", mean_return=wider, costs=dict.fromkeys(Costs.model_fields)),
        entry(method="prompt-dt", mean_return=wider),
        entry(track="few-shot", shots=3, mean_return=wider),  # another track than the quoted one
        entry(overrides={"layers": 9}, mean_return=wider),
        entry(split="test-far", mean_return=wider),
        entry(seeds=[]),
    )
    rows = sort_tables(reproduce(ReproduceConfig(leaderboard=path, suites="point-robot,cheetah-vel"), TrainingRun(0)))
    numbers = rows["quoted"]
    assert [row["row"] for row in numbers] == list(range(1, 8))
    shown = [(row["method"], row["quoted"], row["ours"], row["low"], row["data"], row["preset"]) for row in numbers[:3]]
    assert shown == [
        ("meta-dt", -8.4, -12.0, -13.0, "medium", "cpu"),
        ("meta-dt", -8.4, -15.0, None, "replay", "paper"),
        ("meta-dt", -78.2, None, None, None, None),
    ]
    assert (numbers[3]["method"], numbers[3]["ours"], numbers[3]["quoted"]) == ("prompt-dt", -15.0, -14.3)
    assert {row["trust"] for row in numbers} == {"text", "second-hand"}
    assert [row["updates"] for row in numbers[:3]] == [3_000.0, None, None]
    budget = next(row for row in rows["what differs"] if row["what differs"] == "budget")
    assert budget["rows"] == "1-5"
    json.dumps(numbers, allow_nan=False)


def test_numbers_that_nobody_checked_are_shown_on_request_only() -> None:
    plain = reproduce(ReproduceConfig(leaderboard=""), TrainingRun(0))
    asked = reproduce(ReproduceConfig(leaderboard="", unverified=True), TrainingRun(0))
    trusts = [[row["trust"] for row in sort_tables(rows)["quoted"]] for rows in (plain, asked)]
    assert "unverified" not in trusts[0]
    assert trusts[1].count("unverified") == len(PAPER.numbers["meta-dt"]) == 7
    assert all(row["ours"] is None for row in sort_tables(asked)["quoted"])


def test_published_numbers_lie_between_random_actions_and_the_teacher() -> None:
    bounds = {
        row["test tasks of"]: row
        for row in sort_tables(reproduce(ReproduceConfig(leaderboard=""), TrainingRun(0)))["teacher"]
    }
    for name, row in bounds.items():
        references = [task.reference for task in load_suite(f"{name}-v1").split("test")]
        assert row["random"] == pytest.approx(np.mean([reference.random for reference in references]))
        assert row["teacher"] == pytest.approx(np.mean([reference.expert for reference in references]))
    for source in (AGAIN, OTHER_DATA, PAPER):
        for by_suite in source.numbers.values():
            for suite, (mean, _) in by_suite.items():
                assert bounds[suite]["random"] < mean < bounds[suite]["teacher"]


@pytest.mark.slow
def test_a_fresh_run_trains_and_goes_on_where_it_was_stopped(
    tmp_path: Path, tiny_built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONFIG, "SUITES", ("tiny",))
    monkeypatch.setattr(MODULE, "AGAIN", dataclasses.replace(AGAIN, numbers={"meta-dt": {"tiny": (-8.0, 0.5)}}))
    config = ReproduceConfig(leaderboard="", suites="tiny", fresh="tiny", preset="tiny", seeds=2)
    first = reproduce(config, TrainingRun(3, folder=tmp_path))
    (row,) = sort_tables(first)["quoted"]
    assert (row["preset"], row["data"], row["seeds"]) == ("tiny (fresh)", "medium", 2)
    method = load_method("meta-dt", preset="tiny", suite="tiny")
    means = []
    for seed in (3, 4):
        policy = method.train(load_data("tiny", "medium"), TrainingRun(seed))
        (block,) = evaluate(policy, "tiny", "zero-shot", seed=seed).blocks
        means.append(np.mean([each.total_return for each in block.rows]))
    assert row["ours"] == pytest.approx(np.mean(means))
    half = 12.7062 * np.std(means, ddof=1) / np.sqrt(2)  # the 97.5 % point of t with one degree of freedom
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=1e-4)
    monkeypatch.setattr(MODULE, "load_method", None)  # nothing is trained again
    assert reproduce(config, TrainingRun(3, folder=tmp_path)) == first


@pytest.mark.slow
def test_released_files_are_trained_on_by_both_methods_and_compared(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = {"meta-dt": {"tiny": (-8.0, 0.5)}, "prompt-dt": {"tiny": (-14.0, 1.0)}}
    monkeypatch.setattr(CONFIG, "SUITES", ("tiny",))
    monkeypatch.setattr(RELEASED, "AGAIN", dataclasses.replace(AGAIN, numbers=quoted))
    write_released(tmp_path / "files")
    settings = {"released": str(tmp_path / "files"), "released_suite": "tiny", "preset": "tiny", "seeds": 2}
    config = ReproduceConfig(**settings, variant="released_code")
    asked = iter(range(1_000))
    with pytest.raises(CancelledError):  # in the third training
        reproduce(config, TrainingRun(3, folder=tmp_path / "run", cancelled=lambda: next(asked) > 70))
    rows = reproduce(config, TrainingRun(3, folder=tmp_path / "run"))
    numbers = {(row["method"], row["track"]): row for row in rows if "method" in row}
    means: dict[tuple[str, str], list[float]] = {}
    for name in ("meta-dt", "prompt-dt"):
        for seed in (3, 4):
            spec = "meta-dt/released_code" if name == "meta-dt" else name
            policy = load_method(spec, preset="tiny", suite="tiny").train(
                load_data("tiny", "released"), TrainingRun(seed)
            )
            for track, shots in (("zero-shot", 0), ("few-shot", 3)):
                (block,) = evaluate(policy, "tiny", track, shots=[shots], seed=seed).blocks
                means.setdefault((name, track), []).append(np.mean([row.total_return for row in block.rows]))
    for key, values in means.items():
        assert numbers[key]["ours"] == pytest.approx(np.mean(values), rel=1e-6)
        assert numbers[key]["seeds"] == 2
    assert [numbers[name, "zero-shot"]["quoted"] for name in quoted] == [-8.0, -14.0]
    assert numbers["meta-dt", "few-shot"]["quoted"] is None
    less = numbers["meta-dt less prompt-dt", "zero-shot"]
    first, second = means["meta-dt", "zero-shot"], means["prompt-dt", "zero-shot"]
    assert (less["quoted"], less["ours"]) == (6.0, pytest.approx(np.mean(first) - np.mean(second), abs=1e-5))
    assert less["low"] < less["ours"] < less["high"]
    told = {row["what differs"]: row["here"] for row in rows if "what differs" in row}
    assert "variant released_code" in told["method"]
    assert "a model of its own" in told["zero-shot"]
    json.dumps(rows, allow_nan=False)
    monkeypatch.setattr(RELEASED, "load_data", None)  # nothing is trained again
    assert reproduce(config, TrainingRun(3, folder=tmp_path / "run")) == rows


def test_published_test_goals_are_the_first_five() -> None:
    tasks = RELEASED.find_published_tasks("point-robot")
    assert tasks == {45, 46, 47, 48, 49}
    goals = np.random.RandomState(123456).uniform(-1, 1, 100).reshape(50, 2)
    for task in tasks:
        np.testing.assert_allclose(load_suite("point-robot").tasks[task].parameters["goal"], goals[task])


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'cheetah-vel'"):
        ReproduceConfig(suites="cheetah-vle")
    with pytest.raises(DataError, match=r"none.json: cannot be read"):
        reproduce(ReproduceConfig(leaderboard=str(tmp_path / "none.json")), TrainingRun(0))
    path = write_board(tmp_path, entry(shots="three"))
    with pytest.raises(DataError, match=r"leaderboard.json: entries.0.shots: .*metabench leaderboard build"):
        reproduce(ReproduceConfig(leaderboard=path), TrainingRun(0))
