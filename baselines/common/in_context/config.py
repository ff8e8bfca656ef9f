"""What methods that learn in their context are configured by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..decision_transformer.config import TransformerSize


class InContextConfig(TransformerSize):
    """Transformer, length of the context, training budget, and how the policy acts."""

    width: int = Field(64, ge=1, description="width of the transformer")
    layers: int = Field(3, ge=1, description="number of GPT-2 blocks")
    heads: int = Field(1, ge=1, description="attention heads a block")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout of embeddings, attention and residual branches"
    )
    episodes: int = Field(
        5, ge=2, description="episodes that a context holds, including the running one"
    )
    steps_per_episode: int = Field(
        20,
        ge=1,
        description="largest number of steps of an episode in the context; of a longer episode every k-th step is "
        "kept, with the smallest k that fits the horizon",
    )
    kept_support: Literal["last", "best"] = Field(
        "last",
        description="support episodes that the context keeps if not all fit: the last ones, or those with the "
        "highest returns, in ascending order",
    )
    sampling: Literal["never", "support", "always"] = Field(
        "support",
        description="episodes in which actions are drawn from the predicted distribution; elsewhere the policy takes "
        "the most likely action",
    )
    random_support: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of uniformly random actions in support episodes",
    )
    updates: int = Field(4_000, ge=1, description="gradient updates")
    batch_size: int = Field(32, ge=1, description="contexts an update")
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="AdamW's learning rate after the warm-up, decayed to a tenth by half a cosine",
    )
    warmup: int = Field(100, ge=0, description="updates of linear learning-rate warm-up")
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's weight decay")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    log_interval: int = Field(
        100, ge=1, description="updates between two rows of the training curve"
    )

    def choose_stride(self, horizon: int) -> int:
        """Of how many steps a context keeps one."""
        return -(-horizon // self.steps_per_episode)

    def count_slots(self, horizon: int) -> int:
        """Steps of a whole episode that a context keeps."""
        return -(-horizon // self.choose_stride(horizon))


TINY: Mapping[str, Any] = {
    "width": 16,
    "layers": 2,
    "heads": 2,
    "episodes": 3,
    "updates": 40,
    "batch_size": 16,
    "warmup": 5,
    "log_interval": 10,
}
"""The budget of tests."""
