"""Executors beyond this machine: cells are handed to Ray or SLURM, which share them out."""
