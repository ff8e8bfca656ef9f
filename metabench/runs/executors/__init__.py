"""Who runs cells: processes of this machine, Ray or SLURM; and the events by which they tell of them.

What happens within a cell is decided in `execute_cell`, beside this room; nothing here reads or writes records.
"""
