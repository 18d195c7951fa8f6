"""Spiking networks that learn to hold an arm: a forearm upright, a hand in its place."""
