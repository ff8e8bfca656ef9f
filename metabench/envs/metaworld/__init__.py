"""Meta-World's manipulation tasks, as fixed by explicit numbers: 50 environments, reward v2, hidden goals."""
