"""Dark rooms: small grids with five actions, in which a walker sees its cell and nothing of what it looks for.

Grids and what walks in them belong here: tasks, teachers, blind maps. No grid with walls inside, and nothing that needs
another package than NumPy.
"""
