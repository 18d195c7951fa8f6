"""Starts of training: weights with which a network is ready to learn."""

from .fluctuation_driven import fluctuation_driven
from .result import FluctuationStart, Row

__all__ = ["FluctuationStart", "Row", "fluctuation_driven"]
