"""Traces of online rules: a network that carries the derivatives of its variables along."""
