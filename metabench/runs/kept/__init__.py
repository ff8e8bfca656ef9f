"""What stays on disk of a cell: its record, its run folder while it runs, its trained policy.

Only forms and places are decided here; what runs cells is `execute`, beside this room.
"""
