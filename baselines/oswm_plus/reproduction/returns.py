"""What policies earn in the real environments that were learned, or plan, in models of contexts collected there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metabench import Array, Step, TrainingRun

from ...common.planning.config import TUNED, ImaginationConfig, PlannerConfig
from ...common.planning.learn_in_imagination import learn_policies
from ...common.planning.policy import PlanningPolicy
from ...common.planning.ppo import GroupedActorCritics
from ...common.planning.rows import Reader, Transitions, batch_transitions
from ...common.planning.world import World
from .environments import (
    ENDED,
    CollectedContext,
    RealEnvironment,
    collect_context,
    draw_real_starts,
    measure_real_returns,
)
from .published_numbers import RANDOM_POLICY, REAL_POLICY, SOLVED, find_logged_return

LEARNERS = {"published": ImaginationConfig(final_time_outs=True), "tuned": TUNED}
"""How policies are learned in imagination."""

PLANNER = PlannerConfig(
    samples=64, iterations=3, replan=1, largest_context=1_000, reads_own_episode=False
)
"""How the planner plans that takes their place."""

RESETS = 1_000
"""Real resets that imagined episodes begin with, where they are allowed."""

TRIED = 10
"""Real episodes that a policy on the way is judged by, where that is allowed."""


@dataclass(frozen=True)
class Trial:
    """One row of the table of returns.

    Attributes:
        suite: the environment.
        model: name of the model.
        context: kind of the contexts, one a seed.
        rows: in each.
        learner: one of `LEARNERS`, or `planner`.
        oracles: real resets and the hand-written rules of ends.
        selected: tell also what the best policy on the way earns, by real return.
        steps: imagined steps of each policy.
        seeds: how many.
        episodes: real ones that the last policy of each seed is judged by.
    """

    suite: RealEnvironment
    model: str
    context: str
    rows: int
    learner: str
    oracles: bool
    selected: bool
    steps: int
    seeds: int
    episodes: int

    def row(self, reader: Reader, largest: int, run: TrainingRun) -> dict[str, Any]:
        """Collect contexts, learn or plan, and act in the real environment.

        Args:
            reader: makes the models.
            largest: most rows that it reads.
            run: where randomness comes from.
        """
        name, seeds = self.suite.name, range(self.seeds)
        contexts = [
            collect_context(
                self.suite,
                self.context,
                self.rows,
                run.generator("context", name, self.context, seed),
            )
            for seed in seeds
        ]
        if self.learner == "planner":
            returns, imagined, best = self._plan_and_act(reader, contexts, run), None, None
        else:
            returns, imagined, best = self._learn_and_act(reader, largest, contexts, run)
        logged = find_logged_return(
            name, self.context, networks_only=self.model.startswith("networks-only")
        )
        return {
            "environment": name,
            "model": self.model,
            "context": self.context,
            "learner": self.learner,
            "oracles": "published" if self.oracles else "none",
            "seeds": self.seeds,
            "median": float(np.median(returns)),
            "mean": float(returns.mean()),
            "deviation": float(returns.std()),
            "imagined": imagined,
            "best_by_real": best,
            "logged_mean": logged.last[0] if logged else None,
            "logged_deviation": logged.last[1] if logged else None,
            "logged_best_by_real": logged.selected[0] if logged else None,
            "random": RANDOM_POLICY[name],
            "learned_in_real": REAL_POLICY[name],
            "solved": SOLVED.get(name),
        }

    def _learn_and_act(
        self, reader: Reader, largest: int, contexts: Sequence[CollectedContext], run: TrainingRun
    ) -> tuple[Array, float | None, float | None]:
        """Each seed's mean real return; the mean imagined one; what the best on the way earn, if that is asked for."""
        suite, name = self.suite, self.suite.name
        rows = [Transitions.from_episodes(each.episodes, suite.spaces) for each in contexts]
        with torch.no_grad():
            models = [reader.read(batch_transitions([each.thin(largest)])) for each in rows]
        starts, ended = [each.starts for each in contexts], None
        if self.oracles:
            starts = [
                draw_real_starts(suite, RESETS, run.generator("resets", name, seed))
                for seed in range(self.seeds)
            ]
            ended = ENDED[name]
        config = LEARNERS[self.learner].model_copy(update={"steps": self.steps})
        world = World.from_contexts(models, rows, starts, config, ended)
        best = _BestOnTheWay(self, world, run) if self.selected else None
        generators = [
            torch.Generator().manual_seed(_draw_seed(run, "policy", name, seed))
            for seed in range(self.seeds)
        ]
        learned = learn_policies(world, config, suite.spaces, generators, best)
        imagined = [value for value in learned.imagined_returns if np.isfinite(value)]
        return (
            self.judge(learned.networks, world, self.episodes, run, "judge"),
            float(np.mean(imagined)) if imagined else None,
            best.judge_anew() if best else None,
        )

    def judge(
        self,
        networks: GroupedActorCritics,
        world: World,
        episodes: int,
        run: TrainingRun,
        purpose: str,
    ) -> Array:
        """`(seeds,)` mean real returns; the same resets for every seed and trial."""
        resets = run.generator(purpose, self.suite.name).integers(2**31, size=episodes).tolist()

        @torch.no_grad()
        def act(step: Step) -> Array:
            seen = torch.from_numpy(step.observation).view(self.seeds, episodes, -1)
            means, _ = networks(world.normalise(seen))
            return self.suite.spaces.actions_from_features(means.flatten(0, 1).numpy())

        return np.asarray(
            measure_real_returns(self.suite, act, resets * self.seeds)
            .reshape(self.seeds, -1)
            .mean(1)
        )

    def _plan_and_act(
        self, reader: Reader, contexts: Sequence[CollectedContext], run: TrainingRun
    ) -> Array:
        """Each seed's mean real return of the planner."""
        policy = _UnsavedPlanner(reader, PLANNER, self.suite.spaces)
        resets = (
            run.generator("judge", self.suite.name).integers(2**31, size=self.episodes).tolist()
        )
        groups = np.repeat(np.arange(self.seeds), self.episodes).tolist()
        policy.reset(groups, [_draw_seed(run, "planner", lane) for lane in range(len(groups))])
        policy.adapt({seed: context.episodes for seed, context in enumerate(contexts)})
        return np.asarray(
            measure_real_returns(self.suite, policy.act, resets * self.seeds)
            .reshape(self.seeds, -1)
            .mean(1)
        )


