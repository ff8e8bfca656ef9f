"""The causal transformer over (return-to-go, observation, action) steps that prompt-dt and meta-dt share."""
