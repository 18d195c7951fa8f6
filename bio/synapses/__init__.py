"""Synapse models, one file each."""

from mirrorneuron._registry import Registry

from ._contracts import SynapseModel
from ._differentiable import DifferentiableSynapse as DifferentiableSynapse

synapses: Registry[SynapseModel] = Registry(__name__, SynapseModel)
