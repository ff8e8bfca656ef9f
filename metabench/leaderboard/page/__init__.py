"""The leaderboard as one static page, which opens from a file.

Templates and the data they embed; numbers are computed in `scores`.
"""
