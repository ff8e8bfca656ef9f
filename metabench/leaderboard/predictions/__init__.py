"""Boards of the prediction track: errors of world models, from the sums that records hold to places and a table.

Scores of acting are in `scores`; how a prediction is measured is in `evaluation.prediction`.
"""
