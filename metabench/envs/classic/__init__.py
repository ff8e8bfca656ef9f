"""Classic control and two toy worlds as batched simulators, in NumPy only; each with a scripted teacher."""
