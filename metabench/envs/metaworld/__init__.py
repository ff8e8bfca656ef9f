"""Meta-World's environments as lanes, and its scripted policies as their teacher.

The numbers are Meta-World's own. `families`, `environments` and `task` must stay free of its package, so that
suites can be listed and checked without it.
"""
