"""Foreign policies in processes of their own, which are given arrays and nothing else.

Both ends are here: what the evaluator opens, and what runs in the process. Nothing that comes out is unpickled.
"""
