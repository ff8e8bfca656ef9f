"""Tries an installation and says what is wrong with it, and what to do.

It only looks and reports: nothing here installs, repairs or runs cells.
"""
