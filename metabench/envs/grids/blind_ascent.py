def propose_climbs(training, horizon): return {}
