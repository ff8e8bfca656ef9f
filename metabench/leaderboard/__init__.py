"""Leaderboards: from records to tables, JSON and a page."""
