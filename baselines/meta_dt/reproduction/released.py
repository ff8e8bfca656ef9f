"""Meta-DT and Prompt-DT trained on the group's own released files, beside what the group published of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metabench import (
    ImportOptions,
    TrainingRun,
    evaluate,
    import_meta_dt,
    load_data,
    load_method,
    load_suite,
)

from .config import VERSION, ReproduceConfig
from .quoted import AGAIN, SHOTS
from .returns import Returns, compare_means, compute_interval

STAGE = "released"
DATASET = "released"
METHODS = ("meta-dt", "prompt-dt")


def train_on_released(config: ReproduceConfig, run: TrainingRun) -> list[dict[str, Any]]:
    """Import the files, unless they are, train both methods with every seed and score them.

    Args:
        config: the folder, the suite, the budget.
        run: a stopped one goes on with the training that it was stopped in.

    Returns:
        Rows of returns, and of what differs.

    Raises:
        DataError: the files do not fit the suite.
        UnknownNameError: meta-dt has no such variant.
    """
    suite = config.released_suite
    methods = {
        name: load_method(_specify(config, name), preset=config.preset, suite=suite)
        for name in METHODS
    }
    options = ImportOptions(suite, action_scale=config.action_scale, own_dataset=DATASET)
    import_meta_dt(Path(config.released).expanduser(), options, keep=True)
    published = find_published_tasks(suite)
    trainings = [
        (method, run.seed + number) for number in range(config.seeds) for method in METHODS
    ]
    returns = Returns()
    for update in run.steps(STAGE, len(trainings), returns=returns):
        name, seed = trainings[update - 1]
        policy = methods[name].train(load_data(suite, DATASET), run.branch(f"{name}-{seed}", seed))
        for track, shots in SHOTS.items():
            (block,) = evaluate(policy, suite, track, shots=[shots], seed=seed).blocks
            own = [row.total_return for row in block.rows if row.task in published]
            returns.add(f"{name} {track}", float(np.mean(own)))
            every = [row.total_return for row in block.rows]
            returns.add(f"{name} {track} all", float(np.mean(every)))
    rows = [_make_row(config, returns, name, track) for track in SHOTS for name in METHODS]
    rows += [_compare_methods(config, returns, track) for track in SHOTS]
    return [*rows, *_list_differences(config, len(published))]


def find_published_tasks(suite: str) -> frozenset[int]:
    """Ids of the test tasks that were published: those of `VERSION`; later ones have more, and these among them."""
    known = [task.parameters for task in load_suite(f"{suite}-v{VERSION}").split("test")]
    tasks = load_suite(suite).split("test")
    return frozenset(task.id for task in tasks if task.parameters in known)


def _specify(config: ReproduceConfig, method: str) -> str:
    return f"{method}/{config.variant}" if config.variant and method == "meta-dt" else method


def _make_row(config: ReproduceConfig, returns: Returns, method: str, track: str) -> dict[str, Any]:
    values = returns.values[f"{method} {track}"]
    quoted, spread = None, None
    if track == AGAIN.track:
        quoted, spread = AGAIN.numbers.get(method, {}).get(config.released_suite, (None, None))
    low, high = compute_interval(values)
    return {
        "method": method,
        "track": track,
        "shots": SHOTS[track],
        "quoted": quoted,
        "spread": spread,
        "ours": float(np.mean(values)),
        "low": low,
        "high": high,
        "all test tasks": float(np.mean(returns.values[f"{method} {track} all"])),
        "seeds": len(values),
        "preset": config.preset,
    }


def _compare_methods(config: ReproduceConfig, returns: Returns, track: str) -> dict[str, Any]:
    first, second = METHODS
    values, others = (returns.values[f"{name} {track}"] for name in METHODS)
    quoted = None
    if track == AGAIN.track:
        pairs = [AGAIN.numbers.get(name, {}).get(config.released_suite) for name in METHODS]
        if pairs[0] is not None and pairs[1] is not None:
            quoted = pairs[0][0] - pairs[1][0]
    difference, low, high = compare_means(values, others)
    every = [np.mean(returns.values[f"{name} {track} all"]) for name in METHODS]
    return {
        "method": f"{first} less {second}",
        "track": track,
        "shots": SHOTS[track],
        "quoted": quoted,
        "spread": None,
        "ours": difference,
        "low": low,
        "high": high,
        "all test tasks": float(every[0] - every[1]),
        "seeds": len(values),
        "preset": config.preset,
    }


def _list_differences(config: ReproduceConfig, tasks: int) -> list[dict[str, Any]]:
    suite = config.released_suite
    meta, prompt = (
        load_method(_specify(config, name), preset=config.preset, suite=suite).config.model_dump()
        for name in METHODS
    )
    told = f"its variant {config.variant}" if config.variant else "as the paper says"
    pairs = {
        "source": (AGAIN.title, f"trained here, preset {config.preset}"),
        "data": (
            AGAIN.data,
            "the files that were given; that the table is of these very files is likely, not told",
        ),
        "training tasks": (
            "45; nothing is told of held-out ones",
            "without the suite's validation tasks, a tenth of them",
        ),
        "test tasks": ("5", f"ours: the same {tasks}; beside it all test tasks of the suite"),
        "budget": (
            AGAIN.budget,
            f"meta-dt {meta['model_updates']:,} world-model and {meta['updates']:,} policy updates, "
            f"prompt-dt {prompt['updates']:,}; width {meta['width']}, batch {meta['batch_size']}",
        ),
        "method": ("the group's code", f"our own, {told}; its README lists all deviations"),
        "zero-shot": ("a model of its own, trained without prompts", _describe_zero_shot(config)),
        "few-shot": (
            "no number for these data is known",
            "3 episodes that the policy acted itself; 5 such supports a task",
        ),
        "target return": (
            "by the code: the best of the test task's own data",
            "the mean over training tasks of their best episode",
        ),
        "choice of a model": (
            "not told; by the code the world model of the lowest loss on test tasks",
            "the last one",
        ),
        "spread": (AGAIN.spread, "low and high: Student's 95 % interval over seeds"),
    }
    return [
        {"what differs": what, "there": there, "here": here}
        for what, (there, here) in pairs.items()
    ]


def _describe_zero_shot(config: ReproduceConfig) -> str:
    spec = _specify(config, "meta-dt")
    settings = load_method(spec, preset=config.preset, suite=config.released_suite).config
    apart = settings.model_dump()["separate_zero_shot"]
    return (
        "a model of its own as well"
        if apart
        else "the same model as with prompts: half of its training windows have none"
    )
