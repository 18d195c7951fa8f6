"""Plants: skeletons with their muscles, one file each."""

from mirrorneuron._registry import Registry

from ..plant import Plant

plants: Registry[Plant] = Registry(__name__, Plant)
