"""Cards: pictures and numbers are those of the built data."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from metabench.cli.data import app
from metabench.data.cards.card import write_card
from metabench.data.cards.returns_histogram import draw_returns_svg
from metabench.data.making.build import build_data
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import open_store
from metabench.envs.locomotion.picture import is_seen_from_above, project_limbs
from metabench.errors import DataError
from metabench.suites import Suite, load_suite
from metabench.suites.edit_toml import write_references

CARD = "# before\n\n<!-- numbers -->\nold\n<!-- /numbers -->\n\nafter\n"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def tiny(tiny_built: Path, tmp_path: Path) -> Suite:
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    (tmp_path / "tiny" / "README.md").write_text(CARD)
    return load_suite(tmp_path / "tiny")


def rows_of(card: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]


def test_the_numbers_are_those_of_the_suite_and_its_data(tiny):
    assert write_card(tiny) == [tiny.folder / "README.md", tiny.folder / "returns.svg", tiny.folder / "strip.png"]
    card = (tiny.folder / "README.md").read_text()
    assert card.startswith("# before\n\n<!-- numbers -->\n| split")
    assert card.endswith("|\n\n<!-- /numbers -->\n\nafter\n")
    assert "old" not in card
    rows = {row[0]: row[1:] for row in rows_of(card)}
    references = [task.reference for task in tiny.split("train")]
    assert rows["`train`"] == [
        "2, 1 of them for validation",
        "return",
        f"{sum(each.random for each in references) / 2:.1f}",
        "",
        f"{sum(each.expert for each in references) / 2:.1f}",
        "not measured",
    ]
    columns = open_store(tiny, "medium").trajectories.columns
    returns = columns.rewards.reshape(-1, 20).sum(axis=1, dtype=float)
    expected = []
    for split in ("train", "test", "test-far"):
        chosen = np.isin(columns.tasks, [task.id for task in tiny.split(split)])
        score = np.mean(tiny.normalised(columns.tasks[chosen].tolist(), returns[chosen].tolist()))
        expected.append(f"{returns[chosen].mean():.1f} ({round(score)})")
    assert rows["`medium`"] == ["40", "800", *expected]
    assert rows["`expert`"][-1] == ""
    before = {path.name: path.read_bytes() for path in tiny.folder.glob("*.*")}
    write_card(tiny)
    assert {path.name: path.read_bytes() for path in tiny.folder.glob("*.*")} == before


def test_the_blind_policy_and_the_headroom_of_success_have_their_columns(tiny):
    success = {"random": 0.1, "expert": 0.9, "blind": 0.3}
    path = tiny.folder / "suite.toml"
    path.write_text(path.read_text().replace('headline = "normalised"', 'headline = "success"'))
    write_references(path, {task.id: {"success": success} for task in tiny.tasks}, "any")
    write_card(load_suite(tiny.folder))
    rows = [row for row in rows_of((tiny.folder / "README.md").read_text()) if row[0] == "`test`"]
    (random, expert) = (f"{getattr(tiny.tasks[2].reference, name):.1f}" for name in ("random", "expert"))
    assert rows == [
        ["`test`", "1", "return", random, "", expert, ""],
        ["`test`", "1", "success at any step, %", "10", "30", "90", "75"],
    ]


def test_the_histogram_shows_the_shares_and_the_means():
    generator = np.random.default_rng(0)
    returns = {"low": generator.normal(-30, 5, 500), "high & <odd>": generator.normal(40, 10, 300)}
    root = ElementTree.fromstring(draw_returns_svg("Title & more", returns))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"low", "high & <odd>", "Title & more", "return of a trajectory"} <= set(texts)
    middle = [text for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "middle"]
    ticks = [float(text.text.replace("−", "-")) for text in middle if text.text != "return of a trajectory"]
    low, high = min(ticks), max(ticks)
    assert low <= min(returns["low"]) and high >= max(returns["high & <odd>"])
    bars = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("fill") == "#4c78a8"]
    for outline, (name, values) in zip(bars, returns.items(), strict=True):
        assert f"mean {values.mean():.1f}".replace("-", "−") in texts, name
        base = float(re.match(r"M[\d.]+ ([\d.]+)", outline)[1])
        tops = [float(top) for top in re.findall(r"V([\d.]+)H", outline)]
        shares = np.histogram(values, len(tops), (low, high))[0] / len(values)
        np.testing.assert_allclose((base - np.array(tops)) / (base - min(tops)), shares / shares.max(), atol=2e-3)
        assert f"{shares.max():.0%}" in texts
    for values in ([3.0], [0.0, 0.0], [-1e-9, 1e9]):
        ElementTree.fromstring(draw_returns_svg("any", {"one": np.array(values)}))


def test_what_is_missing_is_named(tiny, folders, monkeypatch):
    (tiny.folder / "README.md").write_text("# without a place\n")
    with pytest.raises(DataError, match=r"README\.md: expected one line <!-- numbers -->"):
        write_card(tiny)
    (tiny.folder / "README.md").write_text(CARD)
    monkeypatch.setenv("METABENCH_HOME", str(folders / "nowhere"))
    with pytest.raises(DataError, match=f"metabench data build {tiny.folder} --dataset random"):
        write_card(tiny)
    assert (tiny.folder / "README.md").read_text() == CARD


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("cheetah-vel", 1), ("ant-dir", 1), ("cheetah-dir", 2)])
def test_the_strip_shows_stored_episodes(small_copy, monkeypatch, name, rows):
    suite = small_copy(name)
    for dataset in ("random", "medium", "expert", "mixed"):
        build_data(suite, dataset)
    entry = suite.entry.model_copy(update={"datasets": {**suite.entry.datasets}})
    entry.datasets.pop("replay")  # its stages have no weights here
    for dataset in ("histories", "expert-actions"):
        entry.datasets.pop(dataset, None)
    suite = Suite(entry, suite.folder)
    (suite.folder / "README.md").write_text(CARD)
    assert [path.name for path in write_card(suite)] == ["README.md", "returns.svg", "strip.png"]
    content = (suite.folder / "strip.png").read_bytes()
    assert len(content) < 150_000
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert picture.shape[0] % rows == 0
    frame = picture.shape[0] // rows
    first, last = (picture[20:frame, left : left + 150] for left in (0, 6 * 154))
    assert np.abs(first - last).max() > 100
    write_card(suite)
    assert (suite.folder / "strip.png").read_bytes() == content
    rewards = store_folder(suite, "expert") / "rewards.npy"
    np.save(rewards, np.load(rewards) + np.float32(0.5))
    with pytest.raises(DataError, match="was made by another simulator"):
        write_card(suite)


def test_limbs_lie_where_the_simulator_has_them():
    cheetah = load_suite("cheetah-vel").environment().model
    assert not is_seen_from_above(cheetah)
    torso = next(limb for limb in project_limbs(cheetah, np.array([2.0, 0.1, *np.zeros(7)])) if limb.radius == 0.046)
    found = np.array(sorted(torso.ends))
    np.testing.assert_allclose(found, [[1.5, 0.8], [2.5, 0.8]], atol=1e-3)
    ant = load_suite("ant-dir").environment().model
    assert is_seen_from_above(ant)
    positions = ant.qpos0.copy()
    positions[:3] = 1.0, 2.0, 0.75
    drawn = project_limbs(ant, positions)
    assert len(drawn) == 13
    assert max(limb.radius for limb in drawn) == 0.25
    data = mujoco.MjData(ant)
    data.qpos[:] = positions
    mujoco.mj_forward(ant, data)
    centres = sorted(np.mean(limb.ends, axis=0).round(9).tolist() for limb in drawn)
    np.testing.assert_allclose(centres, sorted(data.geom_xpos[1:, :2].round(9).tolist()), atol=1e-9)


def test_the_verb_says_what_it_wrote(tiny, monkeypatch):
    monkeypatch.setattr("metabench.cli.data.load_suite", lambda name: tiny)
    result = CliRunner().invoke(app, ["card", "tiny"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"wrote {tiny.folder / 'README.md'}",
        f"wrote {tiny.folder / 'returns.svg'}",
        f"wrote {tiny.folder / 'strip.png'}",
    ]
