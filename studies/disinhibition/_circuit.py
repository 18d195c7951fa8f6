r"""The single circuit: what sign a synapse's change has, over the rate of its neuron.

An excitatory neuron inhibits itself through its inhibitory partner. Top-down input dis-inhibits it
in proportion to an error:

    τ u̇_E = −u_E + x − φ(u_I)
    τ u̇_I = −u_I + φ(u_E) − g (target − φ(u_E))
    ẇ = φ′(u_E) [φ(u_E) − T(φ(u_I))] x          T = φ⁻¹, or the line θ + δ r in its place

Where the error is 0, $u_I = r_E$, and the exact rule changes sign at the target. Without top-down
input the line makes a threshold as in the rule of Bienenstock, Cooper & Munro, where $r = \theta +
\delta \varphi(r)$. A neuron without its partner has the threshold $\theta + \delta r_I$.

Source: Rossbroich & Zenke 2023, section 3.3 and figure 3, arXiv:2310.19614, with the constants of
its code: $\varphi$ is a softplus shifted by 3, $g = 5$, and $(\theta, \delta)$ is (1.5, 1.5) or
(0.9, 1.8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, ms
from jaxtyping import Float

import mirrorneuron as mn

from ._activation import Line, Softplus
from ._root import root

PHI = Softplus(1.0, 3.0)
GAIN = 5.0
LINES = (Line(1.5, 1.5), Line(0.9, 1.8))
TAU = 10 * ms
Rates = Float[np.ndarray, " input"]


class Curve(NamedTuple):
    """Change of a weight over the rate of its neuron.

    Arguments:
        rate: Excitatory rate in the steady state.
        inhibitory: Inhibitory rate.
        change: $\\dot w$ there, times the time constant of learning.
    """

    rate: Rates
    inhibitory: Rates
    change: Rates

    def crossings(self) -> list[float]:
        """Rates at which the change has the other sign, between samples by a line."""
        r, d = self.rate, self.change
        k = np.flatnonzero(d[:-1] * d[1:] < 0)
        return [float(r[j] - d[j] * (r[j + 1] - r[j]) / (d[j + 1] - d[j])) for j in k]


@dataclass(frozen=True)
class Circuit:
    """Many copies of the circuit, each with an input of its own.

    Arguments:
        line: The linear threshold; None is the exact inverse.
        target: Of the rate; None is no top-down input.
        held: Inhibitory rate of a neuron without its partner; None leaves it its partner.
    """

    line: Line | None
    target: float | None
    held: float | None = None

    def build(self, inputs: Rates) -> Network:
        """The circuits, and a plastic synapse onto each."""
        error = "0" if self.target is None else f"({self.target!r} - r_E)"
        inhibition = "r_I" if self.held is None else "0"
        seen = PHI.text("u_I") if self.held is None else repr(self.held)
        threshold = PHI.inverse_text("r_I") if self.line is None else self.line.text("r_I")
        cells = NeuronGroup(
            len(inputs),
            f"""
            du_E/dt = (-u_E + I - {inhibition})/tau : 1
            du_I/dt = (-u_I + r_E - {GAIN}*{error})/tau : 1
            r_E = {PHI.text("u_E")} : 1
            r_I = {seen} : 1
            change = {PHI.slope_text("u_E")}*(r_E - {threshold}) : 1
            I : 1
            """,
            method="euler", name="cells", namespace={"tau": TAU}, dt=0.1 * ms,
        )  # fmt: skip
        source = NeuronGroup(len(inputs), "x : 1 (constant)", name="source", dt=0.1 * ms)
        source.x = inputs
        plastic = Synapses(
            source, cells,
            "dw/dt = int(t >= settled)*change_post*x_pre/tau : 1 (clock-driven)\n"
            "weight : 1 (constant)\nI_post = weight*x_pre : 1 (summed)",
            method="euler", name="plastic", namespace={"tau": TAU, "settled": SETTLED},
            dt=0.1 * ms,
        )  # fmt: skip
        plastic.connect(j="i")
        plastic.weight = 1.0
        return Network(source, cells, plastic)

    def curve(self, inputs: Rates) -> Curve:
        """What changes, over the rate, as Brian2 finds it."""
        ran = mn.simulate(
            lambda: self.build(inputs), SETTLED + TAU, "native", record=["cells.u_E", "cells.u_I"],
            namespace={}, report=None, interval=SETTLED,
        )  # fmt: skip
        rate = PHI(ran.final["cells.u_E"])
        held = self.held
        inhibitory = np.full_like(rate, held) if held is not None else PHI(ran.final["cells.u_I"])
        return Curve(rate, inhibitory, ran.final["plastic.w"])

    def threshold(self, low: float, high: float) -> float:
        """Rate between two others at which the change is 0, from the steady state alone."""
        return root(self._excess(), low, high)

    def _excess(self) -> Callable[[float], float]:
        def excess(rate: float) -> float:
            error = 0.0 if self.target is None else self.target - rate
            u = rate - GAIN * error
            seen = PHI(u) if self.held is None else self.held
            if self.line is not None:
                return rate - self.line(seen)
            return rate - (u if self.held is None else PHI.inverse(seen))

        return excess


SETTLED = 300 * ms
EXACT = {target: Circuit(None, target) for target in (4.0, 3.0)}
LINEAR = {target: Circuit(LINES[0], target) for target in (4.0, 3.0)}
ABLATED = {line: Circuit(line, None) for line in LINES}
HELD = {rate: Circuit(LINES[0], None, rate) for rate in (0.25, 0.75, 1.25)}


def grid(high: float, count: int = 401) -> Rates:
    """Inputs of the circuits."""
    return np.linspace(0.0, high, count)
