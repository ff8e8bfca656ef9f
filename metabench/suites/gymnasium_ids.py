"""Gymnasium ids of the built-in suites: `gym.make("metabench:metabench/PointRobot-v2", task=3)`.

Archived versions keep theirs: other people's programs name them. The tasks are those of the version, the simulator is
the present one.
"""

from __future__ import annotations

import functools

import gymnasium

from metabench.envs import load_family
from metabench.envs.gymnasium.view import GymnasiumView
from metabench.errors import DataError, MetabenchError
from metabench.suites.archive import read_archived
from metabench.suites.folders import find_built_in_suites, list_archived_versions
from metabench.suites.registry import load_suite, read_suite
from metabench.suites.suite import Suite


def name_gymnasium_id(suite: Suite) -> str:
    """The id of a suite: `metabench/PointRobot-v1` for version 1 of `point-robot`."""
    name = "".join(part.capitalize() for part in suite.name.split("-"))
    return f"metabench/{name}-v{suite.entry.version}"


def make_view(suite: str, task: int) -> GymnasiumView:
    """A Gymnasium environment of task id `task` of any suite, plugins' included.

    Args:
        suite: its name, with a version (`point-robot-v1`) for an archived one.
        task: the task's id.

    Raises:
        UnknownNameError: no suite has this name.
        MetabenchError: the suite has no such task.
    """
    loaded = load_suite(suite)
    if not 0 <= task < len(loaded.tasks):
        raise MetabenchError(
            f"suite {suite} has no task {task}; expected 0 to {len(loaded.tasks) - 1}"
        )
    entry = loaded.entry
    environment = load_family(entry.family, entry.spaces).environment(entry.horizon)
    return GymnasiumView(environment, loaded.tasks[task].parameters)


@functools.cache
def register_ids() -> None:
    """Register every built-in suite with Gymnasium, once a process.

    A suite whose suite.toml is broken gets no id: loading it by name says what is wrong.
    """
    for name, folder in find_built_in_suites().items():
        try:
            archived = [read_archived(folder, each) for each in list_archived_versions(folder)]
            suites = [*archived, read_suite(folder)]
        except DataError:
            continue
        for suite in suites:
            gymnasium.register(
                name_gymnasium_id(suite),
                entry_point=f"{__name__}:make_view",
                max_episode_steps=suite.entry.horizon,
                kwargs={"suite": suite.identity if suite.archived else name},
            )
