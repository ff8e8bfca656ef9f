"""Methods: the plugin contract, the registry, the conformance check."""
