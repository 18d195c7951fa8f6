"""Models of electrical synapses, one file each."""

from mirrorneuron._registry import Registry

from ._contracts import JunctionModel

junctions: Registry[JunctionModel] = Registry(__name__, JunctionModel)
