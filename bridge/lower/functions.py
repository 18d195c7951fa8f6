"""Functions that statements call."""

RANDOM = frozenset({"rand", "randn", "poisson"})
