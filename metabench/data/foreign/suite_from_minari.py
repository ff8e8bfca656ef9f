"""A suite from Minari datasets, one a task: its suite.toml and a short card."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.foreign.suite_text import Draft, DraftTask
from metabench.data.making.recorded import OUT_OF_BOUNDS, measure_excess
from metabench.data.storage.recorded_minari import RecordedDataset, open_recorded
from metabench.envs import Array, DeclaredSpaces
from metabench.errors import MetabenchError
from metabench.suites import list_suites, load_suite
from metabench.suites.schema import MINARI_ID

UNUSED_LIMIT = 100
"""A time limit so many times longer than any episode was never meant to end one."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class _Content:
    """What was read of one dataset.

    Attributes:
        source: the dataset.
        rewards: of each episode, float32.
        out_of_bounds: whether an action is.
    """

    source: RecordedDataset
    rewards: tuple[Array, ...]
    out_of_bounds: bool

    @property
    def longest(self) -> int:
        """Steps of the longest episode."""
        return max(map(len, self.rewards))


def suite_from_minari(
    train: Sequence[str],
    test: Sequence[str],
    *,
    name: str | None = None,
    out: Path | None = None,
    horizon: int | None = None,
    hide: Sequence[str] = (),
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
        hide: entries of dictionary observations to leave out: `desired_goal`.
        download: fetch datasets that are not there.

    Returns:
        The folder.

    Raises:
        DataError: a dataset is missing, damaged, or differs from the others in spaces or horizon.
        MetabenchError: too few ids, an id given twice, or a name that is taken or not one.
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
    sources = [
        open_recorded(each, download=download, remedy="add --download to fetch it")
        for each in names
    ]
    declared = _find_common_spaces(sources, hide)
    contents = [_read(source, declared) for source in sources]
    limit = horizon or _find_common_horizon(contents)
    tasks = tuple(_draft_task(content, limit) for content in contents)
    _write(folder, Draft(chosen, declared, tasks, len(train), limit))
    return folder


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

    from metabench.envs.gymnasium.spaces import check_declared, declare_spaces

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


def _find_common_horizon(contents: Sequence[_Content]) -> int:
    """The time limit of all, or the longest episode where none names one."""
    longest = max(content.longest for content in contents)
    known = [
        (content.source, limit)
        for content in contents
        if (limit := _read_limit(content.source)) is not None
    ]
    if not known:
        return longest
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


def _read(source: RecordedDataset, declared: DeclaredSpaces) -> _Content:
    rewards, excess = [], 0.0
    for episode in source.episodes(declared):
        rewards.append(episode.rewards)
        excess = max(excess, measure_excess(episode.actions, declared))
    return _Content(source, tuple(rewards), excess > OUT_OF_BOUNDS)


def _draft_task(content: _Content, horizon: int) -> DraftTask:
    parameters, note = _find_environment(content.source)
    reference = _find_reference(content, horizon)
    return DraftTask(
        content.source, parameters, note, reference, content.longest, content.out_of_bounds
    )


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


def _find_environment(source: RecordedDataset) -> tuple[dict[str, Any], str | None]:
    """The task's parameters from what the dataset says of its environment, if that is one registered here."""
    from metabench.envs.gymnasium.family import find_registered_environment

    spec = source.env_spec
    without = {"recorded": source.name}
    if not spec:
        return without, "the dataset names no environment"
    name, arguments = spec.get("id"), spec.get("kwargs") or {}
    if spec.get("additional_wrappers"):
        return (
            without,
            f"the dataset's environment {name!r} is wrapped, and wrappers are not applied here",
        )
    found = find_registered_environment(name, spec.get("entry_point"))
    if found is None or not isinstance(arguments, dict):
        return without, f"no environment {name!r} is registered here"
    plain = {key: value for key, value in arguments.items() if key != "render_mode"}
    if _holds_null(plain):
        return (
            without,
            f"an argument of the dataset's environment {name!r} is null, which TOML cannot say",
        )
    return {"environment": found, "arguments": plain} if plain else {"environment": found}, None


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None


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
