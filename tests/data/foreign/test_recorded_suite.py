"""A suite that is only data: no environment of its tasks is known, and world models are judged all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from metabench import MetabenchError, build_data, compute_error, load_suite
from metabench.data.foreign.suite_from_minari import suite_from_minari
from metabench.runs.execute_cell import execute_cell
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [20, 3])
def test_recorded_tasks_without_an_environment_are_predicted(
    record_random: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, episodes: int
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"lost/g{g}-v0" for g in (8, 9, 10, 11)]
    for name, g in zip(names, (8.0, 9.0, 10.0, 11.0), strict=True):
        record_random(name, "Pendulum-v1", episodes=episodes, g=g)
    folder = suite_from_minari(names[:3], names[3:], name="lost")
    lines = (folder / "suite.toml").read_text().splitlines()
    tasks = iter(names)
    kept = [
        f'parameters = {{ recorded = "{next(tasks)}" }}' if line.startswith("parameters = ") else line for line in lines
    ]
    (folder / "suite.toml").write_text("\n".join(kept))
    suite = load_suite(folder.resolve())
    assert {tuple(task.parameters) for task in suite.tasks} == {("recorded",)}
    request = RunRequest([suite], ["medium"], ["ridge-model"], "tiny", results=tmp_path, tracks=["prediction"])
    with pytest.raises(MetabenchError, match="no environment"):
        plan_cells(replace(request, tracks=["zero-shot"]))
    with pytest.raises(
        MetabenchError, match=r"'random' does not predict, and nobody can act in these tasks: .*recorded"
    ):
        plan_cells(replace(request, methods=["random"], tracks=None))
    build_data(suite, "medium")
    (planned,) = plan_cells(request)
    predictions = execute_cell(planned, Settings(), lambda *told: None).result.predictions
    assert plan_cells(request)[0].state == "finished"
    if episodes == 3:
        assert predictions == (), "all of them are support"
        return
    (found,) = predictions
    assert found.behaviours == ("medium",)
    errors = [compute_error(found, "observations", shots, 1) for shots in (0, 3)]
    assert max(errors) < 0.9, "a line fitted to some steps knows something of where the next one leads"
