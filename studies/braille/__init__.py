"""Braille letters by touch: events of capacitive taxels, read by spiking networks."""
