"""A spiking cerebellum that learns to correct an arm in a force field."""
