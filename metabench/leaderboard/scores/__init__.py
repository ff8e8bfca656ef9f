"""From records to numbers: entries, estimates with intervals, standings and overall tables.

Nothing here reads or writes files, or formats numbers for people.
"""
