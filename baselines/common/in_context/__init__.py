"""Methods that infer the task in their context: a transformer reads episodes, and no weight changes after training.

What ad, dpt and ic-iql share: training, acting with kept keys and values, saving. Each makes contexts of its own kind.
"""
