"""Methods that say what they were given: with and without the flags that ask for labels and for an order."""

from __future__ import annotations

import numpy as np

from metabench import Config, DataError, Method, Policy, load_state, save_state


class MeanPolicy(Policy):
    """One action, whatever it sees."""

    def __init__(self, features, spaces):
        self.features, self.spaces = features, spaces

    def reset(self, groups, seeds):
        self.lanes = len(groups)

    def act(self, step):
        return np.repeat(self.spaces.actions_from_features(self.features[None]), self.lanes, axis=0)

    def save(self, folder):
        save_state({"features": self.features, "seen": self.spaces.observation_dim}, folder / "policy")


class Plain(Method):
    """Acts as the logged actions are in the mean, and notes what else it was given."""

    name = "plain"
    config_class = Config

    def train(self, data, run):
        run.log(episodes=data.num_episodes)
        run.summary["has_labels"] = data.columns.expert_actions is not None
        run.summary["has_stages"] = data.columns.stages is not None
        return MeanPolicy(self.choose(data).mean(axis=0), data.spaces)

    def choose(self, data):
        return data.action_features

    def load(self, folder, spaces):
        state = load_state(folder / "policy")
        if state["seen"] != spaces.observation_dim:
            raise DataError(f"{folder}: expected {state['seen']} observation coordinates")
        return MeanPolicy(state["features"], spaces)


class Asks(Plain):
    """Asks for labels without having said so."""

    name = "asks"

    def train(self, data, run):
        try:
            data.gather_expert_actions(data.transitions(np.arange(3)))
        except DataError as error:
            run.summary["refused"] = str(error)
        type(self).uses_expert_labels = True  # too late
        return super().train(data, run)


class Labelled(Plain):
    """Acts as the expert does in the mean."""

    name = "labelled"
    uses_expert_labels = True

    def choose(self, data):
        return data.gather_expert_actions(data.transitions(np.arange(data.num_transitions)))


class Ordered(Plain):
    """Acts as the last stage does in the mean."""

    name = "ordered"
    uses_stages = True

    def choose(self, data):
        return data.action_features[data.stages[data.transition_episodes] == data.stages.max()]


class Both(Labelled):
    """Asks for what no dataset of the tiny suites has."""

    name = "both"
    uses_stages = True
