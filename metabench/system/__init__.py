"""What every floor needs of the machine: home folders, whole-file writing, TOML, cores, optional packages.

It knows nothing of suites, methods or records, and imports nothing of metabench but its errors.
"""
