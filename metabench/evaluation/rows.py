"""What evaluation measures: one row an episode."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

SplitName = Literal["test", "test-far"]
TrackName = Literal["zero-shot", "few-shot", "logged-shot"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Row(NamedTuple):
    """One episode in a task; a JSON array in this order."""

    task: int
    support: Annotated[int, Field(ge=0)]  # which of the R supports; for zero-shot, which episode
    episode: Annotated[int, Field(ge=0)]  # which scored episode of this support; in a collection, which support episode
    total_return: float
    length: Annotated[int, Field(ge=1)]
    success_any: bool | None
    success_last: bool | None


class Block(_Strict):
    """All scored episodes of one split, track and number of shots."""

    split: SplitName
    track: TrackName
    shots: int = Field(ge=0)
    rows: tuple[Row, ...]


class Collection(_Strict):
    """The unscored support episodes of one split, which the policy acted itself."""

    split: SplitName
    rows: tuple[Row, ...]


class Counts(_Strict):
    """What evaluating and adapting used."""

    scored_steps: int = Field(ge=0, description="real environment steps in scored episodes")
    support_steps: int = Field(ge=0, description="real environment steps in self-collected support episodes")
    act_calls: int = Field(ge=0, description="calls of Policy.act, each for all lanes")
    adapt_calls: int = Field(ge=0)
