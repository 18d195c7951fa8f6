"""Receptors of muscles and tendons, one file each."""

from mirrorneuron._registry import Registry
from mirrorneuron.muscle._contracts import Receptor

receptors: Registry[Receptor] = Registry(__name__, Receptor)
