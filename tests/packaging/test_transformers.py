"""What we use of transformers works from the repository's root, where a folder `datasets/` lies.

transformers looks for the Hugging Face library of that name; a package there would shadow it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]

PROGRAM = """
import importlib.util, torch, transformers
config = transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=4, vocab_size=1)
with torch.no_grad():
    output = transformers.GPT2Model(config)(inputs_embeds=torch.zeros(1, 3, 8)).last_hidden_state
assert output.shape == (1, 3, 8)
print(getattr(importlib.util.find_spec("datasets"), "origin", None))
"""


def answer(path: Path) -> str:
    """Run the program with `path` first among the installed packages; returns where `datasets` comes from."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.walk
def test_without_the_library(tmp_path: Path) -> None:
    origin = answer(tmp_path)
    if origin != "None":
        pytest.skip("the Hugging Face library is installed here")


@pytest.mark.walk
def test_with_the_library(tmp_path: Path) -> None:
    """A stand-in: a package and its metadata, as an installer leaves them. It must win over the folder."""
    package = tmp_path / "datasets" / "__init__.py"
    package.parent.mkdir()
    package.write_text("__version__ = '4.0.0'\n")
    info = tmp_path / "datasets-4.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: datasets\nVersion: 4.0.0\n")
    assert answer(tmp_path) == str(package)
