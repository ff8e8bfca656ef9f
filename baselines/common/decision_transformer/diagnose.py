"""What prompts and task codes are worth to a trained transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from metabench import TrainingData, TrainingRun

from .config import TransformerConfig
from .train import Batches, ChooseSegments, Networks, Scales, TaskCodes, compute_action_error


@torch.no_grad()
def diagnose_networks(
    config: TransformerConfig,
    networks: Networks,
    data: TrainingData,
    scales: Scales,
    run: TrainingRun,
    codes: TaskCodes | None,
    segments: Callable[[TrainingData], ChooseSegments] | None,
    count: int = 256,
) -> dict[str, float]:
    """Action loss on windows of validation tasks: what prompts and task codes are worth, beside those of other windows.

    Returns:
        `plain` (no support), `code_of_others` (no support, codes of windows drawn anew: mostly other tasks),
        `supported` (with support), `prompt_of_others` (their prompts only), as far as the method has them.
    """
    for module in networks.modules().values():
        module.eval()
    held_out = data.validation
    batches = Batches(config, held_out, scales, codes, segments(held_out) if segments else None)
    spaces = networks.transformer.spaces

    def measure_error(steps: dict[str, Any], prompt: dict[str, Any] | None) -> float:
        predicted, _ = networks.transformer(steps, prompt)
        return float(compute_action_error(spaces, predicted, steps["actions"], steps["mask"]))

    steps, _ = batches.draw(run.generator("diagnose", "windows"), count, supported=False)
    report = {"plain": measure_error(steps, None)}
    if codes is not None:
        others, _ = batches.draw(run.generator("diagnose", "others"), count, supported=False)
        report["code_of_others"] = measure_error({**steps, "codes": others["codes"]}, None)
    steps, prompt = batches.draw(run.generator("diagnose", "windows"), count, supported=True)
    report["supported"] = measure_error(steps, prompt)
    if prompt is not None:
        _, other_prompt = batches.draw(run.generator("diagnose", "others"), count, supported=True)
        report["prompt_of_others"] = measure_error(steps, other_prompt)
    for module in networks.modules().values():
        module.train()
    return report
