"""What evaluation measures: one row an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from metabench.system.strict_model import StrictModel

SplitName = Literal["test", "test-far", "validation"]
TrackName = Literal["zero-shot", "few-shot", "logged-shot"]


class Row(NamedTuple):
    """One episode in a task; a JSON array in this order.

    Attributes:
        task: the suite's task id.
        support: which of the R supports, from 0; for zero-shot, which episode.
        episode: which scored episode of this support, from 0; in a collection, which support episode.
        total_return: undiscounted sum of rewards, in the suite's own unit.
        length: steps until the episode ended, at most the horizon.
        success_any: success at any step; None where the suite has no success.
        success_last: success at the last step; None likewise.
    """

    task: int
    support: Annotated[int, Field(ge=0)]
    episode: Annotated[int, Field(ge=0)]
    total_return: float
    length: Annotated[int, Field(ge=1)]
    success_any: bool | None
    success_last: bool | None


class Block(StrictModel):
    """All scored episodes of one split, track and number of shots."""

    split: SplitName
    track: TrackName
    shots: int = Field(ge=0)
    rows: tuple[Row, ...]


class Collection(StrictModel):
    """The unscored support episodes of one split, which the policy acted itself."""

    split: SplitName
    rows: tuple[Row, ...]


def _is_absent(value: object) -> bool:
    return value is None


def _later(description: str) -> Any:
    """A count that records of protocol 1 have not; left out where it is absent, so that their digests hold."""
    return Field(default=None, ge=0, exclude_if=_is_absent, description=description)


class Counts(StrictModel):
    """What evaluating and adapting used."""

    scored_steps: int = Field(ge=0, description="real environment steps in scored episodes")
    support_steps: int = Field(
        ge=0, description="real environment steps in self-collected support episodes"
    )
    act_calls: int = Field(ge=0, description="calls of Policy.act, each for all lanes")
    adapt_calls: int = Field(ge=0)
    development_steps: int | None = _later(
        "real environment steps in validation tasks; they are in no other count"
    )
    replayed_lanes: int | None = _later("lanes that were acted again in other company")
    replayed_steps: int | None = _later("actions of these lanes that were compared; all were equal")


def sum_counts(counts: Sequence[Counts]) -> Counts:
    """What several evaluations used together."""
    return Counts(
        **{key: sum(getattr(count, key) or 0 for count in counts) for key in Counts.model_fields}
    )


class StageCost(StrictModel):
    """What one rollout used of a policy: one of the support episodes that it acts itself, or all scored episodes."""

    split: SplitName
    track: TrackName
    shots: int = Field(ge=0, description="support episodes that the policy was given")
    scored: bool = Field(description="false: a support episode")
    episodes: int = Field(ge=0)
    act_calls: int = Field(ge=0, description="each for all lanes")
    adapt_calls: int = Field(ge=0)
    seconds_acting: float = Field(ge=0)
    seconds_adapting: float = Field(ge=0)
