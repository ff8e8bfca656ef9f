"""Looking into a trained TWM: open-loop errors, attention, reconstructions. Training and acting need none of it."""
