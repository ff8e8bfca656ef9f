"""A suite from Minari datasets, one a task: its suite.toml and a short card."""

from __future__ import annotations

import functools
import math
import os
import re
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.foreign.recorded_environment import find_environment
from metabench.data.foreign.suite_text import Draft, DraftTask
from metabench.data.making.recorded import Losses, measure_excess
from metabench.data.storage.recorded_minari import RecordedDataset, read_or_download
from metabench.envs import Array, DeclaredSpaces
from metabench.envs.gymnasium.family import describe_registered
from metabench.envs.gymnasium.spaces import check_declared, declare_spaces
from metabench.errors import MetabenchError
from metabench.suites import list_suites, load_suite
from metabench.suites.recipes.dataset_entry import MINARI_ID

UNUSED_LIMIT = 100
"""A time limit so many times longer than any episode was never meant to end one."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class _Content:
    """What was read of one dataset.

    Attributes:
        source: the dataset.
        rewards: of each episode, float32.
        excess: of each episode, by how much each action is out of bounds.
        without_success: episodes that do not tell success.
    """

    source: RecordedDataset
    rewards: tuple[Array, ...]
    excess: tuple[Array, ...]
    without_success: int

    @property
    def longest(self) -> int:
        """Steps of the longest episode."""
        return max(map(len, self.rewards))

    def count_losses(self, horizon: int) -> Losses:
        """What a suite of this horizon leaves out of it."""
        return sum(
            (Losses.count(len(each), each[:horizon], horizon) for each in self.excess),
            Losses(),
        )


def suite_from_minari(
    train: Sequence[str],
    test: Sequence[str],
    *,
    name: str | None = None,
    out: Path | None = None,
    horizon: int | None = None,
    hide: Sequence[str] = (),
    environment: str | None = None,
    download: bool = False,
) -> Path:
    """Write a suite whose tasks are the given Minari datasets; nothing is written if anything is wrong.

    The environment of a task is the registered one that its dataset names, with the arguments it names; nothing that a
    dataset describes is imported or made. The first tenth of the training tasks is for validation.

    Args:
        train: Minari ids of the training tasks, at least two.
        test: Minari ids of the test tasks, at least one.
        name: the suite's name; by default the namespace that all ids share.
        out: the folder to write, whose name is the suite's; by default that name in the working directory.
        horizon: the suite's horizon; longer episodes are cut. By default the time limit that the datasets name, or the
            longest episode.
        environment: the Gymnasium id of the tasks whose datasets name none that is known here: `Hopper-v5`.
        hide: entries of dictionary observations to leave out: `desired_goal`.
        download: fetch datasets that are not there.

    Returns:
        The folder.

    Raises:
        DataError: a dataset is missing, damaged, or differs from the others in spaces or horizon.
        MetabenchError: too few ids, an id given twice, a name that is taken or not one, or no such environment.
    """
    names = [*train, *test]
    if len(train) < 2 or not test:
        raise MetabenchError(
            f"expected at least two training datasets (one is for validation) and one after --test, "
            f"found {len(train)} and {len(test)}"
        )
    for each in names:
        if not re.fullmatch(MINARI_ID, each):
            raise MetabenchError(
                f"Minari dataset {each!r}: expected an id like namespace/name-v0, without dots or spaces"
            )
        if names.count(each) > 1:
            raise MetabenchError(
                f"Minari dataset {each!r} is given twice; a test task is no training task"
            )
    chosen = _choose_name(name or (out.resolve().name if out else None), names)
    folder = out or Path(chosen)
    if folder.resolve().name != chosen:
        raise MetabenchError(f"--out {folder}: expected a folder called like the suite, {chosen!r}")
    if folder.exists():
        raise MetabenchError(f"{folder} exists; choose another with --out, or remove it")
    remedy = "add --download to fetch it"
    sources = [
        read_or_download(each, lambda source: source, download=download, remedy=remedy)
        for each in names
    ]
    declared = _find_common_spaces(sources, hide)
    registered = None if environment is None else _look_up_environment(environment, declared)
    contents = [
        read_or_download(each, functools.partial(_read, declared), download=download, remedy=remedy)
        for each in names
    ]
    limit = horizon or _find_common_horizon(contents, registered)
    tasks = tuple(_draft_task(content, limit, environment) for content in contents)
    losses = tuple(content.count_losses(limit) for content in contents)
    _write(folder, Draft(chosen, declared, tasks, len(train), limit, sum(losses, Losses())))
    for content, lost in zip(contents, losses, strict=True):
        _warn_of_losses(content, lost, limit)
    return folder


def _look_up_environment(environment: str, declared: DeclaredSpaces) -> int | None:
    """The time limit of the environment, which must have the datasets' spaces."""
    spec, made = describe_registered(environment)
    try:
        check_declared(declared, made.observation_space, made.action_space)
    except ValueError as error:
        raise MetabenchError(f"--environment {environment}: {error}") from error
    finally:
        made.close()
    return spec.max_episode_steps


