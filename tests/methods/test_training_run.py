"""A training run: resuming gives what an uninterrupted run gives, to the last bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from metabench import DataError, TrainingRun
from metabench.errors import CancelledError

FIRST, SECOND = 7, 5


def train(run: TrainingRun) -> torch.nn.Module:
    """Two stages with dropout and momentum; the second begins from drawn weights and uses what lies between them."""
    run.torch_seed("initialisation")
    encoder = fit(run, "encoder", FIRST, torch.nn.Linear(3, 3), 1.0)
    run.log(between=encoder.weight.detach().sum().item())
    run.summary["between"] = encoder.weight.detach().sum().item()
    return fit(run, "policy", SECOND, torch.nn.Linear(3, 1), run.summary["between"])


def fit(run: TrainingRun, stage: str, updates: int, network: torch.nn.Linear, scale: float) -> torch.nn.Linear:
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for update in run.steps(stage, updates, network=network, optimizer=optimizer):
        inputs = torch.as_tensor(run.generator(stage, update).standard_normal((8, 3)), dtype=torch.float32)
        loss = (torch.nn.functional.dropout(network(inputs), 0.5) - scale).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % 2 == 0:
            run.log(loss=loss.item())
            run.summary[stage] = loss.item()
    return network


def weights(network: torch.nn.Module) -> list:
    return [tensor.tolist() for tensor in network.state_dict().values()]


def cancel_after(calls: int) -> Callable[[], bool]:
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= calls


@pytest.mark.parametrize("stop", range(1, FIRST + SECOND + 1))
def test_a_run_cancelled_anywhere_and_resumed_equals_an_uninterrupted_one(stop: int, tmp_path: Path) -> None:
    whole = TrainingRun(3)
    expected = train(whole)
    with pytest.raises(CancelledError, match=f"after update {stop if stop <= FIRST else stop - FIRST} of"):
        train(TrainingRun(3, folder=tmp_path, cancelled=cancel_after(stop)))
    torch.manual_seed(stop)  # what the resuming process happens to have drawn must not matter
    resumed = TrainingRun(3, folder=tmp_path)
    assert weights(train(resumed)) == weights(expected)
    assert resumed.curve == whole.curve
    assert resumed.summary == whole.summary


@pytest.mark.parametrize("stop", [3, FIRST + 3])
def test_a_run_killed_between_checkpoints_goes_back_to_the_last(stop: int, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    done: list[tuple[str, int]] = []

    def kill_at(stage: str, update: int, total: int, metrics: object) -> None:
        done.append((stage, update))
        if len(done) == stop:
            raise Killed

    with pytest.raises(Killed):
        train(TrainingRun(3, folder=tmp_path, checkpoint_seconds=0.0, progress=kill_at))
    again: list[tuple[str, int]] = []
    resumed = TrainingRun(3, folder=tmp_path, progress=lambda stage, update, *_: again.append((stage, update)))
    whole = TrainingRun(3)
    assert weights(train(resumed)) == weights(train(whole))
    assert resumed.curve == whole.curve
    assert again[0] == done[-1]  # the update that was killed before its checkpoint, and none before it
    assert len(again) == FIRST + SECOND - stop + 1


def test_a_finished_run_resumed_does_nothing_again(tmp_path: Path) -> None:
    first = TrainingRun(3, folder=tmp_path)
    expected = train(first)
    steps: list[object] = []
    second = TrainingRun(3, folder=tmp_path, progress=lambda *call: steps.append(call))
    assert weights(train(second)) == weights(expected)
    assert second.curve == first.curve
    assert steps == []


def test_seeds_and_purposes_give_streams_of_their_own() -> None:
    draw = {
        (seed, purpose): float(TrainingRun(seed).generator(*purpose).random())
        for seed in (0, 1)
        for purpose in (("a",), ("a", 1), ("a", 2), ("a", "1"), (1, "a"))
    }
    assert len(set(draw.values())) == len(draw)
    assert draw[0, ("a", 1)] == float(TrainingRun(0).generator("a", 1).random())


def test_progress_hears_of_every_update_with_the_latest_metrics() -> None:
    heard = []
    train(TrainingRun(0, progress=lambda stage, done, total, metrics: heard.append((stage, done, total, set(metrics)))))
    assert heard[0] == ("encoder", 1, FIRST, set())
    assert heard[1] == ("encoder", 2, FIRST, {"loss"})
    assert heard[FIRST] == ("policy", 1, SECOND, set())
    assert len(heard) == FIRST + SECOND


def test_a_checkpoint_of_other_parts_is_refused(tmp_path: Path) -> None:
    fit(TrainingRun(0, folder=tmp_path), "policy", 2, torch.nn.Linear(3, 1), 1.0)
    run = TrainingRun(0, folder=tmp_path)
    with pytest.raises(DataError, match=r"expected the parts model; found network, optimizer"):
        next(run.steps("policy", 4, model=torch.nn.Linear(3, 1)))
    with pytest.raises(DataError, match=r"network does not fit"):
        fit(TrainingRun(0, folder=tmp_path), "policy", 4, torch.nn.Linear(3, 2), 1.0)


def test_without_a_folder_nothing_is_kept() -> None:
    run = TrainingRun(0)
    run.checkpoint("x", {"n": np.ones(2)})
    assert run.restore("x") is None


def test_a_method_with_its_own_loop_can_keep_and_restore(tmp_path: Path) -> None:
    run = TrainingRun(0, folder=tmp_path)
    run.log(loss=1.0)
    run.checkpoint("own", {"n": 3})
    run.log(loss=2.0)
    again = TrainingRun(0, folder=tmp_path)
    assert again.restore("own") == {"n": 3}
    assert again.curve == [{"stage": "", "update": 0, "loss": 1.0}]


def test_a_branch_is_a_training_of_its_own_that_stops_and_goes_on_with_the_whole(tmp_path: Path) -> None:
    expected = TrainingRun(5)
    network = train(expected)
    whole = TrainingRun(0, folder=tmp_path, cancelled=cancel_after(FIRST + 2))
    with pytest.raises(CancelledError):
        train(whole.branch("other", 5))
    assert whole.curve == []
    done = TrainingRun(0, folder=tmp_path, cancelled=cancel_after(SECOND - 1)).branch("other", 5)
    assert weights(train(done)) == weights(network)  # only what was left is trained, or it would be stopped again
    assert done.curve == expected.curve
