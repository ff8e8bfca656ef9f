"""A method for tests: walks by a fixed rule, and offers pictures."""

import numpy as np

from metabench import (
    Config,
    HeatMap,
    ImageStrip,
    LinePlot,
    Method,
    MethodError,
    Policy,
    Series,
    load_state,
    save_state,
)


class PicturedConfig(Config):
    offer: str = "all"


class PicturedPolicy(Policy):
    def __init__(self, offer, spaces):
        self.offer, self.spaces = offer, spaces

    def reset(self, groups, seeds):
        self.lanes, self.episodes = len(groups), 0

    def adapt(self, support):
        self.episodes = len(support[0])

    def act(self, step):
        return self.spaces.actions_from_features(np.full((self.lanes, self.spaces.action_dim), 0.1 * self.episodes))

    def pictures(self, data, generator):
        if self.offer == "mistake":
            raise ZeroDivisionError("no\npictures")
        if self.offer == "nonsense":
            return ["a string"]
        if self.offer == "unfit":
            raise MethodError("nothing to see")
        x, caption = np.arange(1.0, 6.0), f"{data.num_episodes} trajectories"
        return [
            LinePlot("Lines <b>bold</b>", {"panel": [Series("s", x, x * generator.random(), x - 1, x + 1)]}),
            HeatMap("Map", np.array([[0.0, 0.5], [-1.0, np.nan]]), "row", "column", (), [("a", 1), ("b", 1)]),
            ImageStrip("Strip", np.full((1, 2, 4, 4), 200, np.uint8), ["real"], ["1", "2"], caption),
        ]

    def save(self, folder):
        save_state({"offer": self.offer}, folder / "policy")


class Pictured(Method):
    name = "pictured"
    config_class = PicturedConfig

    def train(self, data, run):
        run.log(loss=1.0)
        return PicturedPolicy(self.config.offer, data.spaces)

    def load(self, folder, spaces):
        return PicturedPolicy(load_state(folder / "policy")["offer"], spaces)
