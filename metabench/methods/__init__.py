"""What a method is: the plugin contract, what training is given, and how methods are found by name.

No algorithm lives here: those are in `baselines` and in plugins, and the conformance check is in `checks`.
"""
