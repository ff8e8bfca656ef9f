"""Classic control and two toy worlds as batched simulators, in NumPy only; each with a scripted teacher.

The dynamics of Gymnasium's environments are kept to the last bit. Nothing that needs another package may come in here.
"""
