"""Training, selecting and calibrating the teachers that data is made from.

How a teacher acts belongs to its task family in `envs`; rolling out data with it to `data.making`.
"""
