"""What several methods share: the decision transformer, planning in a learned model, synthetic priors, optimisation.

No method lives here. A method's folder imports from here and from itself, never from another method's.
"""
