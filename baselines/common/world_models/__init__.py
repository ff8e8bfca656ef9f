"""World models that are trained on many tasks: the contract, the models that keep it, and acting by planning in them.

Models that are fitted to a support alone are in `fitted_models`. Learning a policy from imagined steps is in `dyna`.
"""
