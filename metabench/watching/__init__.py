"""A policy's episodes as a clip: support first, then a scored one, the teacher beside it; MP4 or GIF.

What acts is the evaluator, with its own seeds and in its own company. Nothing here chooses an action or opens a policy
by its name, and no simulator is known here.
"""
