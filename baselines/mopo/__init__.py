"""mopo: an actor-critic trained on what an ensemble imagines, with and without a context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from metabench import Config

from ..common.world_models.dyna.method import DynaMethod
from .config import CONTEXT_BUDGETS, VARIANTS, MopoConfig, MopoContextConfig


class Mopo(DynaMethod):
    """Soft actor-critic in an ensemble of networks, whose doubt is taken off the rewards; it takes all tasks for one.

    What a context gains is what `mopo-context` has above this.
    """

    name = "mopo"
    paper = "https://arxiv.org/abs/2005.13239"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = MopoConfig


class MopoContext(Mopo):
    """Soft actor-critic in an ensemble of networks; both are told a code of the task, read as `cadm` reads it."""

    name = "mopo-context"
    config_class: ClassVar[type[Config]] = MopoContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = CONTEXT_BUDGETS
