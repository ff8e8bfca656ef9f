"""Runs, from what a user asks for to records: plan cells, prepare their data, execute them, keep what came out.

How a policy is scored belongs to `evaluation`, what records say of many methods to `leaderboard`.
"""
