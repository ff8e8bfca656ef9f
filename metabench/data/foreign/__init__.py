"""Other people's data: D4RL, the Meta-DT group's released files, Minari datasets; read carefully and written as ours.

Only this room reads files that metabench did not write. Nothing pickled is loaded unrestricted.
"""
