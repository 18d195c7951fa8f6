"""The steady states of the classifier, as the relaxation of a Brian2 network to them."""

from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, ms, second
from jaxtyping import Float

import mirrorneuron as mn

Vector = Float[np.ndarray, " _"]
Matrix = Float[np.ndarray, "_ _"]
NAMES = {"tau_E": 20 * ms, "tau_I": 5 * ms, "tau_c": 100 * ms, "k_p": 0.2, "k_i": 0.4, "leak": 1.0}
DURATION = 4.0
HIDDEN = """
du_E/dt = (-u_E + drive - log1p(exp(u_I)))/tau_E : 1
du_I/dt = (-u_I + log1p(exp(u_E)) - top)/tau_I : 1
h = log1p(exp(u_E)) : 1 (constant over dt)
drive : 1 (constant)
top : 1
"""
OUTPUT = """
dy/dt = (-y + I + c)/tau_E : 1
dz/dt = (error - leak*z)/tau_c : 1
error = controlled*(label - exp(y)/total) : 1
c = k_p*error + k_i*z : 1
label : 1 (constant)
I : 1
total : 1
"""
CONNECTED = """
w : 1 (constant)
q : 1 (constant)
I_post = w*h_pre : 1 (summed)
top_pre = q*c_post : 1 (summed)
"""


def network(drive: Vector, out: Matrix, q: Matrix, label: Vector, controlled: bool) -> Network:
    """A hidden layer and a readout, with controller.

    Arguments:
        drive: Input of the hidden neurons and their bias.
        out, q: Weights of the readout and of the feedback, "hidden output".
        label: One at the class, else 0.
        controlled: Whether the controller acts.
    """
    names: dict[str, Any] = {**NAMES, "controlled": float(controlled)}
    common: dict[str, Any] = {"method": "rk4", "dt": 0.5 * ms, "namespace": names}
    hidden = NeuronGroup(len(drive), HIDDEN, name="hidden", **common)
    output = NeuronGroup(len(label), OUTPUT, name="output", **common)
    hidden.drive, output.label = drive, label
    output.total = len(label)
    connected = Synapses(hidden, output, CONNECTED, name="connected", dt=0.5 * ms, namespace=names)
    connected.connect()
    connected.w, connected.q = (x[np.asarray(connected.i), np.asarray(connected.j)]
                                for x in (out, q))  # fmt: skip
    sums = Synapses(output, output, "total_post = exp(y_pre) : 1 (summed)", name="sums",
                    dt=0.5 * ms)  # fmt: skip
    sums.connect()
    return Network(hidden, output, connected, sums)


def relax(
    drive: Vector, out: Matrix, q: Matrix, label: Vector, controlled: bool
) -> dict[str, Vector]:
    """Where the network comes to rest: u_E, u_I and y."""
    ran = mn.simulate(
        lambda: network(drive, out, q, label, controlled), DURATION * second, "native",
        namespace={}, report=None,
    )  # fmt: skip
    found = {"u_E": "hidden.u_E", "u_I": "hidden.u_I", "y": "output.y"}
    return {name: np.asarray(ran.final[key]) for name, key in found.items()}
