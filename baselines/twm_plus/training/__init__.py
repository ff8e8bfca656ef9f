"""What trains: batches of windows and support, rewards of other tasks, imagination, losses, updates, and the loop.

Of it acting needs `imagination.read_context` alone, and fine-tuning the updates.
"""
