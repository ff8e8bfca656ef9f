"""Foreign code in processes of its own: told of itself, trained, or acting on arrays and nothing else.

Both ends are here: what the evaluator opens, and what runs in the process. Nothing that comes out is unpickled.
"""
