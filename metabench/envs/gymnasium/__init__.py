"""Gymnasium in both directions: its environments as lanes of ours, and one lane of ours as an environment of its.

No environment of our own lives here, and nothing above `envs` is known.
"""
