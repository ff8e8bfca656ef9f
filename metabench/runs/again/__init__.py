"""Scoring or training once more what was kept: a saved policy, a record's policy, a record's training.

Nothing here writes records: what comes out is compared with them, or shown.
"""
