"""From a suite's recipe to a dataset: plan the trajectories, roll them out, write and check them.

File formats belong to `storage`, other people's files to `foreign`, the training of teachers to `teachers`.
"""
