"""cadm and cadm-plus: planning in an ensemble that is told a code of the task, read from windows of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from metabench import Config

from ..pets import Pets
from .config import BUDGETS, PLUS_BUDGETS, PLUS_VARIANTS, VARIANTS, CadmConfig


class Cadm(Pets):
    """PETS whose networks are told a code of the task, which has to serve prediction forward and backward in time."""

    name = "cadm"
    paper = "https://arxiv.org/abs/2005.06800"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = CadmConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS


class CadmPlus(Cadm):
    """CaDM that also learns a code for each training task, and believes the codes that explain what was seen."""

    name = "cadm-plus"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = PLUS_VARIANTS
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = PLUS_BUDGETS