def _warn_of_losses(content: _Content, losses: Losses, horizon: int) -> None:
    notes = losses.describe(horizon)
    if 0 < content.without_success < len(content.rewards):
        told = f"{content.without_success} of {len(content.rewards)} episodes do not tell success"
        notes += (f"{told}: it is left out",)
    for note in notes:
        warnings.warn(f"Minari dataset {content.source.name!r}: {note}", stacklevel=3)


def _choose_name(given: str | None, ids: Sequence[str]) -> str:
    namespaces = {each.rpartition("/")[0] for each in ids}
    shared = namespaces.pop().rpartition("/")[2] if len(namespaces) == 1 else ""
    found = given or re.sub(r"[^a-z0-9-]+", "-", shared.lower()).strip("-")
    if not _NAME.fullmatch(found):
        hint = "" if given else ": the ids share no namespace to call it by"
        raise MetabenchError(
            f"--name: expected a letter, then letters, digits and hyphens, found {found!r}{hint}"
        )
    if found in list_suites():
        raise MetabenchError(f"--name: {found!r} is a suite already; choose another name")
    return found


def _find_common_spaces(sources: Sequence[RecordedDataset], hide: Sequence[str]) -> DeclaredSpaces:
    """The spaces of the first dataset, which all others have to have as well."""
    from gymnasium.spaces import Dict

    first = sources[0]
    keys: list[str] = []
    if isinstance(first.observation_space, Dict):
        keys = sorted(key for key in first.observation_space.spaces if key not in hide)
    for key in hide:
        if (
            not isinstance(first.observation_space, Dict)
            or key not in first.observation_space.spaces
        ):
            raise first.problem(f"--hide: its observations have no entry {key!r}")
    try:
        declared = declare_spaces(first.observation_space, first.action_space, keys)
    except ValueError as error:
        raise first.problem(error) from error
    for other in sources[1:]:
        try:
            check_declared(declared, other.observation_space, other.action_space)
        except ValueError as error:
            raise other.problem(f"{error}; {first.name!r} has that") from error
    return declared


def _find_common_horizon(contents: Sequence[_Content], registered: int | None) -> int:
    """The time limit of all, or where none names one that of the environment, or the longest episode."""
    longest = max(content.longest for content in contents)
    known = [
        (content.source, limit)
        for content in contents
        if (limit := _read_limit(content.source)) is not None
    ]
    if not known:
        return registered or longest
    first, common = known[0]
    for other, limit in known:
        if limit != common:
            raise other.problem(
                f"its horizon is {limit}, that of {first.name!r} is {common}; choose with --horizon"
            )
    if common > UNUSED_LIMIT * longest:
        raise first.problem(
            f"its horizon is {common}, the longest episode has {longest} steps; choose with --horizon"
        )
    return common


def _read_limit(source: RecordedDataset) -> int | None:
    for limit in (source.metadata.get("horizon"), source.env_spec.get("max_episode_steps")):
        if type(limit) is int and limit >= 1:
            return limit
    return None


def _read(declared: DeclaredSpaces, source: RecordedDataset) -> _Content:
    rewards, excess, without_success = [], [], 0
    for episode in source.episodes(declared):
        rewards.append(episode.rewards)
        excess.append(measure_excess(episode.actions, declared))
        without_success += episode.success is None
    return _Content(source, tuple(rewards), tuple(excess), without_success)


def _draft_task(content: _Content, horizon: int, environment: str | None) -> DraftTask:
    parameters, note = find_environment(content.source)
    if note is not None and environment is not None:
        parameters, note = {"environment": environment}, None
    return DraftTask(content.source, parameters, note, _find_reference(content, horizon))


def _find_reference(content: _Content, horizon: int) -> tuple[float, float, str]:
    """What the dataset says of itself, unless its episodes are cut; else what is in it."""
    source = content.source
    random, expert = source.metadata.get("ref_min_score"), source.metadata.get("ref_max_score")
    if (
        content.longest <= horizon
        and isinstance(random, int | float)
        and isinstance(expert, int | float)
        and -math.inf < random < expert < math.inf
    ):
        return float(random), float(expert), "ref_min_score and ref_max_score of the dataset"
    returns = [float(rewards[:horizon].sum(dtype=np.float64)) for rewards in content.rewards]
    low, high = min(returns), max(returns)
    if low == high:
        raise source.problem(
            f"all its {len(returns)} episodes have the return {low:g}: scores have no ends; "
            "give it ref_min_score and ref_max_score"
        )
    return low, high, "lowest and highest return in the dataset"


def _write(folder: Path, draft: Draft) -> None:
    """Write the draft beside `folder`, read it back as a suite, and put it in place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder.parent / f".{draft.name}.{os.getpid()}.new"
    try:
        fresh = place / draft.name
        fresh.mkdir(parents=True)
        (fresh / "suite.toml").write_text(draft.write_toml(), encoding="utf-8")
        (fresh / "README.md").write_text(draft.write_card_text(), encoding="utf-8")
        load_suite(fresh)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
