"""Points in the plane: Point-Robot and its kin in NumPy, and the ball of Point-Maze.

What moves like a point and is drawn as one belongs here, with its teachers and blind scripts. Bodies with joints do
not.
"""
