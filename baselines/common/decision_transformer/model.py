"""The network: embedded steps and prompts through GPT-2 blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from metabench import Spaces

from .blocks import run_blocks
from .config import CodePlacement, TransformerConfig, TransformerSize


class CausalTransformer(nn.Module):
    """GPT-2 blocks over embedded tokens; the position table is zero and stays so (steps carry a timestep embedding)."""

    def __init__(self, config: TransformerSize, tokens: int) -> None:
        """Make the blocks for at most `tokens` tokens: pre-layer-norm, ReLU, inner width 4 times the width."""
        super().__init__()
        self.backbone = GPT2Model(
            GPT2Config(
                vocab_size=1,
                n_positions=tokens,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                n_inner=4 * config.width,
                activation_function="relu",
                resid_pdrop=config.dropout,
                embd_pdrop=config.dropout,
                attn_pdrop=config.dropout,
                bos_token_id=None,
                eos_token_id=None,
                attn_implementation="sdpa",
            )
        )
        # Steps carry a timestep embedding of their own, so GPT-2's table must add nothing; its word table is unused.
        for table in (self.backbone.wpe.weight, self.backbone.wte.weight):
            nn.init.zeros_(table)
            table.requires_grad_(False)
        self.heads = config.heads
        self.reduced = False  # precision of products

    def forward(self, tokens: Tensor, visible: Tensor, read: Tensor | None = None) -> Tensor:
        """Run all tokens `(B, L, W)` at once; `visible` `(B, L)` is false at padding.

        Returns `(B, L, W)`, or `(B, R, W)` of the tokens at the `(R,)` places `read`.
        """
        # In training alone: losses are compared, and actions taken, in full precision.
        precision = torch.bfloat16 if self.training and self.reduced else torch.float32
        return run_blocks(self.backbone, tokens, visible, read, precision)


class PromptedTransformer(nn.Module):
    """Predicts actions of a window of steps after a prompt of steps of the same task.

    A step is the tokens return-to-go, task code (if any), observation, action, in this order; a prompt step has no
    task code. The action is read at the observation's token.
    """

    def __init__(
        self, config: TransformerConfig, spaces: Spaces, code_dim: int, placement: CodePlacement
    ) -> None:
        """Make the network.

        Args:
            config: sizes.
            spaces: the suite's spaces.
            code_dim: length of the task code; 0 for none.
            placement: where the task code goes.
        """
        super().__init__()
        width, action_dim = config.width, spaces.action_dim
        self.config, self.spaces, self.code_dim = config, spaces, code_dim
        self.code_token = code_dim > 0 and placement == "token"
        self.code_features = code_dim > 0 and placement == "features"
        self.embed_return = nn.Linear(1, width)
        self.embed_action = nn.Linear(action_dim, width)
        self.embed_timestep = nn.Embedding(spaces.horizon, width)
        if self.code_features:
            self.observation_features = nn.Linear(spaces.observation_dim, 16)
            self.embed_observation = nn.Linear(16 + code_dim, width)
        else:
            self.embed_observation = nn.Linear(spaces.observation_dim, width)
        if code_dim > 0 and not self.code_features:
            self.embed_code = nn.Linear(code_dim, width)
        self.embed_norm = nn.LayerNorm(width)
        self.prompt_return = nn.Linear(1, width)
        self.prompt_observation = nn.Linear(spaces.observation_dim, width)
        self.prompt_action = nn.Linear(action_dim, width)
        self.prompt_timestep = nn.Embedding(spaces.horizon, width)
        self.transformer = CausalTransformer(
            config, 3 * config.prompt_length + self.tokens_per_step * config.window
        )
        self.action_head = nn.Linear(width, action_dim)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one step of the main window."""
        return 4 if self.code_token else 3

    def use_precision(self, precision: str) -> None:
        """Train in `full` precision (the default) or with the blocks' products in `bfloat16`."""
        self.transformer.reduced = precision == "bfloat16"

    def embed_context(
        self, returns: Tensor, codes: Tensor | None, observations: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Tokens of steps before their actions: `(B, K, tokens_per_step - 1, W)`.

        Args:
            returns: `(B, K)` scaled returns-to-go.
            codes: `(B, K, code_dim)`, or None if the model has none.
            observations: `(B, K, observation_dim)` normalised.
            timesteps: `(B, K)` int64.
        """
        time = self.embed_timestep(timesteps)
        if self.code_features:
            assert codes is not None
            observations = torch.cat([self.observation_features(observations), codes], dim=-1)
        tokens = [
            self.embed_return(returns[..., None]) + time,
            self.embed_observation(observations) + time,
        ]  # (B, K, W)
        if self.code_token:
            assert codes is not None
            tokens.insert(1, self.embed_code(codes) + time)
        elif self.code_dim and not self.code_features:
            assert codes is not None
            tokens[1] = tokens[1] + self.embed_code(codes)
        output: Tensor = self.embed_norm(
            torch.stack(tokens, dim=2)
        )  # (B, K, tokens_per_step - 1, W)
        return output

    def embed_actions(self, actions: Tensor, timesteps: Tensor) -> Tensor:
        """Tokens of `(B, K, action_dim)` action features: `(B, K, 1, W)`."""
        tokens = self.embed_action(actions) + self.embed_timestep(timesteps)  # (B, K, W)
        output: Tensor = self.embed_norm(tokens)[:, :, None]
        return output

    def embed_prompt(
        self, returns: Tensor, observations: Tensor, actions: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Tokens of a prompt of k steps: `(B, 3k, W)`, not layer-normed, with embeddings of their own."""
        time = self.prompt_timestep(timesteps)
        tokens = torch.stack(
            [
                self.prompt_return(returns[..., None]) + time,
                self.prompt_observation(observations) + time,
                self.prompt_action(actions) + time,
            ],
            dim=2,
        )
        return tokens.flatten(1, 2)

    def predict(self, hidden: Tensor) -> Tensor:
        """Action features of observation tokens' outputs: within (-1, 1), or one logit a discrete action."""
        output: Tensor = self.action_head(hidden)
        return output if self.spaces.discrete else torch.tanh(output)

    def forward(
        self, steps: dict[str, Any], prompt: dict[str, Any] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Predict all actions of a batch at once.

        Args:
            steps: `returns, observations, actions, timesteps, mask` and `codes` (or None) of the windows.
            prompt: `returns, observations, actions, timesteps, mask` of the prompts, or None.

        Returns:
            `(B, K, action_dim)` predictions, and `(B, k, action_dim)` of the prompt's actions or None.
        """
        parts = (steps[name] for name in ("returns", "codes", "observations", "timesteps"))
        context = self.embed_context(*parts)  # (B, K, tokens_per_step - 1, W)
        action = self.embed_actions(steps["actions"], steps["timesteps"])
        tokens = torch.cat([context, action], dim=2).flatten(1, 2)  # (B, K * tokens_per_step, W)
        visible = steps["mask"].repeat_interleave(self.tokens_per_step, dim=1)
        prompt_tokens = 0
        if prompt is not None:
            parts = (prompt[name] for name in ("returns", "observations", "actions", "timesteps"))
            first = self.embed_prompt(*parts)  # (B, 3k, W)
            prompt_tokens = first.shape[1]
            tokens = torch.cat([first, tokens], dim=1)
            visible = torch.cat([prompt["mask"].repeat_interleave(3, dim=1), visible], dim=1)
        # An action is read where its observation was put in: the last token of a step but for the action itself.
        places = torch.arange(tokens.shape[1], device=tokens.device)
        observed = places[prompt_tokens + self.tokens_per_step - 2 :: self.tokens_per_step]
        read = torch.cat([places[1:prompt_tokens:3], observed])  # (k + K,)
        # No prediction needs the last action.
        hidden = self.transformer(tokens[:, :-1], visible[:, :-1], read)  # (B, k + K, W)
        predicted = self.predict(hidden)
        if prompt is None:
            return predicted, None
        count = prompt_tokens // 3
        return predicted[:, count:], predicted[:, :count]


class AchievableReturn(nn.Module):
    """Predicts an upper expectile of the return-to-go from observation, task code and timestep."""

    def __init__(self, spaces: Spaces, code_dim: int) -> None:
        """Make a two-layer network."""
        super().__init__()
        self.horizon = spaces.horizon
        size = spaces.observation_dim + code_dim + 1
        self.layers = nn.Sequential(
            nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
        )  # fmt: skip

    def forward(self, observations: Tensor, codes: Tensor | None, timesteps: Tensor) -> Tensor:
        """Scaled returns-to-go `(...,)` for `(..., observation_dim)`, `(..., code_dim)` and `(...,)`."""
        parts = [observations, timesteps[..., None].to(observations.dtype) / self.horizon]
        if codes is not None:
            parts.append(codes)
        output: Tensor = self.layers(torch.cat(parts, dim=-1))[..., 0]
        return output


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric squared loss of `error` = target - prediction, elementwise.

    With `expectile` above a half the prediction settles near the best that is reached: falling short costs more.
    """
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return weight * error**2
