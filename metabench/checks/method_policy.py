"""Checks of acting, adapting, saving and evaluation."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from metabench.checks.method_predictions import check_predictions
from metabench.checks.method_script import Script, act_script, compare_actions
from metabench.errors import DataError
from metabench.evaluation.evaluate import evaluate
from metabench.evaluation.independence import list_replays
from metabench.evaluation.protocol import list_supported_tracks
from metabench.methods.contract import Policy, Step
from metabench.methods.state_files import DIGESTS
from metabench.system.foreign import copy_plain

if TYPE_CHECKING:
    from metabench.checks.method_training import Check, TrainingChecks
    from metabench.envs import Array, Spaces

LARGEST_POLICY = 10**9
"""Bytes of what `save` may write with the preset of tests; a policy is copied for every way that it can be damaged."""

TOLERANCES = {2: 5e-2, 4: 1e-3, 8: 1e-5}
"""How far actions (scaled to [-1, 1]) may differ between batches, by the bytes of the policy's floats.

Matrix products of other sizes round otherwise, and a memory adds up over an episode what that leaves. A policy whose
lanes know of each other by less than this gains nothing, and the judge asks for equal actions among as many lanes.
"""


class PolicyChecks:
    """Holds a trained policy against the contract."""

    def __init__(self, training: TrainingChecks, scratch: Path) -> None:
        """Check the policy of `training`; files go below `scratch`."""
        assert training.policy is not None
        self._policy: Policy = training.policy
        self._training = training
        self._suite = training.suite
        self._script = training.script
        self._saved = scratch / "policy"
        self._broken = scratch / "broken"

    def list_checks(self) -> Iterator[Check]:
        """The checks, in order; those of loading need what `saves` wrote."""
        near = "to rounding"
        yield "seeds", "the same lanes and seeds give the same actions, exactly", self._check_seeds
        yield (
            "forgets",
            "after reset the policy remembers no earlier episode and no support",
            self._check_forgets,
        )
        yield "lanes", f"a lane alone acts as it does among others ({near})", self._check_alone
        yield "lane order", f"lanes in another order act the same ({near})", self._check_order
        yield (
            "groups",
            f"groups under other numbers, in another order, act the same ({near})",
            self._check_groups,
        )
        yield (
            "ended lanes",
            f"what ended lanes see changes nothing in the others ({near})",
            self._check_ended,
        )
        yield (
            "saves",
            "at least a folder, with nothing but readable .safetensors and .json files "
            "(what the numbers in an array mean, such as a pickle, cannot be seen)",
            self._check_saves,
        )
        yield "loads", "a saved and loaded policy acts the same, exactly", self._check_loads
        yield (
            "damage",
            "a truncated or missing file, or other spaces, raise DataError",
            self._check_damage,
        )
        yield (
            "predicts",
            "the method says whether its policies predict",
            self._check_predicts,
        )
        if self._policy.predicts:
            yield (
                "predictions",
                "asked again, and in other company, the same exactly; the track runs",
                lambda: check_predictions(
                    self._policy, self._script, self._suite, self._training.name
                ),
            )
        for split, track in list_supported_tracks(self._suite):
            yield (
                f"{split} {track}",
                "evaluates without error, and lanes act the same in other company, exactly",
                functools.partial(self._check_track, split, track),
            )

    def _play(self, script: Script, policy: Policy | None = None) -> Array:
        training = self._training
        return act_script(
            policy or self._policy, script, self._suite.spaces, training.name, training.privileged
        )

    @functools.cached_property
    def _tolerance(self) -> float:
        """Of the coarsest floats among the policy's actions; integers do not round."""
        noting = _NotesTypes(self._policy)
        self._play(self._script.select_lanes([0]), cast("Policy", noting))
        sizes = [kind.itemsize for kind in noting.types if kind.kind == "f"]
        return max((TOLERANCES.get(size, 0.0) for size in sizes), default=0.0)

    def _check_seeds(self) -> str | None:
        return compare_actions(self._play(self._script), self._play(self._script), 0.0)

    def _check_forgets(self) -> str | None:
        for shots in (1, 0):
            script = self._script.with_shots(shots)
            self._play(self._script.select_lanes([0]).with_shots(0))
            after_little = self._play(script)
            self._play(self._script)
            problem = compare_actions(after_little, self._play(script), 0.0)
            if problem:
                return f"{shots} support episodes, after others than before: {problem}"
        return None

    def _check_alone(self) -> str | None:
        together = self._play(self._script)
        for lane in range(len(self._script.groups)):
            alone = self._play(self._script.select_lanes([lane]))
            problem = compare_actions(together[:, [lane]], alone, self._tolerance)
            if problem:
                return f"lane {lane} alone, as {problem}"
        return None

    def _check_order(self) -> str | None:
        order = np.random.default_rng(0).permutation(len(self._script.groups))
        return compare_actions(
            self._play(self._script)[:, order],
            self._play(self._script.select_lanes(order.tolist())),
            self._tolerance,
        )

    def _check_groups(self) -> str | None:
        return compare_actions(
            self._play(self._script), self._play(self._script.rename_groups()), self._tolerance
        )

    def _check_ended(self) -> str | None:
        noisy = self._script.with_noise_in_ended_lanes()
        return compare_actions(self._play(self._script), self._play(noisy), self._tolerance)

    def _check_saves(self) -> str | None:
        self._policy.save(self._saved)
        if not self._saved.is_dir():
            return "the folder was not made"
        size = 0
        for path in self._saved.rglob("*"):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                return f"{path.relative_to(self._saved)} is neither a file nor a folder"
            size += path.stat().st_size
        if size > LARGEST_POLICY:
            return f"{size / 1e9:.1f} GB; of the preset of tests at most {LARGEST_POLICY / 1e9:.0f}"
        for path in self._list_files():
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".safetensors":
                _read_tensors(path)
            else:
                return f"{path.relative_to(self._saved)} is neither"
        return None

    def _check_loads(self) -> str | None:
        return compare_actions(
            self._play(self._script), self._play(self._script, self._load(self._saved)), 0.0
        )

    def _check_damage(self) -> str | None:
        files = [path.relative_to(self._saved) for path in self._list_files()]
        for name in files:
            for damage in ("truncated",) if name.name == DIGESTS else ("truncated", "missing"):
                shutil.rmtree(self._broken, ignore_errors=True)
                copy_plain(self._saved, self._broken)
                path = self._broken / name
                content = path.read_bytes()
                path.unlink()
                if damage == "truncated":
                    path.write_bytes(content[: len(content) // 2])
                if not self._refuses(self._broken, self._suite.spaces):
                    return f"loaded although {name} was {damage}"
        spaces = self._suite.spaces
        wider = dataclasses.replace(spaces, observation_dim=spaces.observation_dim + 1)
        if files and not self._refuses(self._saved, wider):
            return f"trained with {spaces.observation_dim} observation coordinates, it loaded for one more"
        return None

    def _refuses(self, folder: Path, spaces: Spaces) -> bool:
        try:
            self._training.make_method().load(folder, spaces)
        except DataError:
            return True
        return False

    def _load(self, folder: Path) -> Policy:
        return self._training.make_method().load(folder, self._suite.spaces)

    def _list_files(self) -> list[Path]:
        return sorted(path for path in self._saved.rglob("*") if path.is_file())

    def _check_predicts(self) -> str | None:
        method = self._training.make_method()
        if self._policy.predicts and not method.predicts:
            return (
                "its policies do, but `predicts` of the method is not true: runs would not ask them"
            )
        if method.predicts and type(self._policy).predict is Policy.predict:
            return "`predicts` of the method is true, but its policies have no `predict`: they would have no row"
        return None

    def _check_track(self, split: str, track: str) -> str | None:
        training = self._training
        evaluation = evaluate(
            lambda: nullcontext(self._load(self._saved)),
            self._suite,
            track,
            split=split,
            privileged=training.privileged,
            name=training.name,
            replays=list_replays(self._suite, split, track),
        )
        rows = [row for block in evaluation.blocks for row in block.rows]
        wrong = [row for row in rows if not math.isfinite(row.total_return)]
        return f"task {wrong[0].task}: return {wrong[0].total_return}" if wrong else None


class _NotesTypes:
    """A policy, and the types of the actions that it gives."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.types: set[np.dtype[Any]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def act(self, step: Step) -> Array:
        actions = self._policy.act(step)
        self.types.add(actions.dtype)
        return actions


def _read_tensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        file.keys()
