"""MDN-RNN: a recurrent world model whose outcomes are mixtures, and whose state is its memory of the task.

What acts in it is its users' affair.
"""
