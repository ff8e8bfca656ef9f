"""A method whose policy does nothing, for measuring what lies around a policy."""

from __future__ import annotations

from metabench import Method, Policy


class StillPolicy(Policy):
    """Acts zeros."""

    def __init__(self, spaces):
        self.spaces = spaces

    def reset(self, groups, seeds):
        self.lanes = len(groups)

    def act(self, step):
        return self.spaces.null_actions(self.lanes)

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)


class Still(Method):
    """Needs no training."""

    name = "still"
    trains = False

    def train(self, data, run):
        return StillPolicy(data.spaces)

    def load(self, folder, spaces):
        return StillPolicy(spaces)
