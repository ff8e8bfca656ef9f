"""How a suite's datasets are made: their recipes in suite.toml, and what kind of data each of them is, in words.

What a suite is beside its data belongs to `suites.schema`; making the data belongs to `data.making`.
"""
