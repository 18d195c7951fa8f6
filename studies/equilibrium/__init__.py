"""Holomorphic equilibrium propagation: errors from nudged fixed points, and homeostasis."""
