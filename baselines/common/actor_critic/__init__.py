"""Values and policies learned from logged transitions: networks, losses and one step of training, for any features.

What the features are (observations, codes of a task, a world model's state) is its users' affair, and so is the loop.
"""
