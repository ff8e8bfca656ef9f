"""The SLURM executor against stand-ins for SLURM's commands; tests/performance/slurm.sh runs it against SLURM."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from metabench.errors import MetabenchError
from metabench.runs.executors import slurm
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.executors.slurm import SlurmExecutor
from metabench.runs.kept.record import read_record
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

pytestmark = pytest.mark.slow


METHODS = Path(__file__).parents[1] / "small_methods.py"

COMMANDS = {
    "sbatch": """
cp "$1" "$STAND_IN/script"
[ -z "$REFUSED" ] || { echo "sbatch: error: $REFUSED" >&2; exit 1; }
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
for task in $(seq 0 "${last:-0}"); do
    name=7${last:+_$task}
    [ -z "$last" ] || export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task
    touch "$STAND_IN/queue/$name"
    run() { SLURM_JOB_ID=7 SLURM_PROCID=0 bash "$STAND_IN/script"; rm -f "$STAND_IN/queue/$1"; }
    run "$name" </dev/null >"$STAND_IN/$name.log" 2>&1 &
done
echo Submitted batch job 7
""",
    "srun": """
while [ "${1#--}" != "$1" ]; do case $1 in --output | --error) shift 2 ;; *) shift ;; esac done
[ -z "$LOST" ] || exit 1
exec "$@"
""",
    "squeue": 'ls "$STAND_IN/queue"\n',
    "scancel": 'rm -f "$STAND_IN/queue/$1"\n',
}


@pytest.fixture
def cluster(place, monkeypatch):
    """A folder in which the stand-ins keep what they were given, with their commands in the path."""
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    (place / "bin").mkdir()
    (place / "queue").mkdir()
    for name, text in COMMANDS.items():
        (place / "bin" / name).write_text(f"#!/bin/bash\n{text}")
        (place / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    for name, value in (("STAND_IN", str(place)), ("REFUSED", ""), ("LOST", "")):
        monkeypatch.setenv(name, value)
    return place


def plan(place, **changes):
    return plan_cells(RunRequest(["tiny"], ["medium"], [f"{METHODS}:Small"], results=place / "results", **changes))


def run(cells, executor):
    events = []
    return run_cells(cells, Settings(), executor=executor, listener=events.append), events


def test_cells_become_jobs_of_an_array(cluster):
    cells = plan(cluster, seeds=(0, 1), overrides={"updates": 3})
    outcome, _ = run(cells, SlurmExecutor(2, {"partition": "short", "time": 30}))
    assert outcome.finished == (0, 1), (cluster / "7_0.log").read_text()
    assert [read_record(cell.record_path).result.cell.seed for cell in cells] == [0, 1]
    script = (cluster / "script").read_text().splitlines()
    wanted = {"array=0-1%2", "partition=short", "time=30", "cpus-per-task=1", "requeue", "job-name=metabench"}
    assert {f"#SBATCH --{option}" for option in wanted} <= set(script)
    assert not list((cluster / "home" / "slurm").iterdir())


def test_a_second_submission_has_the_same_options(cluster, monkeypatch):
    monkeypatch.setenv("LOST", "yes")
    engine = slurm._SlurmEngine(cluster / "jobs", 2, {"time": 30}, Settings())
    for number in (0, 1):
        (cluster / "script").unlink(missing_ok=True)
        engine.submit({number: None})
        assert "#SBATCH --time=30" in (cluster / "script").read_text().splitlines()


def test_a_job_that_vanishes_fails_its_cell_and_its_log_is_named(cluster, monkeypatch):
    monkeypatch.setenv("LOST", "yes")
    monkeypatch.setattr(slurm, "GRACE_SECONDS", 0.5)
    (cell,) = plan(cluster)
    outcome, events = run([cell], SlurmExecutor())
    assert outcome.failed == (0,)
    assert events[-1].message.startswith("SLURM job 7 ended without a result; see ")
    assert json.loads(cell.failure_path.read_text())["error"] == events[-1].message


def test_what_sbatch_refuses_is_told(cluster, monkeypatch):
    monkeypatch.setenv("REFUSED", "invalid partition specified: nonsense")
    with pytest.raises(MetabenchError, match=r"sbatch refused the cells: .*invalid partition"):
        run(plan(cluster), SlurmExecutor(options={"partition": "nonsense"}))


@pytest.mark.parametrize(
    ("executor", "settings", "message"),
    [
        (
            SlurmExecutor(options={"time": "4:00:00"}),
            Settings(),
            "--slurm time=4:00:00: expected a whole number of minutes",
        ),
        (SlurmExecutor(), Settings(device="cuda:1"), "--device cuda:1: expected cpu or cuda: SLURM deals out the GPUs"),
    ],
)
def test_wrong_options_are_named(cluster, executor, settings, message):
    with pytest.raises(MetabenchError, match=message):
        executor.check(settings)


def test_a_machine_without_slurm_says_so(place, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MetabenchError, match="no command sbatch here; expected a machine of the cluster"):
        SlurmExecutor().check(Settings())
