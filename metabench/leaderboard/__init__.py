"""Leaderboards: from records to tables, JSON and a page, and the only way into the published records.

Everything is computed from records alone: nothing here trains, and only `submission` measures anything again.
"""
