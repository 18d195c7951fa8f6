"""Backends on which `simulate` runs a network, one file each."""

from mirrorneuron._registry import Registry

from ._contracts import Backend

backends: Registry[Backend] = Registry(__name__, Backend)
