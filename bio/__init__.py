"""bio: neurons and synapses as Brian2 equations, with the paper that each comes from.

`neurons["adex"].group(100)` is a plain Brian2 NeuronGroup, and
`synapses["alpha_current"].connect(...)` plain Brian2 Synapses.
"""

if __name__ == "bio":
    raise ImportError("import bio: this folder is one package only. Write import mirrorneuron.bio.")

from ._contracts import NeuronModel, SynapseModel
from .neurons import neurons
from .synapses import synapses

__all__ = ["NeuronModel", "SynapseModel", "neurons", "synapses"]
