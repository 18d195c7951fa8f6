"""Starts at which fluctuations reach the threshold: what they are worth in training."""
