"""Receptors of muscles and tendons, one file each."""

from mirrorneuron._registry import Registry

from .._contracts import Receptor

receptors: Registry[Receptor] = Registry(__name__, Receptor)
