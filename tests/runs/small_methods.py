"""Methods for tests of runs: unpublished code that is named by its file."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from metabench import Config, DataError, Method, Policy, load_state, load_suite, save_state


class SmallConfig(Config):
    """Configuration of `Small`."""

    updates: int = Field(default=12, ge=1, description="updates of each of two stages")
    learning_rate: float = Field(default=0.05, gt=0, description="of plain gradient descent with momentum")


class SmallPolicy(Policy):
    """Linear in the observation, shifted by the support's return, with a little noise of the lane's own."""

    def __init__(self, weights, spaces):
        self.weights, self.spaces = weights, spaces

    def reset(self, groups, seeds):
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.groups, self.shift = list(groups), {}

    def adapt(self, support):
        self.shift = {group: episodes[-1].total_return / 1000 for group, episodes in support.items()}

    def act(self, step):
        noise = np.stack([generator.normal(size=2) for generator in self.generators]) * 0.01
        shift = np.array([[self.shift.get(group, 0.0)] for group in self.groups])
        return np.clip(step.observation @ self.weights + noise + shift, -0.1, 0.1)

    def save(self, folder):
        save_state({"weights": self.weights}, folder / "weights")

    def parameter_count(self):
        return self.weights.size


class Small(Method):
    """Two short stages of training with dropout."""

    name = "small"
    config_class = SmallConfig
    discrete_actions = False

    def train(self, data, run):
        run.torch_seed("initialisation")
        model = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(2, 2, bias=False))
        optimizer = torch.optim.SGD(model.parameters(), lr=self.config.learning_rate, momentum=0.9)
        for stage in ("first", "second"):
            for update in run.steps(stage, self.config.updates, model=model, optimizer=optimizer):
                self.before_update(stage, update)
                batch = data.sample_windows(run.generator(stage, update), 8, 5)
                observations = torch.from_numpy(batch.observations)
                loss = (model(observations) - torch.from_numpy(batch.actions)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log(loss=loss.item())
        run.summary["norm"] = float(model[1].weight.detach().norm())
        return SmallPolicy(model[1].weight.detach().numpy().T.copy(), data.spaces)

    def before_update(self, stage, update):
        del stage, update

    def load(self, folder, spaces):
        return SmallPolicy(load_state(folder / "weights")["weights"], spaces)


class Killed(Small):
    """Kills its process at an update of the second stage, if it is told to."""

    def before_update(self, stage, update):
        if stage == "second" and str(update) == os.environ.get("KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)


class Slow(Small):
    """Takes a while."""

    def before_update(self, stage, update):
        time.sleep(float(os.environ.get("SLEEP", "0")))


class Counting(Small):
    """Counts the threads that a simulator starts."""

    name = "counting"

    def train(self, data, run):
        policy = super().train(data, run)
        threads = Path("/proc/self/task")
        before = len(list(threads.iterdir()))
        environment = load_suite("cheetah-vel").environment()
        run.summary["threads"] = len(list(threads.iterdir())) - before
        del environment
        return policy


class Failing(Small):
    """Fails at an update, if it is told to."""

    name = "failing"

    def before_update(self, stage, update):
        if os.environ.get("FAIL") and update == 3:
            raise RuntimeError("the loss went\naway")


class NotANumber(Small):
    """Logs a loss that is none at one update, and sums up with kinds of numbers of its own."""

    name = "not-a-number"

    def train(self, data, run):
        policy = super().train(data, run)
        run.log(loss=float("nan"), worst=np.float32("-inf"), best=torch.tensor(float("inf")))
        run.summary["bound"] = float("-inf")
        run.summary.update(count=np.int64(3), device=torch.device("cpu"), errors=np.array([0.5, np.nan]))
        return policy


class LogsText(Small):
    """Logs what is no number, at its first update."""

    name = "logs-text"

    def train(self, data, run):
        for _ in run.steps("first", 1):
            run.log(loss="low")


class SumsUpObjects(Small):
    """Puts into its summary what no record can hold."""

    name = "sums-up-objects"

    def train(self, data, run):
        run.summary["model"] = {"layers": [object()]}


class Returnless(Small):
    """Forgets to return its policy."""

    name = "returnless"

    def train(self, data, run):
        super().train(data, run)


class Unloadable(Small):
    """Cannot read what it wrote."""

    name = "unloadable"

    def load(self, folder, spaces):
        raise DataError(f"{folder}: not today")


class OutOfBounds(Small):
    """Acts out of bounds."""

    name = "out-of-bounds"

    def load(self, folder, spaces):
        policy = super().load(folder, spaces)
        policy.act = lambda step: np.full(step.previous_action.shape, 5.0)
        return policy
