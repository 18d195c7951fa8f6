"""Exchange: networks to and from NIR, the intermediate representation of other simulators."""

from .from_nir import from_nir
from .to_nir import to_nir

__all__ = ["from_nir", "to_nir"]
