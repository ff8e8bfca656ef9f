"""What several methods share: the decision transformer, planning in a learned model, synthetic priors, optimisation.

No method lives here. A method's folder imports from here and from itself, and from another
method's only where it builds on that method, as meta-dt-plus does on meta-dt.
"""
