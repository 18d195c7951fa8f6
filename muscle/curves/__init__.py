"""Force curves of muscle fibres, one file each."""

from mirrorneuron._registry import Registry

from .._contracts import Curves

curves: Registry[Curves] = Registry(__name__, Curves)
