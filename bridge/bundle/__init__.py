"""Bundles: a trained model as one file, which loads without Brian2 and runs no code."""

from .load import load
from .save import save

__all__ = ["load", "save"]
