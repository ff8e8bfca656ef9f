"""The MuJoCo families: half-cheetah, ant, hopper and walker, many lanes of different tasks at once."""
