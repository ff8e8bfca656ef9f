"""Actor-critics trained on what an ensemble imagines (Dyna): branches, the loop, and acting.

What a method adds to a branch or to a loss, and its configuration, is its own folder's affair.
"""
