"""Pictures that a policy offers: what fits together is taken, what does not is named."""

import numpy as np
import pytest

from metabench import HeatMap, ImageStrip, LinePlot, Series
from metabench.errors import MethodError

X = np.arange(3.0)
IMAGES = np.zeros((2, 3, 4, 5), np.uint8)


def plot(*lines, **more):
    return LinePlot("curves", {"reward": lines}, **more)


def test_whole_pictures_are_taken():
    plot(Series("real", X, np.array([1.0, np.nan, 2.0])), Series("said", X, X, X - 1, X + 1), marks={"here": 1.5})
    HeatMap("map", np.eye(3), column_groups=[("a", 1), ("b", 2)], row_groups=[("all", 3)])
    ImageStrip("frames", IMAGES, ["real", "imagined"], ["1", "2", "3"])
    ImageStrip("colours", np.zeros((1, 2, 4, 5, 3), np.uint8), ["real"])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: LinePlot("curves", {}), "at least one panel"),
        (lambda: plot(), "panel 'reward': expected at least one series"),
        (lambda: plot(Series("real", X, X[:2])), r"series 'real': y must be \(3,\) as x is, not \(2,\)"),
        (lambda: plot(Series("real", X[:0], X[:0])), r"x must be \(n,\), not \(0,\)"),
        (lambda: plot(Series("real", X, X, low=X)), "give both low and high"),
        (lambda: plot(Series("real", X, X, X, X[:1])), r"high must be \(3,\)"),
        (lambda: plot(Series("real", X, np.array([1.0, np.inf, 0.0]))), "y holds infinite numbers"),
        (lambda: plot(Series("real", np.array([0.0, np.nan, 1.0]), X)), "x must be finite"),
        (lambda: plot(Series("real", X, X), marks={"here": np.nan}), "marks must be finite"),
        (lambda: HeatMap("map", X), r"values must be \(rows, columns\), not \(3,\)"),
        (lambda: HeatMap("map", np.zeros((0, 3))), r"not \(0, 3\)"),
        (lambda: HeatMap("map", np.full((2, 2), np.inf)), "infinite"),
        (lambda: HeatMap("map", np.eye(3), column_groups=[("a", 2)]), "column_groups cover 2 of 3 columns"),
        (lambda: HeatMap("map", np.eye(3), row_groups=[("a", 3), ("b", 0)]), "row_groups cover 3 of 3 rows"),
        (lambda: ImageStrip("frames", IMAGES[0], ["a"]), r"images must be \(rows, columns, height, width\[, 3\]\)"),
        (lambda: ImageStrip("frames", IMAGES / 255, ["a", "b"]), "images must be uint8, not float64"),
        (lambda: ImageStrip("frames", IMAGES, ["a"]), "1 names of 2 rows"),
        (lambda: ImageStrip("frames", IMAGES, ["a", "b"], ["1"]), "1 names of 3 columns"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(make, problem):
    with pytest.raises(MethodError, match=problem) as caught:
        make()
    assert str(caught.value).startswith("picture '")
    assert "\n" not in str(caught.value)
