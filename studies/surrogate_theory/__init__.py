"""Surrogate gradients in theory: what they are the gradient of, and of what they are not."""
