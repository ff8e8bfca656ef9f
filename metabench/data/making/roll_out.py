"""Rolling out behaviours in a suite's tasks: the one place where data is made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.data.columns import Columns
from metabench.data.trajectories import ACTION_DECIMALS, ActedEpisodes, join_acted
from metabench.envs import Array, BatchedEnvironment, BlindPolicy, Teacher
from metabench.errors import MetabenchError, SimulationError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.recipes.kinds import MIXTURE


def roll_out(
    suite: Suite,
    tasks: Sequence[int],
    behaviours: Sequence[str],
    seeds: Sequence[int],
    expert_shares: Sequence[float] = (),
) -> ActedEpisodes:
    """Act one episode a lane: in task `tasks[i]`, as `behaviours[i]`, with `seeds[i]` as its only randomness.

    The float32 action that is stored is the one that the simulator gets.

    Args:
        suite: whose tasks, teacher and blind policy.
        tasks: suite task ids.
        behaviours: `random`, `blind`, `random-to-expert` or one of the teacher's.
        seeds: one an episode.
        expert_shares: one an episode where any is `random-to-expert`: the probability that such a one acts as the
            expert at a step; else it acts uniformly at random.

    Raises:
        MetabenchError: `blind` is wanted, and the suite ships no blind policy.
        SimulationError: a lane diverged.
    """
    environment, teacher = suite.environment(), suite.teacher()
    blind = suite.blind() if "blind" in behaviours else None
    if blind is None and "blind" in behaviours:
        raise MetabenchError(f"suite {suite.name} ships no blind policy")
    size = environment.lanes_at_once
    return join_acted(
        [
            _roll_out_lanes(
                suite,
                environment,
                teacher,
                blind,
                tasks[i : i + size],
                behaviours[i : i + size],
                seeds[i : i + size],
                expert_shares[i : i + size],
            )
            for i in range(0, len(tasks), size)
        ]
    )


def _roll_out_lanes(
    suite: Suite,
    environment: BatchedEnvironment,
    teacher: Teacher,
    blind: BlindPolicy | None,
    tasks: Sequence[int],
    behaviours: Sequence[str],
    seeds: Sequence[int],
    expert_shares: Sequence[float],
) -> ActedEpisodes:
    spaces, lanes = suite.spaces, len(tasks)
    parameters = [suite.tasks[task].parameters for task in tasks]
    observation = environment.reset(parameters, [derive_seed(seed, "reset") for seed in seeds])
    named = np.array(behaviours)
    random_lanes, blind_lanes = named == "random", named == "blind"
    uniform = _draw_uniform_actions(
        suite, [seeds[lane] for lane in np.flatnonzero(random_lanes).tolist()]
    )
    strays = _draw_strays(suite, behaviours, seeds, expert_shares)
    taught = np.flatnonzero(~random_lanes & ~blind_lanes).tolist()
    if len(taught):
        teacher.reset(
            ["expert" if lane in strays else behaviours[lane] for lane in taught],
            [parameters[lane] for lane in taught],
            [derive_seed(seeds[lane], "behaviour") for lane in taught],
        )
    if blind is not None:
        blind.reset(
            [derive_seed(seeds[lane], "behaviour") for lane in np.flatnonzero(blind_lanes).tolist()]
        )
    observations = np.zeros(
        (lanes, spaces.horizon + 1, spaces.observation_dim), np.float32
    )  # T + 1 of each lane
    # Actions, rewards and success are (lanes, horizon, ...); what lies behind a lane's end is cut off below.
    actions = np.repeat(spaces.null_actions(lanes)[:, None], spaces.horizon, axis=1)
    rewards = np.zeros((lanes, spaces.horizon), np.float32)
    success = np.zeros((lanes, spaces.horizon), bool)
    has_success = False
    active = np.ones(lanes, bool)
    lengths = np.full(lanes, spaces.horizon)
    observations[:, 0] = observation
    for timestep in range(spaces.horizon):
        chosen = spaces.null_actions(lanes)
        if random_lanes.any():
            chosen[random_lanes] = uniform[:, timestep]
        if len(taught):
            # The expert is asked at every step, also where it is not followed: it may remember.
            chosen[taught] = round_actions(suite, teacher.act(observation[taught]))
        for lane, (astray, at_random) in strays.items():
            if astray[timestep]:
                chosen[lane] = at_random[timestep]
        if blind is not None and blind_lanes.any():
            chosen[blind_lanes] = round_actions(suite, blind.act(observation[blind_lanes]))
        try:
            step = environment.step(chosen)
        except SimulationError as error:
            raise error.in_task(suite.name, tasks[error.lane]) from error
        observation = step.observation
        actions[active, timestep] = chosen[active]
        rewards[active, timestep] = step.reward[active]
        observations[active, timestep + 1] = observation[active]
        if step.success is not None:
            has_success = True
            success[active, timestep] = step.success[active]
        ended = active & step.terminated
        lengths[ended] = timestep + 1
        active &= ~ended
        if not active.any():
            break
    # Lanes are of different lengths: masks in the order of lanes and steps make one flat row of all.
    within = np.arange(spaces.horizon) < lengths[:, None]
    seen = np.arange(spaces.horizon + 1) <= lengths[:, None]
    columns = Columns(
        observations=observations[seen],
        actions=actions[within],
        rewards=rewards[within],
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        terminated=~active,
        tasks=np.asarray(tasks, np.int64),
    )
    return ActedEpisodes(columns, success[within] if has_success else None)


def _draw_uniform_actions(suite: Suite, seeds: Sequence[int]) -> Array:
    """`(lanes, horizon, ...)` uniform actions, each lane's from its own seed."""
    spaces = suite.spaces
    draws = [
        spaces.uniform_actions(
            np.random.default_rng(derive_seed(seed, "behaviour")), (spaces.horizon,)
        )
        for seed in seeds
    ]
    return round_actions(suite, np.stack(draws)) if draws else np.zeros((0, spaces.horizon))


def _draw_strays(
    suite: Suite,
    behaviours: Sequence[str],
    seeds: Sequence[int],
    expert_shares: Sequence[float],
) -> dict[int, tuple[Array, Array]]:
    """Of each lane that mixes expert with random actions: `(horizon,)` whether it strays, and the random actions."""
    spaces, strays = suite.spaces, {}
    for lane, behaviour in enumerate(behaviours):
        if behaviour == MIXTURE:
            generator = np.random.default_rng(derive_seed(seeds[lane], "mixture"))
            astray = generator.random(spaces.horizon) >= expert_shares[lane]
            actions = spaces.uniform_actions(generator, (spaces.horizon,))
            strays[lane] = astray, round_actions(suite, actions)
    return strays


def round_actions(suite: Suite, actions: Array) -> Array:
    """Actions as they are stored and applied: rounded, float32, in bounds."""
    if suite.spaces.discrete:
        return np.asarray(actions, np.int64)
    rounded = np.round(np.asarray(actions, np.float64), ACTION_DECIMALS).astype(np.float32)
    return np.clip(
        rounded,
        np.asarray(suite.spaces.action_low, np.float32),
        np.asarray(suite.spaces.action_high, np.float32),
    )
