"""How far one-step predictions are off: by axis, as the paper's proxy loss, and by the size of the context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from metabench import Array, TrainingRun

from ...common.planning.rows import Reader, Transitions, batch_transitions
from .environments import RealEnvironment, collect_context, collect_steps
from .published_numbers import PROXY_SLOTS, RANDOM_FRACTIONS, STATE_AXES, find_logged_proxy

HELD_OUT, DRAWN = 5_000, 500
"""Real transitions of each fraction of random actions, and how many of them are drawn as queries."""


def make_error_rows(
    suite: RealEnvironment,
    model: str,
    reader: Reader,
    largest: int,
    kind: str,
    rows: int,
    contexts: int,
    run: TrainingRun,
) -> list[dict[str, Any]]:
    """Errors after contexts of one kind, means over the contexts.

    Args:
        suite: the environment.
        model: its name.
        reader: makes it.
        largest: most rows that it reads.
        kind: of the contexts.
        rows: in each.
        contexts: how many.
        run: where randomness comes from.

    Returns:
        For each fraction of random actions among the queries a row with the proxy loss, and one for each axis.
    """
    read = [
        _collect_transitions(suite, kind, rows, number, run).thin(largest)
        for number in range(contexts)
    ]
    found: list[dict[str, Any]] = []
    by_axis: list[dict[str, Any]] = []
    for fraction in RANDOM_FRACTIONS:
        queries = _draw_queries(suite, fraction, run)
        squares = _squared_errors(reader, read, queries)
        named = {
            "environment": suite.name,
            "model": model,
            "context": kind,
            "random_actions": fraction,
        }
        proxy = float(squares.sum(1).mean() / PROXY_SLOTS)
        found.append(
            {
                **named,
                "proxy_loss": proxy,
                "logged_proxy_loss": find_logged_proxy(suite.name, kind, fraction),
            }
        )
        without = _errors_without_model(read, queries)
        for axis, error, trivial in zip(
            (*STATE_AXES[suite.name], "reward"),
            squares.mean(0).tolist(),
            without.tolist(),
            strict=True,
        ):
            by_axis.append(
                {**named, "axis": axis, "squared_error": error, "without_model": trivial}
            )
    return found + by_axis


def make_size_rows(
    suite: RealEnvironment,
    model: str,
    reader: Reader,
    largest: int,
    rows: int,
    contexts: int,
    run: TrainingRun,
) -> list[dict[str, Any]]:
    """The error of random transitions after random contexts of `rows` rows, relative to that without a model."""
    read = [
        _collect_transitions(suite, "random", rows, number, run).thin(largest)
        for number in range(contexts)
    ]
    queries = _draw_queries(suite, 1.0, run)
    error, without = (
        _squared_errors(reader, read, queries).mean(0),
        _errors_without_model(read, queries),
    )
    share = error / np.maximum(without, np.finfo(np.float64).tiny)
    return [
        {
            "environment": suite.name,
            "model": model,
            "context_rows": rows,
            "rows_read": min(rows, largest),
            "state_error_share": float(share[:-1].mean()),
            "reward_error_share": float(share[-1]) if without[-1] > 0 else None,
        }
    ]


def _collect_transitions(
    suite: RealEnvironment, kind: str, rows: int, number: int, run: TrainingRun
) -> Transitions:
    generator = run.generator("error context", suite.name, kind, rows, number)
    return Transitions.from_episodes(
        collect_context(suite, kind, rows, generator).episodes, suite.spaces
    )


def _draw_queries(suite: RealEnvironment, fraction: float, run: TrainingRun) -> Transitions:
    """Held-out transitions, drawn with replacement."""
    generator = run.generator("held out", suite.name, str(fraction))
    transitions = Transitions.from_episodes(
        collect_steps(suite, fraction, HELD_OUT, generator).episodes, suite.spaces
    )
    return transitions.select(generator.integers(HELD_OUT, size=DRAWN))


def _squared_errors(reader: Reader, contexts: Sequence[Transitions], queries: Transitions) -> Array:
    """`(DRAWN, S + 1)` squared errors of next states and reward, means over contexts."""
    total = np.zeros((len(queries), queries.observations.shape[1] + 1))
    asked = torch.from_numpy(queries.observations)[None], torch.from_numpy(queries.actions)[None]
    for context in contexts:  # one by one: the largest need the memory
        with torch.no_grad():
            seen = reader.read(batch_transitions([context]))(*asked)
        predicted = np.column_stack(
            [seen.next_observations[0].numpy(), seen.rewards[0].numpy()]
        ).astype(np.float64)
        total += np.square(predicted - _stack_outcomes(queries))
    return np.asarray(total / len(contexts))


def _errors_without_model(contexts: Sequence[Transitions], queries: Transitions) -> Array:
    """`(S + 1,)` mean squared errors of a state that stays, and of the context's mean reward."""
    stays = np.square(_stack_outcomes(queries)[:, :-1] - queries.observations).mean(0)
    rewards = [
        np.square(queries.rewards - np.float64(context.rewards.mean())).mean()
        for context in contexts
    ]
    return np.append(stays, np.mean(rewards))


def _stack_outcomes(queries: Transitions) -> Array:
    """`(N, S + 1)` next states and rewards."""
    return np.column_stack([queries.next_observations, queries.rewards]).astype(np.float64)
