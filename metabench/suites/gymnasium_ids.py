"""Gymnasium ids of the built-in suites: `gym.make("metabench:metabench/PointRobot-v2", task=3)`.

Archived versions keep theirs: other people's programs name them. The tasks are those of the version, the simulator is
the present one. Gymnasium calls `register_ids` when it is imported, so that nothing here may take time before `make`.
"""

from __future__ import annotations

import functools
import tomllib
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from metabench.suites.folders import archived_path, find_built_in_suites, list_archived_versions

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

    from metabench.envs import BatchedEnvironment
    from metabench.envs.gymnasium.view import GymnasiumView
    from metabench.suites.suite import Suite


def name_gymnasium_id(suite: str, version: int) -> str:
    """The id of a suite: `metabench/PointRobot-v1` for version 1 of `point-robot`."""
    name = "".join(part.capitalize() for part in suite.split("-"))
    return f"metabench/{name}-v{version}"


def make_view(suite: str, task: int, render_mode: str | None = None) -> GymnasiumView:
    """A Gymnasium environment of task id `task` of any suite, plugins' included.

    Time limits are Gymnasium's own: ids are registered with the suite's horizon, `gymnasium.make` takes another.

    Args:
        suite: its name, with a version (`point-robot-v1`) for an archived one.
        task: the task's id.
        render_mode: `rgb_array`, or None for no pictures.

    Raises:
        UnknownNameError: no suite has this name.
        MetabenchError: the suite has no such task, or no such pictures.
    """
    from metabench.envs.gymnasium.view import GymnasiumView
    from metabench.errors import MetabenchError
    from metabench.suites.registry import load_suite

    loaded = load_suite(suite)
    if not isinstance(task, Integral) or not 0 <= int(task) < len(loaded.tasks):
        raise MetabenchError(
            f"suite {suite} has no task {task!r}; expected a number from 0 to {len(loaded.tasks) - 1}"
        )
    return GymnasiumView(
        make_environment(suite),
        loaded.tasks[int(task)].parameters,
        render_mode=render_mode,
        time_limit=False,
        make_again=functools.partial(make_environment, suite),
    )


def make_environment(suite: str) -> BatchedEnvironment:
    """A new simulator of any suite, archived versions included; `suite` and errors as of `make_view`."""
    from metabench.envs import load_family
    from metabench.suites.registry import load_suite

    entry = load_suite(suite).entry
    return load_family(entry.family, entry.spaces).environment(entry.horizon)


def describe_view(suite: Suite, task: int) -> EnvSpec | None:
    """What Minari keeps of an environment, so that it can be made again: that of a task, in this version of the suite.

    It names where views are made: nobody need import metabench first. None for a suite that has no name but a folder.
    """
    from gymnasium.envs.registration import EnvSpec

    if "/" in suite.argument:
        return None
    return EnvSpec(
        name_gymnasium_id(suite.name, suite.entry.version),
        entry_point=f"{__name__}:make_view",
        max_episode_steps=suite.entry.horizon,
        kwargs={"suite": suite.identity, "task": task},
    )


def register_ids() -> None:
    """Register every built-in suite with Gymnasium, but for those that are registered.

    A suite whose suite.toml is broken gets no id: loading it by name says what is wrong.
    """
    import gymnasium

    for name, folder in find_built_in_suites().items():
        paths = [archived_path(folder, version) for version in list_archived_versions(folder)]
        for path in (*paths, folder / "suite.toml"):
            found = _read_version_and_horizon(path)
            if found is not None:
                version, horizon = found
                if (gymnasium_id := name_gymnasium_id(name, version)) in gymnasium.registry:
                    continue
                gymnasium.register(
                    gymnasium_id,
                    entry_point=f"{__name__}:make_view",
                    max_episode_steps=horizon,
                    kwargs={"suite": name if path.name == "suite.toml" else f"{name}-v{version}"},
                )


def _read_version_and_horizon(path: Path) -> tuple[int, int] | None:
    """From the lines before the first table alone: whole files with their tasks would take a second."""
    try:
        head = tomllib.loads(path.read_text(encoding="utf-8-sig").partition("\n[")[0])
        return int(head["version"]), int(head["horizon"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
