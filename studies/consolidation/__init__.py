"""Synapses that consolidate: how long memories last, and what is left of earlier tasks."""
