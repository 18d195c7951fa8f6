"""Data: spiking inputs with labels that are generated, not downloaded."""

from .randman import SpikeDataset, randman

__all__ = ["SpikeDataset", "randman"]
