"""Acting: every state is asked for, given support and running episode."""

from __future__ import annotations

from ..common.in_context.transition_policy import TransitionPolicy


class DPTPolicy(TransitionPolicy):
    """Does what the transformer takes for best, given the transitions in the context."""
