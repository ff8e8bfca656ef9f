"""The judge: the protocol's tracks and quotas, the rollout loop, scores and statistics.

It knows one policy, one suite and rows of episodes; training, files of records and tables of many methods stay out.
"""
