"""bio: neurons and synapses as Brian2 equations, with the paper that each comes from.

`neurons["adex"].group(100)` is a plain Brian2 NeuronGroup, and
`synapses["alpha_current"].connect(...)` plain Brian2 Synapses. `cells["geminiani"]["golgi"]` is a
published cell: a neuron with its values and its receptors by input. `plasticity["pf_pc_sinexp"]`
makes synapses that learn, `junctions["gap_junction"]` electrical ones. `cerebellum(scale=0.1)` lays
a circuit out.
"""

if __name__ == "bio":
    raise ImportError("import bio: this folder is one package only. Write import mirrorneuron.bio.")

from .cells import Cell, Family, cells
from .circuits import Circuit, Trains, cerebellum
from .junctions import junctions
from .junctions._contracts import JunctionModel
from .neurons import neurons
from .neurons._contracts import NeuronModel
from .plasticity import PlasticityRule, Teaching, plasticity
from .synapses import synapses
from .synapses._contracts import SynapseModel

__all__ = [
    "Cell",
    "Circuit",
    "Family",
    "JunctionModel",
    "NeuronModel",
    "PlasticityRule",
    "SynapseModel",
    "Teaching",
    "Trains",
    "cells",
    "cerebellum",
    "junctions",
    "neurons",
    "plasticity",
    "synapses",
]
