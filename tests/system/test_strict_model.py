"""What is stored is refused where it is not what the model says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metabench.system.strict_model import StrictModel


class Pair(StrictModel):
    one: float
    other: float = 0.0


@pytest.mark.parametrize("content", [{"one": 1.0, "othr": 2.0}, {"one": float("nan")}, {"one": float("inf")}, {}])
def test_unknown_keys_and_numbers_that_json_lacks_are_refused(content):
    with pytest.raises(ValidationError):
        Pair.model_validate(content)


def test_a_model_does_not_change():
    with pytest.raises(ValidationError):
        Pair(one=1.0).one = 2.0
