"""A trained policy on disk, with all that its training found: what `metabench evaluate FOLDER` reads."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.data.home import home
from metabench.envs import Spaces
from metabench.errors import DataError
from metabench.methods.contract import Method, Policy
from metabench.methods.registry import load_method
from metabench.runs.record import Cell, digest_of

FACTS = "training.json"
POLICY = "policy"


class Training(BaseModel):
    """What is kept of a finished training, beside the policy's own files."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    cell: Cell
    spec: str = Field(description="what `load_method` takes")
    overrides: dict[str, Any] = Field(description="configuration keys and values on top of preset and variant")
    parameters: int = Field(ge=0, description="trained parameters that acting uses")
    training_tasks: int = Field(ge=0)
    curve: tuple[dict[str, float | int | str], ...]
    summary: dict[str, Any]
    seconds: float = Field(ge=0)
    resumed: int = Field(ge=0)
    device: str
    threads: int

    def method(self) -> Method:
        """The method with the configuration it was trained with; raises `DataError` if that has changed since."""
        method = load_method(self.spec, preset=self.cell.preset, suite=self.cell.suite, overrides=self.overrides)
        if digest_of(method.config.model_dump(mode="json")) != self.cell.config_digest:
            raise DataError(
                f"method {self.spec!r}: preset {self.cell.preset!r} has changed since this policy was trained"
            )
        return method


def policy_folder(cell: Cell) -> Path:
    """Where the policy of a finished cell is kept: as its record's path, below `home()/policies`."""
    return home() / "policies" / cell.path.with_suffix("")


def save_trained(policy: Policy, training: Training, folder: Path) -> None:
    """Write policy and facts into `folder`, replacing what was there, whole or not at all."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / POLICY).mkdir(parents=True)
    policy.save(fresh / POLICY)
    (fresh / FACTS).write_text(json.dumps(training.model_dump(mode="json"), allow_nan=False), encoding="utf-8")
    _put_in_place(fresh, folder)


def copy_trained(source: Path, folder: Path) -> None:
    """Copy a saved policy, replacing what was in `folder`."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, fresh)
    _put_in_place(fresh, folder)


def read_training(folder: Path) -> Training:
    """The facts of a saved policy; raises `DataError` naming file, key and what is wrong."""
    path = folder / FACTS
    try:
        return Training.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; expected the folder of a saved policy") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise DataError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}") from error


def load_policy(method: Method, folder: Path, spaces: Spaces) -> Policy:
    """The policy saved in `folder`; raises `DataError` naming a missing or damaged file."""
    return method.load(folder / POLICY, spaces)


def _put_in_place(fresh: Path, folder: Path) -> None:
    leaving = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(leaving, ignore_errors=True)
    if folder.exists():
        os.replace(folder, leaving)
    os.replace(fresh, folder)
    shutil.rmtree(leaving, ignore_errors=True)
