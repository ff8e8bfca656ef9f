"""The base of what is stored as JSON or TOML: a typo in a file is an error, never a silent default."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys, and NaN and infinities: JSON has no numbers for them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
