"""Spoilt files of every kind are refused in one line, and a pickle takes no more memory than it is long."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from metabench import DataError
from metabench.data.foreign.safe_pickle import read_mapping

pytestmark = pytest.mark.slow


def test_spoilt_files_are_refused() -> None:
    """In a process of its own: what listens for forbidden calls cannot be taken away again."""
    program = Path(__file__).with_name("fuzz.py")
    ended = subprocess.run([sys.executable, str(program), "--inputs", "300"], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout.decode() + ended.stderr.decode()
    lines = ended.stdout.decode().splitlines()
    assert len(lines) == 13
    assert all("nothing else" in line for line in lines)


@pytest.mark.parametrize("index", [b"\xff\xff\xff\x0f", b"\xff\xff\xff\x7f"])
def test_nine_bytes_do_not_take_all_memory(tmp_path: Path, index: bytes) -> None:
    """They say that the stream will remember so many objects."""
    path = tmp_path / "file.pkl"
    path.write_bytes(b"\x80\x02}r" + index + b".")
    tracemalloc.start()
    try:
        assert read_mapping(path) == {}
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_length_that_the_file_has_not_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    path.write_bytes(b"\x80\x05\x96" + (8 << 30).to_bytes(8, "little") + b"abc.")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="not a whole pickle: it ends too early"):
            read_mapping(path)
        assert tracemalloc.get_traced_memory()[1] < 3e6
    finally:
        tracemalloc.stop()


def test_arrays_of_protocol_5_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    array = np.arange(300_000, dtype=np.float64)
    path.write_bytes(pickle.dumps({"a": array}, protocol=5))
    np.testing.assert_array_equal(read_mapping(path)["a"], array)
