"""Methods that infer the task in their context: a transformer reads episodes, and no weight changes after training.

What ad and dpt share: training, acting with kept keys and values, saving. What a context is made of is each method's own.
"""
