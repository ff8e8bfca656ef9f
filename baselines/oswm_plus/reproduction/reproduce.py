"""The experiment of the paper, repeated: policies from 1,000 transitions of six small environments.

The rows are of five kinds: real returns of the last policy learned in imagination, proxy losses, squared errors by
axis, errors by the size of the context, and how slow and how controllable the worlds of the priors and the suites are.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field, field_validator

from metabench import Config, Spaces, TrainingRun

from ...common.planning.rows import Reader
from .environments import MIXTURES, load_environment
from .errors import make_error_rows, make_size_rows
from .models import LARGEST, make_models
from .priors import PRIORS, make_prior_row, make_suite_row
from .published_numbers import STATE_AXES
from .returns import LEARNERS, Trial

STAGE = "reproduction"

QUICK = {
    "seeds": 1,
    "imagined_steps": 10_000,
    "episodes": 20,
    "error_contexts": 1,
    "context_sizes": "100,1000",
}
"""What `quick` makes of keys that are as they are by default."""

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "environments": tuple(STATE_AXES),
    "models": tuple(LARGEST),
    "contexts": tuple(MIXTURES),
    "error_contexts_of": tuple(MIXTURES),
    "learners": (*LEARNERS, "planner"),
}
"""Keys that hold names, and the names that there are."""


class OSWMReproduceConfig(Config):
    """What to repeat; names and numbers are separated by commas, and an empty list leaves that part out."""

    environments: str = Field(default=",".join(STATE_AXES), description="environments")
    models: str = Field(
        default="oswm-plus,oswm-published-small,ridge-model,gp-model",
        description="models to imagine in",
    )
    contexts: str = Field(
        default="random", description="contexts to learn from: random, expert, p-expert, mixture"
    )
    learners: str = Field(
        default="published,tuned",
        description="how policies are learned: published, tuned; or planner, instead",
    )
    oracles: Literal["none", "published", "both"] = Field(
        default="none", description="real resets and hand-written ends in imagination, as published"
    )
    best_by_real: bool = Field(
        default=False, description="tell also what the best policy by real return earns"
    )
    seeds: int = Field(default=5, ge=1, description="contexts and policies")
    context_rows: int = Field(default=1_000, ge=2, description="transitions in each context")
    imagined_steps: int = Field(default=50_000, ge=1, description="of each policy")
    episodes: int = Field(
        default=100, ge=1, description="real episodes that each last policy is judged by"
    )
    error_contexts_of: str = Field(
        default="random,expert,p-expert,mixture", description="contexts to measure errors with"
    )
    error_contexts: int = Field(default=8, ge=1, description="contexts that errors are means over")
    context_sizes: str = Field(
        default="100,300,1000,3000,10000", description="rows of contexts to measure errors with"
    )
    suites: str = Field(
        default="point-robot,cartpole-param,pendulum-param",
        description="suites that the priors are described beside, by their `medium` data, which is built if missing",
    )
    weights: str = Field(
        default="shipped",
        description="of oswm-plus: `shipped`, or a folder that `metabench pretrain` wrote",
    )
    published_weights: str = Field(
        default="",
        description="of oswm-published: a folder that `metabench pretrain` wrote, or the released file",
    )
    published_small_weights: str = Field(
        default="", description="of oswm-published-small: the same; empty: they are trained first"
    )
    networks_weights: str = Field(
        default="",
        description="of networks-only: what `metabench pretrain` wrote with momentum=false, or the released file",
    )
    networks_small_weights: str = Field(
        default="",
        description="of networks-only-small: the same of half the width; empty: trained first",
    )
    quick: bool = Field(
        default=False,
        description="one seed, a fifth of the imagined steps, few episodes and contexts",
    )

    @field_validator(*ALLOWED)
    @classmethod
    def _refuse_unknown(cls, value: str, info: Any) -> str:
        """Refuse unknown names."""
        allowed = ALLOWED[info.field_name]
        for name in split_names(value):
            if name not in allowed:
                nearest = difflib.get_close_matches(name, allowed, n=1, cutoff=0.4)
                hint = (
                    f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(allowed)}"
                )
                raise ValueError(f"unknown name {name!r}; {hint}")
        return value

    @field_validator("context_sizes")
    @classmethod
    def _refuse_other_than_sizes(cls, value: str) -> str:
        """Refuse what is not a size."""
        for size in split_names(value):
            if not size.isdecimal() or int(size) < 2:
                raise ValueError(
                    f"expected numbers of rows, at least 2, separated by commas; found {size!r}"
                )
        return value


class _Table:
    """The rows so far: what a stopped run goes on with."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put them back."""
        self.rows = list(state_dict["rows"])


