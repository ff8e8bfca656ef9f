"""What evaluation measures: one row an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from metabench.system.strict_model import StrictModel

SplitName = Literal["test", "test-far"]
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


class Counts(StrictModel):
    """What evaluating and adapting used."""

    scored_steps: int = Field(ge=0, description="real environment steps in scored episodes")
    support_steps: int = Field(
        ge=0, description="real environment steps in self-collected support episodes"
    )
    act_calls: int = Field(ge=0, description="calls of Policy.act, each for all lanes")
    adapt_calls: int = Field(ge=0)


def sum_counts(counts: Sequence[Counts]) -> Counts:
    """What several evaluations used together."""
    return Counts(
        **{key: sum(getattr(count, key) for count in counts) for key in Counts.model_fields}
    )
