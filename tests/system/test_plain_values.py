"""What records can hold: plain values, and NaN and infinities by name."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from metabench.errors import MetabenchError
from metabench.system.plain_values import make_plain, name_numbers, read_number


def test_kinds_of_numpy_and_torch_become_plain():
    given = {
        "integer": np.int64(3),
        "single": np.float32(0.5),
        "flag": np.bool_(True),
        "text": np.str_("a"),
        "array": np.arange(4).reshape(2, 2),
        "tensor": torch.tensor([1.5, 2.5]),
        "number": torch.tensor(2.0),
        "device": torch.device("cuda:1"),
        "kind": torch.float32,
        "path": Path("a/b"),
        "tuple": (1, None, False),
        3: {np.int64(1): []},
    }
    plain = make_plain(given, "x")
    assert plain == {
        "integer": 3,
        "single": 0.5,
        "flag": True,
        "text": "a",
        "array": [[0, 1], [2, 3]],
        "tensor": [1.5, 2.5],
        "number": 2.0,
        "device": "cuda:1",
        "kind": "torch.float32",
        "path": "a/b",
        "tuple": [1, None, False],
        "3": {"1": []},
    }
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, object()]}, r"x\.a\.1: a record cannot hold object"),
        ({"a": 1j}, r"x\.a: a record cannot hold complex"),
        ({(1, 2): 3}, r"x: a record cannot hold the key \(1, 2\)"),
        ({"f": len}, r"x\.f: a record cannot hold builtin_function_or_method; expected numbers, texts"),
    ],
)
def test_what_a_record_cannot_hold_is_named(value, problem):
    with pytest.raises(MetabenchError, match=problem):
        make_plain(value, "x")


def test_numbers_that_json_has_not_are_named_and_read_again():
    named = name_numbers({"a": [math.nan, math.inf, -math.inf, 1.0], "b": np.float64("-inf").item()})
    assert named == {"a": ["NaN", "Infinity", "-Infinity", 1.0], "b": "-Infinity"}
    assert [read_number(value) for value in named["a"][1:]] == [math.inf, -math.inf, 1.0]
    assert math.isnan(read_number("NaN"))
    assert [read_number(value) for value in ("nan", "policy", None, True, [1])] == [None] * 5
