"""What users may ask of an executor."""

from __future__ import annotations

import pytest

from metabench.errors import MetabenchError
from metabench.runs.execute import Settings
from metabench.runs.executors.choice import Engine
from metabench.runs.executors.local import LocalExecutor
from metabench.runs.executors.ray import RayExecutor
from metabench.runs.executors.slurm import SlurmExecutor


def test_each_executor_by_its_name():
    assert Engine().executor("cpu") == LocalExecutor(1)
    assert Engine(workers=3).executor("cuda:1") == LocalExecutor(3)
    assert Engine("ray", 2, 4, "10.0.0.1:6379").executor("cuda") == RayExecutor("10.0.0.1:6379", 2, 4)
    assert Engine("slurm", slurm={"partition": "gpu"}).executor("cpu") == SlurmExecutor(None, {"partition": "gpu"})


@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        (Engine("slrum"), "cpu", "unknown executor 'slrum'; did you mean 'slurm'?"),
        (Engine(address="head:1"), "cpu", "--address is for --executor ray, not local"),
        (Engine("ray", slurm={"mem": "8G"}), "cpu", "--slurm is for --executor slurm, not ray"),
        (Engine("slurm", cells_per_gpu=2), "cuda", "--cells-per-gpu is for --executor local or ray, not slurm"),
        (
            Engine(cells_per_gpu=2),
            "cuda:1",
            "--cells-per-gpu needs --device cuda, which stands for all GPUs, not 'cuda:1'",
        ),
    ],
)
def test_options_that_do_not_belong_are_named(engine, device, message):
    with pytest.raises(MetabenchError) as caught:
        engine.executor(device)
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
    engine = Engine(workers=workers, cells_per_gpu=cells)
    if isinstance(expected, str):
        with pytest.raises(MetabenchError, match=expected):
            engine.executor("cuda")
    else:
        assert engine.executor("cuda") == expected


def test_ray_deals_out_the_gpus_itself_and_may_be_missing(monkeypatch):
    with pytest.raises(MetabenchError, match="--device cuda:1: expected cpu or cuda: Ray deals out the GPUs itself"):
        monkeypatch.setattr("metabench.system.extras.find_spec", lambda name: object())
        RayExecutor().check(Settings(device="cuda:1"))
    monkeypatch.setattr("metabench.system.extras.find_spec", lambda name: None)
    with pytest.raises(MetabenchError, match=r"--executor ray needs the package ray: pip install 'metabench\[ray\]'"):
        RayExecutor().check(Settings())
