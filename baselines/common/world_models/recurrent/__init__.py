"""A recurrent state-space model: a deterministic state that carries the task, a stochastic one that carries the step.

How it is trained, asked by the contract of world models, and saved; who acts in it is not its affair.
"""
