"""The fixed points of a network, as the relaxation of a Brian2 network to them."""

import numpy as np
from brian2 import Network as BrianNetwork
from brian2 import NeuronGroup, Synapses, ms, second
from jaxtyping import Float

import mirrorneuron as mn

from ._network import Network

Vector = Float[np.ndarray, " _"]
DT = 0.5 * ms
NAMES = {"tau": 10 * ms}
LAYER = """
du/dt = (-u + drive + below + above)/tau : 1
s = 1/(1 + exp(2 - 4*u)) : 1 (constant over dt)
drive : 1 (constant)
below : 1
above : 1
"""
PATHWAY = "w : 1 (constant)\n{}_post = w*s_pre : 1 (summed)"


def brian_network(network: Network, x: Vector, nudge: Vector) -> BrianNetwork:
    """Layers that relax, $\\tau \\dot u = -u + F(u)$, with tau of 10 ms.

    Arguments:
        network: The weights.
        x: Activity of the input.
        nudge: $\\beta e$, real.
    """
    drives = [b.numpy().copy() for b in network.bias]
    drives[0] += network.forward[0].numpy() @ x
    drives[-1] += nudge
    layers: list[NeuronGroup] = []
    for k, drive in enumerate(drives):
        layer = NeuronGroup(
            len(drive), LAYER, method="euler", dt=DT, name=f"layer_{k}", namespace=NAMES
        )
        layer.drive = drive
        layers.append(layer)
    pathways: list[Synapses] = []
    for k, (w, back) in enumerate(zip(network.forward[1:], network.back, strict=True)):
        for pre, post, name, values in (
            (k, k + 1, "below", w.numpy()), (k + 1, k, "above", back.numpy()),
        ):  # fmt: skip
            pathway = Synapses(
                layers[pre], layers[post], PATHWAY.format(name), dt=DT, name=f"{name}_{k}"
            )
            pathway.connect()
            pathway.w = values[np.asarray(pathway.j), np.asarray(pathway.i)]
            pathways.append(pathway)
    return BrianNetwork(*layers, *pathways)


def relax(network: Network, x: Vector, nudge: Vector, duration: float = 1.0) -> list[Vector]:
    """Where the layers come to rest.

    Arguments:
        network, x, nudge: As in `brian_network`.
        duration: Of the relaxation [s].
    """
    ran = mn.simulate(
        lambda: brian_network(network, x, nudge), duration * second, "native", namespace={},
        report=None,
    )  # fmt: skip
    return [np.asarray(ran.final[f"layer_{k}.u"]) for k in range(len(network.bias))]
