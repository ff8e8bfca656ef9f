"""Every reader of bytes that others wrote, a valid file of each kind, and edits that spoil it.

`python tests/data/foreign/fuzz.py --inputs 100000` feeds all of them.
"""

from __future__ import annotations

import io
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

from metabench import save_state
from metabench.data.foreign.d4rl import import_d4rl
from metabench.data.foreign.options import ImportOptions
from metabench.data.foreign.safe_pickle import read_mapping
from metabench.data.storage.minari_files import read_minari, read_minari_manifest
from metabench.data.storage.recorded_minari import open_recorded
from metabench.methods.state_files import DIGESTS, STRUCTURE, TENSORS, load_state
from metabench.runs.kept.record import read_record
from metabench.runs.kept.record_file import read_json
from metabench.runs.sweep import read_sweep
from metabench.suites import load_suite

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null')
"""A value in JSON or TOML."""

HOSTILE = (
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"9" * 5000,
    b"null",
    b"true",
    b'""',
    b'"\\u0000"',
    b'"../../../../etc/passwd"',
    b'"<script>alert(1)</script>"',
    b'"\\ud800"',
    b"[]",
    b"{}",
    b"[" * 2000,
    b"[[[[1]]]]",
    b'{"a": {"b": []}}',
    b"1970-01-01",
    b"\xff\xfe",
)
"""What a value may be replaced by."""

OPCODES = (
    b"r\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\x00\x00\x00",
    b"cos\nsystem\n",
    b"(S'true'\ntR",
    b"2",
    b"0",
    b".",
)
"""Pieces of pickles: memory for the taking, names of functions, calls."""


@dataclass(frozen=True)
class ForeignFile:
    """A kind of file.

    Attributes:
        valid: its bytes.
        read: reads a file of these bytes, which it puts where it belongs; raises `MetabenchError` and nothing else.
        text: whether it is JSON or TOML, whose values can be replaced.
    """

    valid: bytes
    read: Callable[[bytes], object]
    text: bool


def edits(text: bool) -> st.SearchStrategy[list[tuple[str, float, float, bytes]]]:
    """Some edits: kind, where (a share of the file), how far, and bytes."""
    kinds = ["flip", "cut", "copy", "insert", "truncate", *(["value"] * 5 if text else [])]
    pieces = (
        st.sampled_from(HOSTILE) | st.binary(max_size=8) if text else st.sampled_from(OPCODES) | st.binary(max_size=8)
    )
    share = st.floats(0.0, 1.0, exclude_max=True)
    return st.lists(st.tuples(st.sampled_from(kinds), share, share, pieces), min_size=1, max_size=4)


def edited(content: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    """The file after the edits."""
    for kind, where, far, piece in changes:
        at = int(where * len(content))
        end = min(len(content), at + 1 + int(far**4 * len(content)))
        if kind == "value":
            tokens = list(TOKEN.finditer(content))
            if tokens:
                first, last = tokens[int(where * len(tokens))].span()
                content = content[:first] + piece + content[last:]
        elif kind == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (1 << int(far * 8))]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at] + content[end:]
        elif kind == "copy":
            content = content[:end] + content[at:end] + content[end:]
        elif kind == "insert":
            content = content[:at] + piece + content[at:]
        elif kind == "truncate":
            content = content[:at]
    return content


def hdf5() -> bytes:
    """A D4RL file of three episodes of eight steps."""
    generator, content = np.random.default_rng(0), io.BytesIO()
    with h5py.File(content, "w") as file:
        file["observations"] = generator.standard_normal((24, 3)).astype(np.float32)
        file["actions"] = generator.uniform(-1, 1, (24, 2)).astype(np.float32)
        file["rewards"] = generator.standard_normal(24).astype(np.float32)
        file["terminals"] = np.zeros(24, bool)
        file["timeouts"] = np.arange(24) % 8 == 7
    return content.getvalue()


def whole_suite(path: Path) -> object:
    """All that a suite.toml says."""
    suite = load_suite(path.parent)
    return suite.digest, suite.spaces, suite.tasks, suite.splits


def foreign_files(built: Path, record: Path, folder: Path) -> dict[str, ForeignFile]:
    """All kinds, by name.

    Args:
        built: the root of Minari's datasets, with `tiny`'s.
        record: a record.
        folder: an empty folder to write in.
    """

    def at(path: Path, read: Callable[[Path], object], given: Path | None = None) -> Callable[[bytes], object]:
        path.parent.mkdir(parents=True, exist_ok=True)

        def write_and_read(content: bytes) -> object:
            path.write_bytes(content)
            return read(given or path)

        return write_and_read

    state = {"weights": torch.arange(6.0).view(2, 3), "step": 3, "names": ["a", "b"]}
    for name in ("state", "other-state"):
        save_state(state, folder / name)
        (folder / name / DIGESTS).unlink()  # without it, what the digests would refuse is read
    structure, tensors = folder / "state" / STRUCTURE, folder / "other-state" / TENSORS
    suites = {name: folder / name / "suite.toml" for name in ("tiny", "cheetah-vel")}
    for name in suites:
        shutil.copytree(load_suite(name).folder, folder / name)
    dataset = next(path.parent.parent for path in sorted(built.rglob("main_data.hdf5")))
    own = [folder / "minari" / name for name in ("described", "made", "recorded")]
    for copy in own:
        shutil.copytree(dataset, copy)
    metadata = [copy / "data" / "metadata.json" for copy in own]
    main = own[2] / "data" / "main_data.hdf5"
    sweep = b'[[part]]\nsuites = ["tiny"]\ndatasets = ["medium"]\nmethods = ["bc"]\npreset = "tiny"\nseeds = [0, 1]\n'
    columns = {"rewards": np.zeros(24, np.float32), "observations": np.zeros((24, 2), np.float32), "n": 3}
    options = ImportOptions(suite="foreign", horizon=8, force=True)  # or all but the first would be refused unread

    def described(_: Path) -> object:
        found = open_recorded("described", download=False, remedy="")
        return found.count, found.observation_space, found.action_space, found.env_spec

    return {
        "record": ForeignFile(read_json(record), at(folder / "record.json", read_record), text=True),
        "gzipped record": ForeignFile(record.read_bytes(), at(folder / "record.json.gz", read_record), text=False),
        **{
            f"suite.toml of {name}": ForeignFile(path.read_bytes(), at(path, whole_suite), text=True)
            for name, path in suites.items()
        },
        "sweep": ForeignFile(sweep, at(folder / "sweep.toml", read_sweep), text=True),
        "structure of a checkpoint": ForeignFile(
            structure.read_bytes(), at(structure, load_state, structure.parent), text=True
        ),
        "tensors of a checkpoint": ForeignFile(
            tensors.read_bytes(), at(tensors, load_state, tensors.parent), text=False
        ),
        "metadata of Minari": ForeignFile(metadata[0].read_bytes(), at(metadata[0], described), text=True),
        "manifest in Minari": ForeignFile(
            metadata[1].read_bytes(), at(metadata[1], read_minari_manifest, own[1]), text=True
        ),
        "trajectories of Minari": ForeignFile(main.read_bytes(), at(main, read_minari, own[2]), text=False),
        "D4RL": ForeignFile(hdf5(), at(folder / "d4rl.hdf5", lambda path: import_d4rl(path, 0, options)), text=False),
        "pickle": ForeignFile(pickle.dumps(columns, 4), at(folder / "plain.pkl", read_mapping), text=False),
        "pickle of protocol 0": ForeignFile(
            pickle.dumps(columns, 0), at(folder / "plain0.pkl", read_mapping), text=False
        ),
    }
