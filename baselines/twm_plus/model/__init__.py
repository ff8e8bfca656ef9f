"""TWM's networks: transformer with memory, observation model, dynamics, and the world model they make."""
