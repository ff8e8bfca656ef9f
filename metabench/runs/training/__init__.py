"""Training a cell's method, in this process or in one of its own, and keeping what came of it.

What plans cells, scores them or runs several of them is elsewhere.
"""
