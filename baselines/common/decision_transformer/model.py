"""The network: embedded steps and prompts through GPT-2 blocks, with an exact key-value cache for acting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from metabench import Spaces

from .config import CodePlacement, TransformerConfig


@dataclass
class Cache:
    """Keys and values of the tokens so far, preallocated; `length` of `capacity` are in use.

    Attributes:
        keys, values: one `(lanes * heads, capacity, width / heads)` tensor a layer.
        visible: `(lanes, capacity)` bool, false for padding.
        length: tokens so far.
    """

    keys: list[Tensor]
    values: list[Tensor]
    visible: Tensor
    length: int = 0


class CausalTransformer(nn.Module):
    """GPT-2 blocks over embedded tokens; the position table is zero and stays so (steps carry a timestep embedding)."""

    def __init__(self, config: TransformerConfig, tokens: int) -> None:
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
        for table in (self.backbone.wpe.weight, self.backbone.wte.weight):
            nn.init.zeros_(table)
            table.requires_grad_(False)
        self.heads = config.heads

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """Run all tokens `(B, L, W)` at once; `visible` `(B, L)` is false at padding. Returns `(B, L, W)`."""
        # Equal position ids would be taken for packed sequences that must not see each other, so they are left alone.
        mask = None if bool(visible.all()) else visible.long()
        output: Tensor = self.backbone(inputs_embeds=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        return output

    def empty_cache(self, lanes: int, capacity: int, like: Tensor) -> Cache:
        """A cache for `lanes` sequences of at most `capacity` tokens, of the type and device of `like`."""
        shape = (lanes * self.heads, capacity, self.backbone.config.n_embd // self.heads)
        layers = range(len(self.backbone.h))
        return Cache(
            keys=[like.new_empty(shape) for _ in layers],
            values=[like.new_empty(shape) for _ in layers],
            visible=torch.zeros(lanes, capacity, dtype=torch.bool, device=like.device),
        )

    def append(self, cache: Cache, tokens: Tensor, visible: Tensor) -> Tensor:
        """Run new tokens `(lanes, n, W)` after those in `cache`, which grows by them; equal to `forward` on all.

        Only for acting: no gradient, no dropout. Returns the output of the last new token, `(lanes, W)`: the last block
        is computed for that token alone.
        """
        lanes, count, width = tokens.shape
        start, end = cache.length, cache.length + count
        cache.visible[:, start:end] = visible
        cache.length = end
        causal = torch.ones(count, end, dtype=torch.bool, device=tokens.device).tril(start)
        itself = torch.eye(count, end, dtype=torch.bool, device=tokens.device).roll(start, 1)
        mask = (causal & cache.visible[:, None, :end]) | itself
        bias = torch.zeros(mask.shape, device=tokens.device, dtype=tokens.dtype).masked_fill_(~mask, float("-inf"))
        bias = bias.repeat_interleave(self.heads, dim=0)
        size = width // self.heads
        hidden = tokens
        for layer, block in enumerate(self.backbone.h):
            parts = block.attn.c_attn(block.ln_1(hidden)).view(lanes, count, 3, self.heads, size)
            query, key, value = parts.permute(2, 0, 3, 1, 4).reshape(3, lanes * self.heads, count, size)
            keys, values = cache.keys[layer][:, :end], cache.values[layer][:, :end]
            keys[:, start:], values[:, start:] = key, value
            if layer == len(self.backbone.h) - 1:
                query, bias, hidden = query[:, -1:], bias[:, -1:], hidden[:, -1:]
            hidden = self.finish_block(layer, hidden, query, keys, values, bias)
        output: Tensor = self.backbone.ln_f(hidden[:, -1])
        return output

    def finish_block(
        self, layer: int, hidden: Tensor, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor
    ) -> Tensor:
        """A block's output `(lanes, n, W)` from its input `hidden`, queries, keys and values; only for acting.

        Args:
            layer: which block.
            hidden: `(lanes, n, W)`.
            query: `(lanes * heads, n, W / heads)`.
            keys: `(lanes * heads, m, W / heads)`.
            values: `(lanes * heads, m, W / heads)`.
            bias: added to the attention's logits; broadcasts to `(lanes * heads, n, m)`.
        """
        block = self.backbone.h[layer]
        lanes, count, _ = hidden.shape
        size = query.shape[-1]
        # Many lanes, few tokens: plain matrix products beat the fused kernel, which is made for long sequences.
        weights = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=size**-0.5).softmax(dim=-1)
        attended = torch.bmm(weights, values).view(lanes, self.heads, count, size).transpose(1, 2)
        hidden = hidden + block.attn.c_proj(attended.reshape(hidden.shape))
        output: Tensor = hidden + block.mlp.c_proj(block.mlp.c_fc(block.ln_2(hidden)).relu_())
        return output


class PromptedTransformer(nn.Module):
    """Predicts actions of a window of steps after a prompt of steps of the same task.

    A step is the tokens return-to-go, task code (if any), observation, action, in this order; a prompt step has no
    task code. The action is read at the observation's token.
    """

    def __init__(self, config: TransformerConfig, spaces: Spaces, code_dim: int, placement: CodePlacement) -> None:
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
        self.transformer = CausalTransformer(config, 3 * config.prompt_length + self.tokens_per_step * config.window)
        self.action_head = nn.Linear(width, action_dim)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one step of the main window."""
        return 4 if self.code_token else 3

    def context_tokens(self, returns: Tensor, codes: Tensor | None, observations: Tensor, timesteps: Tensor) -> Tensor:
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
        tokens = [self.embed_return(returns[..., None]) + time, self.embed_observation(observations) + time]
        if self.code_token:
            assert codes is not None
            tokens.insert(1, self.embed_code(codes) + time)
        elif self.code_dim and not self.code_features:
            assert codes is not None
            tokens[1] = tokens[1] + self.embed_code(codes)
        output: Tensor = self.embed_norm(torch.stack(tokens, dim=2))
        return output

    def action_tokens(self, actions: Tensor, timesteps: Tensor) -> Tensor:
        """Tokens of `(B, K, action_dim)` action features: `(B, K, 1, W)`."""
        output: Tensor = self.embed_norm(self.embed_action(actions) + self.embed_timestep(timesteps))[:, :, None]
        return output

    def prompt_tokens(self, returns: Tensor, observations: Tensor, actions: Tensor, timesteps: Tensor) -> Tensor:
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

    def forward(self, steps: dict[str, Any], prompt: dict[str, Any] | None) -> tuple[Tensor, Tensor | None]:
        """Predict all actions of a batch at once.

        Args:
            steps: `returns, observations, actions, timesteps, mask` and `codes` (or None) of the windows.
            prompt: `returns, observations, actions, timesteps, mask` of the prompts, or None.

        Returns:
            `(B, K, action_dim)` predictions, and `(B, k, action_dim)` of the prompt's actions or None.
        """
        context = self.context_tokens(steps["returns"], steps["codes"], steps["observations"], steps["timesteps"])
        action = self.action_tokens(steps["actions"], steps["timesteps"])
        tokens = torch.cat([context, action], dim=2).flatten(1, 2)
        visible = steps["mask"].repeat_interleave(self.tokens_per_step, dim=1)
        prompt_tokens = 0
        if prompt is not None:
            first = self.prompt_tokens(
                prompt["returns"], prompt["observations"], prompt["actions"], prompt["timesteps"]
            )
            prompt_tokens = first.shape[1]
            tokens = torch.cat([first, tokens], dim=1)
            visible = torch.cat([prompt["mask"].repeat_interleave(3, dim=1), visible], dim=1)
        hidden = self.transformer(tokens[:, :-1], visible[:, :-1])  # no prediction needs the last action
        main = self.predict(hidden[:, prompt_tokens + self.tokens_per_step - 2 :: self.tokens_per_step])
        return main, self.predict(hidden[:, 1:prompt_tokens:3]) if prompt is not None else None


class AchievableReturn(nn.Module):
    """Predicts an upper expectile of the return-to-go from observation, task code and timestep."""

    def __init__(self, spaces: Spaces, code_dim: int) -> None:
        """Make a two-layer network."""
        super().__init__()
        self.horizon = spaces.horizon
        size = spaces.observation_dim + code_dim + 1
        self.layers = nn.Sequential(nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, observations: Tensor, codes: Tensor | None, timesteps: Tensor) -> Tensor:
        """Scaled returns-to-go `(...,)` for `(..., observation_dim)`, `(..., code_dim)` and `(...,)`."""
        parts = [observations, timesteps[..., None].to(observations.dtype) / self.horizon]
        if codes is not None:
            parts.append(codes)
        output: Tensor = self.layers(torch.cat(parts, dim=-1))[..., 0]
        return output


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric squared loss of `error` = target - prediction, elementwise."""
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return weight * error**2
