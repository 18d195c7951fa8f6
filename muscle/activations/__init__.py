"""Activation dynamics, one file each."""

from mirrorneuron._registry import Registry

from .._contracts import Activation

activations: Registry[Activation] = Registry(__name__, Activation)
