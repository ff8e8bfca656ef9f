"""What evaluation measures: one row an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from metabench.system.strict_model import StrictModel

RETURN_DIGITS = 7
"""Significant digits of a return in a row: as many as the rewards of a simulator in single precision have."""

SplitName = Literal["test", "test-far", "validation"]
TrackName = Literal["zero-shot", "few-shot", "logged-shot"]


class Row(NamedTuple):
    """One episode in a task; a JSON array in this order.

    Attributes:
        task: the suite's task id.
        support: number of the support among R, from 0; for zero-shot, the number of the episode.
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


def round_return(value: float) -> float:
    """A return as rows hold it."""
    return float(f"{value:.{RETURN_DIGITS}g}")


def list_columns(rows: Sequence[Sequence[Any]]) -> dict[str, list[Any] | None]:
    """Rows as records on disk have them: a list a column; null where a suite has no such measure."""
    columns: dict[str, list[Any] | None] = {}
    for place, name in enumerate(Row._fields):
        values = [row[place] for row in rows]
        columns[name] = values if any(value is not None for value in values) or not rows else None
    return columns


def _read_columns(content: Any) -> Any:
    """The rows of `list_columns`; anything else is left for the validation of rows."""
    if not isinstance(content, Mapping):
        return content
    if set(content) != set(Row._fields):
        raise ValueError(f"expected the columns {', '.join(Row._fields)}")
    first = content["task"]
    if not isinstance(first, list):
        raise ValueError("task: expected a list")
    columns = [
        [None] * len(first) if content[name] is None else content[name] for name in Row._fields
    ]
    if not all(isinstance(column, list) and len(column) == len(first) for column in columns):
        raise ValueError("expected columns of one length")
    return [list(row) for row in zip(*columns, strict=True)]


class _ColumnsToo:
    """Rows may be written as columns: see `list_columns`."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        kinds: dict[str, Any] = {
            **{key: {"type": "integer"} for key in ("task", "support", "episode", "length")},
            "total_return": {"type": "number"},
        }
        columns = {
            name: {"type": "array", "items": kinds[name]}
            if name in kinds
            else {"type": ["array", "null"], "items": {"type": ["boolean", "null"]}}
            for name in Row._fields
        }
        whole = {
            "type": "object",
            "description": "the same rows, a list a column",
            "properties": columns,
            "required": list(columns),
            "additionalProperties": False,
        }
        return {"anyOf": [whole, handler(schema)]}


Rows: TypeAlias = Annotated[tuple[Row, ...], BeforeValidator(_read_columns), _ColumnsToo]


class Block(StrictModel):
    """All scored episodes of one split, track and number of shots."""

    split: SplitName
    track: TrackName
    shots: int = Field(ge=0)
    rows: Rows


class Collection(StrictModel):
    """The unscored support episodes of one split that the policy collected itself."""

    split: SplitName
    rows: Rows


def _is_absent(value: object) -> bool:
    return value is None


def _later(description: str) -> Any:
    """A count that records of protocol 1 have not; left out where it is absent, so that their digests hold."""
    return Field(default=None, ge=0, exclude_if=_is_absent, description=description)


class Counts(StrictModel):
    """What evaluation and adaptation used."""

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
