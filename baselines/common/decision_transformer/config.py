"""Configuration of the shared decision transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from metabench import Config

CodePlacement = Literal["token", "features", "sum"]
"""A token of its own; beside 16 observation features in the observation's token; added to the observation's token."""

Precision = Literal["full", "bfloat16", "auto"]
"""Of the products in the transformer's blocks, in training alone; `auto`: bfloat16 where a processor is made for it."""


class TransformerSize(Config):
    """Size of the causal transformer."""

    width: int = Field(128, ge=1, description="width of the transformer")
    layers: int = Field(3, ge=1, description="number of GPT-2 blocks")
    heads: int = Field(1, ge=1, description="attention heads a block")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout of embeddings, attention and residual branches"
    )


class TransformerConfig(TransformerSize):
    """Size, training budget and conditioning of a prompted decision transformer."""

    window: int = Field(20, ge=1, description="K: steps of the main window")
    prompt_length: int = Field(5, ge=1, description="k: steps of the prompt segment")
    prompt_dropout: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of training windows without support: no prompt, and no support in their codes",
    )
    prompt_schedule: Literal["mixed", "after-warmup"] = Field(
        "mixed",
        description="which training windows have a prompt: all but a share (`prompt_dropout`), so that one model "
        "serves all tracks; or none at first (`prompt_warmup`) and then every one (Meta-DT's released code)",
    )
    prompt_warmup: float = Field(
        0.2,
        ge=0,
        le=1,
        description="`after-warmup`: share of the updates that come before the first prompt",
    )
    training_prompts: Literal["any", "top-return"] = Field(
        "any",
        description="a training window's prompt comes from any other episode of its task, or from one of the three "
        "others with the highest return",
    )
    window_starts: Literal["full", "any"] = Field(
        "full",
        description="training windows start early enough to contain K steps, or (released codes) at any step but an "
        "episode's last, and the episode's end cuts them",
    )
    prompt_loss: bool = Field(
        True, description="actions of the prompt are also predicted (k + K losses)"
    )
    updates: int = Field(100_000, ge=1, description="gradient updates")
    batch_size: int = Field(128, ge=2, description="windows an update")
    learning_rate: float = Field(1e-4, gt=0, description="AdamW's learning rate after the warm-up")
    warmup: int = Field(10_000, ge=0, description="updates of linear learning-rate warm-up")
    decay: bool = Field(False, description="cosine decay to a tenth of the learning rate")
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's weight decay")
    gradient_clip: float = Field(0.25, gt=0, description="largest norm of the gradient")
    return_scale: float | None = Field(
        None,
        gt=0,
        description="returns are divided by it; None takes the largest absolute return of the data",
    )
    target_return: Literal["typical-best", "best", "predicted"] = Field(
        "typical-best",
        description="target return-to-go at an episode's start, from training tasks only: the mean over tasks of "
        "each task's best episode, the best episode of all, or a prediction, at every step, of what is "
        "achievable",
    )
    target_expectile: float = Field(
        0.9, gt=0.5, lt=1, description="expectile that `predicted` target returns estimate"
    )
    precision: Precision = Field(
        "full",
        description="precision of the products in the transformer's blocks in training; auto takes bfloat16 if the "
        "processor supports it; the summary names the precision that was used",
    )
    log_interval: int = Field(
        20, ge=1, description="updates between two rows of the training curve"
    )


_LOCOMOTION: Mapping[str, Any] = {"return_scale": 500.0}
_SHORT: Mapping[str, Any] = {**_LOCOMOTION, "window": 8, "prompt_length": 3}

SUITES: Mapping[str, Mapping[str, Any]] = {
    "point-robot": {"return_scale": 10.0},
    "cheetah-vel": _LOCOMOTION,
    "cheetah-dir": _LOCOMOTION,
    "ant-dir": _LOCOMOTION,
    "ant-dir-arc": _LOCOMOTION,
    "hopper-param": _SHORT,
    "walker-param": _SHORT,
}
"""What Meta-DT's authors chose for each suite: return scale, window K and prompt length k."""

SMALL_BUDGET: Mapping[str, Any] = {
    "width": 64,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "warmup": 50,
    "decay": True,
    "precision": "auto",
}
"""What minutes on a CPU want: half the width, a learning rate near 1e-3, a short warm-up, no dropout, half
precision."""
