"""Methods that encode a task's transitions into a code, and act by observation and code: the program they share.

Each of them is a loss for the encoder (`EncoderObjective`); the actor-critic is `common/actor_critic`.
"""
