"""Dis-inhibitory control of the sign of plasticity: circuits, teacher and student, classifier."""
