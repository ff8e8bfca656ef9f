"""How a record gets on the leaderboard: bundled, checked, verified by running it again, added.

What is wrong with a record is said here in one line; scores are computed in `scores`.
"""