def reproduce_oswm(config: OSWMReproduceConfig, run: TrainingRun) -> list[dict[str, Any]]:
    """Rows of the experiment's tables, the logged numbers beside ours; resumes what was stopped, row by row.

    Raises:
        MetabenchError: a model needs weights that are not given, or is too narrow for an environment.
        DataError: weights are missing or damaged.
    """
    if config.quick:
        usual = OSWMReproduceConfig()
        changes = {
            key: value
            for key, value in QUICK.items()
            if getattr(config, key) == getattr(usual, key)
        }
        config = config.model_copy(update=changes)
    weights = {
        "oswm-plus": config.weights,
        "oswm-published": config.published_weights,
        "oswm-published-small": config.published_small_weights,
        "networks-only": config.networks_weights,
        "networks-only-small": config.networks_small_weights,
    }
    makers = make_models(split_names(config.models), weights, run)
    parts = [
        *_plan_returns(config, makers, run),
        *_plan_errors(config, makers, run),
        *_plan_worlds(config, run),
    ]
    table = _Table()
    for number in run.steps(STAGE, len(parts), rows=table):
        table.rows.extend(parts[number - 1]())
    return table.rows


def split_names(value: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


_Makers = Mapping[str, Callable[[Spaces], Reader]]
_Part = Callable[[], list[dict[str, Any]]]


def _plan_returns(
    config: OSWMReproduceConfig, makers: _Makers, run: TrainingRun
) -> Iterable[_Part]:
    """One row each."""
    oracles = {"none": (False,), "published": (True,), "both": (False, True)}[config.oracles]
    for environment in split_names(config.environments):
        suite = load_environment(environment)
        for model, maker in makers.items():
            for context in split_names(config.contexts):
                for learner in split_names(config.learners):
                    for told in oracles if learner in LEARNERS else oracles[:1]:
                        trial = Trial(
                            suite=suite,
                            model=model,
                            context=context,
                            rows=config.context_rows,
                            learner=learner,
                            oracles=told,
                            selected=config.best_by_real,
                            steps=config.imagined_steps,
                            seeds=config.seeds,
                            episodes=config.episodes,
                        )
                        yield partial(_run_trial, trial, maker, run)


def _run_trial(
    trial: Trial, maker: Callable[[Spaces], Reader], run: TrainingRun
) -> list[dict[str, Any]]:
    return [trial.row(maker(trial.suite.spaces), LARGEST[trial.model], run)]


def _plan_errors(config: OSWMReproduceConfig, makers: _Makers, run: TrainingRun) -> Iterable[_Part]:
    """First those by kind of context, then those by its size."""
    suites = [load_environment(environment) for environment in split_names(config.environments)]
    for suite in suites:
        for model, maker in makers.items():
            reader = maker(suite.spaces)
            for kind in split_names(config.error_contexts_of):
                yield partial(
                    make_error_rows,
                    suite,
                    model,
                    reader,
                    LARGEST[model],
                    kind,
                    config.context_rows,
                    config.error_contexts,
                    run,
                )
    for suite in suites:
        for model, maker in makers.items():
            for size in split_names(config.context_sizes):
                reader = maker(suite.spaces)
                yield partial(
                    make_size_rows,
                    suite,
                    model,
                    reader,
                    LARGEST[model],
                    int(size),
                    config.seeds,
                    run,
                )


def _plan_worlds(config: OSWMReproduceConfig, run: TrainingRun) -> Iterable[_Part]:
    """The priors beside the suites."""
    suites = split_names(config.suites)
    for prior in PRIORS if suites else ():
        yield partial(make_prior_row, prior, run)
    for suite in suites:
        yield partial(make_suite_row, suite, run)
