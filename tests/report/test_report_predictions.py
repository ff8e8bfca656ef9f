"""The part of a report that is of a world model by itself."""

import numpy as np

from metabench.evaluation.prediction.errors import compute_error
from metabench.report import write_report
from metabench.runs.kept.record import write_record

from ..synthetic_predictions import make_predictions
from ..synthetic_records import WIDE, resealed
from .test_report import Page


def test_errors_are_a_table_and_absent_where_nothing_was_predicted(make, tmp_path):
    record = make(method="oswm-plus", suite=WIDE)
    predictions = make_predictions(0.4, np.random.default_rng(0), growth=1.5, learning=0.8, inside=(0.41, 0.83))
    pages = []
    for predicted in ((predictions,), None):
        write_record(resealed(record, predictions=predicted), tmp_path / "0.json")
        pages.append(Page(write_report(tmp_path / "0.json", tmp_path / "report.html").path))
    page, without = pages
    for what in ("observations", "rewards"):
        for shots in (0, 1, 3):
            errors = [f"{compute_error(predictions, what, shots, steps):.2f}" for steps in (1, 5, 15)]
            assert "".join([what, str(shots), *errors, "41", "83"]) in page.text
    assert f"test: {len(predictions.tasks)} tasks" in page.text
    assert ("href", "#predictions") in page.attributes
    assert ("href", "#predictions") not in without.attributes
