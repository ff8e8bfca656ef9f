"""The MuJoCo families: half-cheetah, ant, hopper and walker, many lanes of different tasks at once.

`families` is what suites import, and must stay free of MuJoCo, so that suites can be listed and checked without it.
Training the teachers' networks belongs to `teachers`; here they only act.
"""