class _UnsavedPlanner(PlanningPolicy):
    """Planning that is not kept."""

    def save(self, folder: Path) -> None:
        """There is nothing that a trial needs again."""


class _BestOnTheWay:
    """Remembers the best networks on the way, each seed's by real episodes."""

    def __init__(self, trial: Trial, world: World, run: TrainingRun) -> None:
        self._trial, self._world, self._run = trial, world, run
        self._returns = np.full(trial.seeds, -np.inf)
        self._networks: GroupedActorCritics | None = None

    def __call__(self, networks: GroupedActorCritics) -> None:
        """Look at the networks after a rollout."""
        returns = self._trial.judge(networks, self._world, TRIED, self._run, "select")
        if self._networks is None:
            self._networks = networks.copy_groups(torch.arange(self._trial.seeds))
        better = torch.from_numpy(returns > self._returns)
        for kept, now in zip(self._networks.parameters(), networks.parameters(), strict=True):
            kept[better] = now.detach()[better]
        self._returns = np.maximum(returns, self._returns)

    def judge_anew(self) -> float | None:
        """Mean return of the best in other episodes than chose them."""
        if self._networks is None:
            return None
        trial = self._trial
        return float(
            trial.judge(self._networks, self._world, trial.episodes, self._run, "judge").mean()
        )


def _draw_seed(run: TrainingRun, *purpose: int | str) -> int:
    return int(run.generator(*purpose).integers(2**62))
