"""The track `prediction`: held-out logged trajectories, what a policy says of them, sums of its errors, and errors.

Nothing acts here and no simulator is asked; records and tables of many methods stay out.
"""
