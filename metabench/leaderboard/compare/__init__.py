"""Two methods by their records: which records to take, the differences, and what they allow to say.

Tables of all methods belong to `scores`.
"""
