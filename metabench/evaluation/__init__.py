"""Evaluation: tracks, the rollout loop, scores and statistics."""
