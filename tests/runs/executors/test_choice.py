"""What users may ask of an executor."""

from __future__ import annotations

import pytest

from metabench.errors import MetabenchError
from metabench.runs.executors.choice import choose_executor
from metabench.runs.executors.local import LocalExecutor
from metabench.runs.executors.ray import RayExecutor
from metabench.runs.executors.slurm import SlurmExecutor
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings


def ask(**options):
    return RunRequest(["tiny"], ["medium"], ["random"], **options)


def test_each_executor_by_its_name():
    assert choose_executor(ask()) == LocalExecutor(1)
    assert choose_executor(ask(workers=3, device="cuda:1")) == LocalExecutor(3)
    ray = ask(executor="ray", workers=2, cells_per_gpu=4, address="10.0.0.1:6379", device="cuda")
    assert choose_executor(ray) == RayExecutor("10.0.0.1:6379", 2, 4)
    assert choose_executor(ask(executor="slurm", slurm={"mem": "8G"})) == SlurmExecutor(None, {"mem": "8G"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "slrum"}, "unknown executor 'slrum'; did you mean 'slurm'?"),
        ({"address": "head:1"}, "--address is for --executor ray, not local"),
        ({"executor": "ray", "slurm": {"mem": "8G"}}, "--slurm is for --executor slurm, not ray"),
        (
            {"executor": "slurm", "cells_per_gpu": 2, "device": "cuda"},
            "--cells-per-gpu is for --executor local or ray, not slurm",
        ),
        (
            {"cells_per_gpu": 2, "device": "cuda:1"},
            "--cells-per-gpu needs --device cuda, which stands for all GPUs, not 'cuda:1'",
        ),
    ],
)
def test_options_that_do_not_belong_are_named(options, message):
    with pytest.raises(MetabenchError) as caught:
        choose_executor(ask(**options))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("gpus", "cells", "workers", "expected"),
    [
        (2, 3, None, LocalExecutor(6, ("cuda:0", "cuda:1"))),
        (2, 3, 4, LocalExecutor(4, ("cuda:0", "cuda:1"))),
        (1, 1, 1, LocalExecutor(1, ("cuda:0",))),
        (2, 2, 5, "--workers 5: 2 GPUs with 2 cells each hold 4 cells"),
        (0, 2, None, "--cells-per-gpu: torch finds no GPU here"),
    ],
)
def test_cells_share_gpus(monkeypatch, gpus, cells, workers, expected):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    request = ask(workers=workers, cells_per_gpu=cells, device="cuda")
    if isinstance(expected, str):
        with pytest.raises(MetabenchError, match=expected):
            choose_executor(request)
    else:
        assert choose_executor(request) == expected


def test_ray_deals_out_the_gpus_itself_and_may_be_missing(monkeypatch):
    with pytest.raises(MetabenchError, match="--device cuda:1: expected cpu or cuda: Ray deals out the GPUs itself"):
        monkeypatch.setattr("metabench.system.extras.find_spec", lambda name: object())
        RayExecutor().check(Settings(device="cuda:1"))
    monkeypatch.setattr("metabench.system.extras.find_spec", lambda name: None)
    with pytest.raises(MetabenchError, match=r"--executor ray needs the package ray: pip install 'ray>="):
        RayExecutor().check(Settings())
