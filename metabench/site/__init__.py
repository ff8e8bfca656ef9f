"""The documentation site: which files it shows, and the reference pages that are made from what the code declares.

MkDocs calls `hooks` (see mkdocs.yml). Text stays out: pages lie beside what they tell of. No other room imports this.
"""
