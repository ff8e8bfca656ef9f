"""What every floor needs: home folders, whole-file writing, TOML, cores, optional packages, strict models, wording.

It knows nothing of suites, methods or records, and imports nothing of metabench but its errors.
"""
