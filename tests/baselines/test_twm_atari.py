"""TWM's experiment on Atari with a made-up game: replay, collecting, schedule, losses, resuming, bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.reproduction import replay as replays
from metabench_baselines.twm_plus.reproduction.atari import GameOutcome
from metabench_baselines.twm_plus.reproduction.online import Schedule, pair_steps, update_on_sequences
from metabench_baselines.twm_plus.reproduction.play import Collector, play_games
from metabench_baselines.twm_plus.reproduction.published_numbers import AGGREGATES
from metabench_baselines.twm_plus.reproduction.replay import Replay
from metabench_baselines.twm_plus.reproduction.reproduce import TWMReproduceConfig, reproduce_twm
from metabench_baselines.twm_plus.reproduction.sizes import SIZES

from metabench import DataError, Spaces, TrainingRun

TINY = SIZES["S"].model_copy(
    update={
        "latent_groups": 4,
        "latent_classes": 4,
        "observation_widths": (16,),
        "width": 16,
        "heads": 2,
        "feedforward": 16,
        "layers": 1,
        "tasks_per_update": 2,
        "window": 4,
        "horizon": 2,
        "memory": 4,
        "observation_batch": 4,
        "starts": 4,
        "log_interval": 1,
    }
)
SETTING = {"steps": 40, "random_share": 0.3, "updates_per_step": 0.15, "episodes": 2, "interval_episodes": 1}


class Dot:
    """A dot runs along a line; action 1 pays; a life is lost every 5 steps, a game is over after 3 lives."""

    name, num_actions = "Dot", 2

    def __init__(self, name: str = "Dot", seed: int = 0) -> None:
        self.place, self.games, self.shift = 0, 0, seed % 7

    def reset(self, no_ops: int = 0) -> np.ndarray:
        self.place, self.games = no_ops % 5, self.games + 1
        return self.frame()

    def step(self, action: int) -> GameOutcome:
        self.place += 1
        over = self.place == 15
        return GameOutcome(self.frame(), float(action) * 0.5, self.place % 5 == 0, over)

    def frame(self) -> np.ndarray:
        frame = np.zeros((64, 64), np.uint8)
        frame[8 * self.shift : 8 * self.shift + 8, 4 * self.place : 4 * self.place + 4] = 200
        frame[0, self.games % 64] = 255
        return frame

    def state_dict(self) -> dict[str, int]:
        return {"place": self.place, "games": self.games}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.place, self.games = state_dict["place"], state_dict["games"]


def rows_of(run: TrainingRun, game: type = Dot, **changes: object) -> list[dict[str, object]]:
    config = TWMReproduceConfig(size="S", **{**SETTING, **changes})
    return reproduce_twm(config, run, make_game=game, sizes={"S": TINY})


def played(steps: int, run: TrainingRun | None = None) -> tuple[Collector, list[np.ndarray]]:
    """A replay of the fake game, and what the player saw."""
    run = run or TrainingRun(0)
    collector = Collector(Dot(), Replay(steps, 2, run, "Dot"), run, 0)
    seen = []
    for step in range(steps):
        seen.append(collector.observation())
        collector.step(step % 2)
    return collector, [*seen, collector.observation()]


def test_stacks_are_those_of_a_player_with_a_memory_of_four_frames() -> None:
    collector, seen = played(40)
    game = Dot()
    stack = [game.reset()] * 4
    for step, observation in enumerate(seen):
        np.testing.assert_array_equal(observation, np.stack(stack))
        outcome = game.step(step % 2)
        if outcome.over or outcome.life_lost:
            stack = [game.reset() if outcome.over else outcome.frame] * 4
        else:
            stack = [*stack[1:], outcome.frame]
    np.testing.assert_array_equal(collector.replay.stack_frames(np.arange(41)), np.stack(seen))


def test_sequences_know_where_lives_end() -> None:
    collector, seen = played(40)
    replay = collector.replay
    steps = replay.gather_sequences(np.array([0, 12]), 8, "cpu")
    np.testing.assert_array_equal(steps.observations[1], np.stack(seen[12:21]))
    assert steps.observations.dtype == torch.uint8
    assert steps.ended[0].tolist() == [number in (4,) for number in range(8)]
    assert steps.episodes.tolist() == [[0] * 5 + [1] * 3, [0] * 3 + [1] * 5]  # steps 14 and 19 end lives
    assert torch.equal(steps.terminated, steps.ended)
    assert torch.equal(steps.next_known, ~steps.ended)
    np.testing.assert_array_equal(steps.rewards[0], [0, 0.5] * 4)
    np.testing.assert_array_equal(steps.actions[0].argmax(dim=-1), [0, 1] * 4)
    assert (replay.count_starts(8), replay.count_starts(41)) == (33, 0)
    assert replay.find_whole(3).tolist() == [
        first for first in range(38) if first // 5 == (first + 2) // 5 and first % 5 < 2
    ]
    assert replay.find_whole(41).tolist() == []


@pytest.mark.parametrize(
    ("frame", "reward", "problem"),
    [
        (np.zeros((64, 63), np.uint8), 0.0, r"Dot: frame of shape \(64, 63\).*expected \(64, 64\) bytes"),
        (np.zeros((64, 64), np.float32), 0.0, r"type float32, expected \(64, 64\) bytes"),
        (np.zeros((64, 64), np.uint8), float("inf"), "Dot: the reward of step 3 overflows: found inf"),
        (np.zeros((64, 64), np.uint8), float("nan"), "the reward of step 3 overflows: found nan"),
    ],
)
def test_impossible_steps_are_refused(frame: np.ndarray, reward: float, problem: str) -> None:
    replay = played(2)[0].replay
    with pytest.raises(DataError, match=problem):
        replay.append(0, reward, terminated=False, truncated=False, frame=frame)
    assert replay.size == 2


class Recording(TrainingRun):
    """A run that tells what it wrote."""

    def checkpoint(self, name: str, state: object) -> None:
        self.written = [*getattr(self, "written", []), name]
        super().checkpoint(name, state)


def test_a_checkpoint_writes_only_what_is_new(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(replays, "CHUNK", 16)
    run = Recording(0, folder=tmp_path)
    run.log(loss=1.0)
    collector = Collector(Dot(), Replay(100, 2, run, "Dot"), run, 0)
    states = []
    for step in range(50):
        collector.observation()
        collector.step(step % 2)
        if step in (19, 20, 49):
            states.append(collector.state_dict())
    assert [int(name[-5:]) for name in run.written] == [0, 1, 1, 1, 2, 3]
    run.log(loss=2.0)
    for state, steps in zip(states, (20, 21, 50), strict=True):
        again = Collector(Dot(), Replay(100, 2, run, "Dot"), run, 0)
        again.load_state_dict(state)
        index = np.arange(steps + 1)
        assert again.replay.size == steps
        np.testing.assert_array_equal(again.replay.stack_frames(index), collector.replay.stack_frames(index))
        before, after = (part.replay.gather_sequences(np.array([0]), steps, "cpu") for part in (collector, again))
        assert torch.equal(before.rewards, after.rewards)
        assert torch.equal(before.ended, after.ended)
    assert len(run.curve) == 2
    empty = Replay(100, 2, TrainingRun(0, folder=tmp_path / "other"), "Dot")
    with pytest.raises(DataError, match="Dot-replay-00000: expected 16 steps of the replay, found fewer"):
        empty.load_state_dict(states[-1]["replay"])


def test_the_schedule_is_the_published_one() -> None:
    schedule = TWMReproduceConfig().schedule
    assert schedule == Schedule(100_000, 5_000, 125_000, 5_000)
    assert [schedule.count_pretraining_updates(stage) for stage in ("observation-model", "dynamics", "policy")] == [
        18_750,
        9_400,
        21_875,
    ]
    assert [schedule.steps_before(update) for update in (1, 125_000)] == [5_001, 100_000]
    steps = np.array([schedule.steps_before(update) for update in range(1, 125_001)])
    np.testing.assert_array_equal(steps, 5_000 + np.ceil(np.arange(1, 125_001) * 0.76 - 1e-9))
    assert not schedule.is_evaluation_due(9_998, 9_999)
    assert schedule.is_evaluation_due(9_998, 10_000)


@pytest.mark.slow
def test_the_first_step_of_a_window_has_no_loss() -> None:
    config = TINY.model_copy(update={"reward_input": False})
    torch.manual_seed(0)
    model = WorldModel(config, Spaces(4 * 64 * 64, 100, num_actions=2))
    replay = played(30)[0].replay
    windows = replay.gather_sequences(np.array([0, 7]), 4, "cpu")

    def losses(step: int) -> dict[str, torch.Tensor]:
        windows.rewards[:, step] += 3.0
        torch.manual_seed(1)
        still = torch.optim.SGD(model.parameters(), lr=0.0)
        found = update_on_sequences(model, windows, still, still)
        windows.rewards[:, step] -= 3.0
        return found

    base = losses(0)
    windows.rewards[:, 0] += 5.0
    assert losses(0)["reward"] == base["reward"]
    assert losses(1)["reward"] > base["reward"]
    assert losses(3)["reward"] > base["reward"]
    assert set(base) == {"latent", "reward", "discount", "decoder", "entropy", "consistency"}


def test_new_lives_are_decoded_but_not_compared_with_what_came_before() -> None:
    torch.manual_seed(0)
    model = WorldModel(TINY, Spaces(4 * 64 * 64, 100, num_actions=2))
    windows = played(30)[0].replay.gather_sequences(np.array([2]), 4, "cpu")  # of steps 2 to 5, 4 ends a life
    encoded = model.encode(windows, sample=False)
    prediction = model.dynamics.predict(model.dynamics.read_at_actions(encoded.tokens, windows.episodes))
    torch.manual_seed(2)
    _, losses = model.joint_observation_loss(windows, prediction)
    frames = model.observation.scale(windows.observations[0, 1:])
    torch.manual_seed(2)
    decoder, _, logits = model.observation.reconstruction_loss(frames)
    assert losses["decoder"].item() == pytest.approx(decoder.item())
    prior = prediction.latent_logits[0, 0].unflatten(-1, (4, 4)).softmax(dim=-1)
    crossed = -(prior * logits.unflatten(-1, (4, 4)).log_softmax(dim=-1)).sum(dim=(1, 2))
    assert losses["consistency"].item() == pytest.approx(0.01 * crossed[[0, 1, 3]].mean().item(), rel=1e-5)


def test_imagination_begins_after_one_real_step() -> None:
    windows = played(30)[0].replay.gather_sequences(np.array([0, 7]), 4, "cpu")
    batch = pair_steps(windows, 6)
    assert batch.startable.tolist() == [[False, True]] * 6
    pairs = {tuple(pair.flatten().tolist()) for pair in batch.windows.observations[:, :2]}
    possible = [row[first : first + 2] for row in windows.observations for first in range(3)]
    assert pairs == {tuple(pair.flatten().tolist()) for pair in possible}  # each once


@pytest.mark.slow
def test_every_loss_is_told_and_a_killed_run_ends_the_same(tmp_path) -> None:
    whole = rows_of(TrainingRun(1))
    json.dumps(whole, allow_nan=False)
    ours, compared, *rest = whole
    assert (ours["steps"], ours["updates"], ours["games"]) == (40, 4, 2)
    assert compared["human_normalised"] == pytest.approx((ours["score"] + 20.7) / 35.3)
    losses = {row["loss"]: row for row in rest if "loss" in row}
    assert {"decoder", "latent", "reward", "discount", "critic", "actor", "imagined_reward"} <= set(losses)
    assert losses["decoder"]["loop_ends"] < losses["decoder"]["first_update"]
    assert [row["aggregate"] for row in whole if "aggregate" in row] == list(AGGREGATES)

    class Killed(Exception):
        pass

    def progress(stage: str, done: int, total: int, metrics: object) -> None:
        if (stage, done) == next(kills, None):
            raise Killed

    kills: Iterator[tuple[str, int]] = iter(())
    for moment in [("Pong-prefill", 7), ("Pong-dynamics", 1), ("Pong-online", 3), ("Pong-evaluation", 1)]:
        kills = iter([moment] * 10_000)
        with pytest.raises(Killed):
            rows_of(TrainingRun(1, folder=tmp_path, checkpoint_seconds=0.0, progress=progress))
    kills = iter(())
    assert rows_of(TrainingRun(1, folder=tmp_path)) == whole


def test_all_games_are_waited_for() -> None:
    torch.manual_seed(0)
    spaces = Spaces(4 * 64 * 64, 100, num_actions=2)
    model, policy = WorldModel(TINY, spaces), ActorCritic(TINY, spaces)
    with torch.no_grad():
        policy.actor[-1].bias[1] = 1e4  # always the paying action
    assert play_games(model, policy, [Dot(seed=1), Dot(seed=2)], 3).tolist() == [7.5, 7.5]
