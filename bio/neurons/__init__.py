"""Neuron models, one file each."""

from mirrorneuron._registry import Registry

from ._contracts import NeuronModel

neurons: Registry[NeuronModel] = Registry(__name__, NeuronModel)
