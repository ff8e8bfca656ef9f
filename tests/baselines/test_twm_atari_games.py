"""The games of ale-py, as TWM's experiment plays them; skipped where it is not installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing
from metabench_baselines.twm_plus.reproduction.atari import AtariGame
from metabench_baselines.twm_plus.reproduction.published_numbers import GAMES
from metabench_baselines.twm_plus.reproduction.reproduce import TWMReproduceConfig, reproduce_twm
from metabench_baselines.twm_plus.reproduction.sizes import SIZES

from metabench import TrainingRun
from metabench.errors import CancelledError

pytestmark = pytest.mark.slow


ale_py = pytest.importorskip("ale_py", reason="needs ale-py: pip install ale-py")


def emulator(name: str, seed: int):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    made = ale_py.ALEInterface()
    made.setInt("random_seed", seed)
    made.setFloat("repeat_action_probability", 0.0)
    made.loadROM(ale_py.roms.get_rom_path(GAMES[name].rom))
    return made


def brute_means(screen: np.ndarray) -> np.ndarray:
    """Means over areas by enlarging each pixel until all areas are whole: 210 * 32 = 64 * 105, 160 * 2 = 64 * 5."""
    enlarged = screen.repeat(32, axis=0).repeat(2, axis=1).astype(np.float64)
    return enlarged.reshape(64, 105, 64, 5).mean(axis=(1, 3))


def test_a_step_is_four_frames_of_the_emulator() -> None:
    game, plain = AtariGame("Breakout", 3), emulator("Breakout", 3)
    actions = plain.getMinimalActionSet()
    assert game.num_actions == len(actions) == 4

    def hold(action: int) -> tuple[list[np.ndarray], float]:
        screens, reward = [], 0.0
        for _ in range(4):
            reward += plain.act(actions[action])
            screens.append(plain.getScreenGrayscale())
        return screens, reward

    plain.reset_game()
    assert actions[1] == ale_py.Action.FIRE
    screens, _ = hold(1)
    pooled = np.maximum(screens[2], screens[3])
    assert np.abs(game.reset(no_ops=20) - brute_means(pooled)).max() <= 0.51  # FIRE in place of no-ops
    random, lives = np.random.default_rng(0), plain.lives()
    lost = 0
    for number in range(150):
        action = int(random.integers(4))
        screens, reward = hold(action)
        life_lost = plain.lives() < lives
        if life_lost and not plain.game_over():
            screens, more = hold(1)
            reward += more
        outcome = game.step(action)
        if number % 10 == 0 or life_lost:
            assert np.abs(outcome.frame - brute_means(np.maximum(screens[2], screens[3]))).max() <= 0.51
        assert (outcome.reward, outcome.life_lost) == (reward, life_lost)
        assert outcome.over == plain.game_over()
        if outcome.over:
            break
        lost, lives = lost + outcome.life_lost, plain.lives()
    assert lost > 0


@pytest.mark.parametrize("name", ["Pong", "Breakout", "MsPacman"])
def test_a_game_goes_on_from_its_state(name: str) -> None:
    """To its end and into the next game, where the emulator draws numbers."""
    first, second = AtariGame(name, 1), AtariGame(name, 2)
    first.reset(no_ops=3)
    for number in range(60):
        first.step(number % first.num_actions)
    second.load_state_dict(first.state_dict())
    for number in range(60):
        ours, theirs = (game.step(number % 3) for game in (first, second))
        np.testing.assert_array_equal(ours.frame, theirs.frame)
        assert (ours.reward, ours.life_lost) == (theirs.reward, theirs.life_lost)
    np.testing.assert_array_equal(first.reset(5), second.reset(5))
    for number in range(60):
        np.testing.assert_array_equal(first.step(number % 3).frame, second.step(number % 3).frame)


def test_all_games_are_there_and_their_first_action_is_to_do_nothing() -> None:
    known = set(ale_py.roms.get_all_rom_ids())
    for name, game in GAMES.items():
        assert game.rom in known, name
        assert emulator(name, 0).getMinimalActionSet()[0].value == 0, name


def test_a_game_without_fire_begins_with_single_frames_of_doing_nothing() -> None:
    game, plain = AtariGame("MsPacman", 3), emulator("MsPacman", 3)
    assert not game.fires
    plain.reset_game()
    for _ in range(7):
        plain.act(plain.getMinimalActionSet()[0])
    assert np.abs(game.reset(no_ops=7) - brute_means(plain.getScreenGrayscale())).max() <= 0.51
    assert plain.getEpisodeFrameNumber() == 7


def test_a_game_is_over_without_lives() -> None:
    game = AtariGame("Pong", 0)
    game.reset()
    total, outcome = 0.0, game.step(0)
    while not outcome.over:
        outcome = game.step(0)
        total += outcome.reward
    assert total == -21.0


@pytest.mark.parametrize("name", ["MsPacman", "Asterix"])
def test_no_ops_and_frames_are_those_of_gymnasium(name: str, monkeypatch) -> None:
    """Its wrapper needs OpenCV for means over areas only: ours from above stand in."""
    means = SimpleNamespace(
        INTER_AREA=3, resize=lambda screen, size, interpolation: np.rint(brute_means(screen)).astype(np.uint8)
    )
    monkeypatch.setitem(sys.modules, "cv2", means)
    gymnasium.register_envs(ale_py)
    plain = gymnasium.make(f"ALE/{name}-v5", frameskip=1, repeat_action_probability=0.0, full_action_space=False)
    theirs, ours = AtariPreprocessing(plain, noop_max=1, screen_size=64), AtariGame(name, 0)
    assert not ours.fires
    assert plain.unwrapped.get_action_meanings()[0] == "NOOP"
    frame, _ = theirs.reset(seed=0)
    np.testing.assert_allclose(ours.reset(no_ops=1).astype(int), frame, atol=1)
    random = np.random.default_rng(0)
    for _ in range(40):
        action = int(random.integers(ours.num_actions))
        frame, reward, over, *_ = theirs.step(action)
        outcome = ours.step(action)
        assert (outcome.reward, outcome.over) == (reward, over)
        np.testing.assert_allclose(outcome.frame.astype(int), frame, atol=1)


@pytest.mark.walk
def test_a_stopped_run_of_a_real_game_ends_the_same(tmp_path) -> None:
    """Stopped while it acts at random, between the stages of pretraining, and in the loop."""
    small = {"tasks_per_update": 1, "window": 4, "horizon": 2, "starts": 2, "observation_batch": 2, "layers": 1}
    sizes = {"S": SIZES["S"].model_copy(update=small)}
    config = TWMReproduceConfig(
        game="breakout", size="S", steps=60, random_share=0.2, updates_per_step=0.06, episodes=1, interval_episodes=1
    )
    whole = reproduce_twm(config, TrainingRun(5), sizes=sizes)
    assert whole[0]["game"] == "Breakout"
    assert 0.0 <= whole[0]["score"] == whole[1]["score"] < 30.0
    for stop in (("Breakout-prefill", 5), ("Breakout-policy", 1), ("Breakout-online", 2)):
        place = []

        def cancelled(stop=stop, place=place) -> bool:
            return place[-1] == stop

        def progress(stage: str, done: int, total: int, metrics: object, place=place) -> None:
            place.append((stage, done))

        run = TrainingRun(5, folder=tmp_path, progress=progress, cancelled=cancelled)
        with pytest.raises(CancelledError):
            reproduce_twm(config, run, sizes=sizes)
    assert reproduce_twm(config, TrainingRun(5, folder=tmp_path), sizes=sizes) == whole
