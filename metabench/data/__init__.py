"""Logged data: loading it, its arrays (`columns`), and the batches that methods train on.

How data is made, stored, shown and imported is in the rooms below. What a suite asks for belongs to `suites`, who acts
on what is learned from it to `evaluation`: nothing here knows a method.
"""
