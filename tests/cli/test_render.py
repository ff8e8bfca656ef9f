"""`metabench render`: a file that says what the record says, or one line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageSequence

from metabench.cli import main
from metabench.system import extras


def refuse(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["render", *words])
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_a_gif_is_written_and_described(tmp_path, capsys) -> None:
    path = tmp_path / "episode.gif"
    with pytest.raises(SystemExit) as ended:
        main(["render", "random", "--suite", "tiny", "--shots", "1", "--size", "96x64", "--out", str(path)])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    image = Image.open(path)
    assert image.size[0] == 2 * 96 + 4
    seconds = 2 * (21 + round(0.6 * 8)) / 8
    assert f"{path}: {seconds:.1f} s, {image.size[0]}x{image.size[1]}, every step; scored" in told
    shown = sum(frame.info["duration"] for frame in ImageSequence.Iterator(image)) / 1000
    assert shown == pytest.approx(seconds, rel=0.05), "a GIF counts in hundredths of a second"
    assert np.asarray(image.convert("RGB")).std() > 5


def test_mistakes_get_one_line_before_anything_acts(tmp_path, capsys, monkeypatch) -> None:
    words = ["random", "--suite", "tiny", "--out"]
    assert "expected a name that ends in .mp4 or .gif" in refuse(capsys, *words, str(tmp_path / "episode.avi"))
    gif = str(tmp_path / "episode.gif")
    assert "--size: expected width and height (320x240), found '320'" in refuse(capsys, *words, gif, "--size", "320")
    assert "split of suite tiny 'tests'" in refuse(capsys, *words, gif, "--split", "tests")
    assert "policy 'blind': expected --suite, the suite to act in" in refuse(capsys, "blind", "--out", gif)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    message = refuse(capsys, *words, str(tmp_path / "episode.mp4"))
    assert "needs the package av: pip install 'av>=14'" in message
    assert not list(tmp_path.iterdir())
