"""Data: spiking inputs with labels that are generated, not downloaded."""

from .randman import SpikeTimes, randman

__all__ = ["SpikeTimes", "randman"]
