r"""The single circuit of spiking neurons: pairs of populations of leaky integrators with noise.

$\tau_m \dot v = u/3 - v + \sigma \sqrt{2 \tau_m} \xi$, a spike at $v > 1$, $v \to 0$. Rates are in
units of $1/(3 \tau_m)$, about 17 Hz, so that they grow by 1 with $u$ far above threshold. $s_E$ and
$s_I$ are the spikes of a population through a synapse of 20 ms; the top-down input passes a slow
filter:

    τ_E u̇_E = −u_E + x − s_I             τ_f ȧ = g (target − s_E) − a
    τ_I u̇_I = −u_I + s_E − a             ẇ = [s_E − (θ + δ s_I)] x

The rate version has the measured rate of one such neuron over u in place of the softplus, and the
line is a secant of its inverse. The factor φ′, which is positive, is left out: it moves no
change of sign.

Source: the circuit of Rossbroich & Zenke 2023, arXiv:2310.19614; there are no spikes in it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, ms, second
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

import mirrorneuron as mn

from ._activation import Line
from ._circuit import GAIN, Curve
from ._root import root

Rates = Float[np.ndarray, " input"]
UNIT = 1 / 60e-3  # of rates [Hz], one over three membrane time constants
CROSSED = 0.2, 2.0  # rates at which the line is the inverse
NAMES = {
    "tau_m": 20 * ms, "tau_E": 20 * ms, "tau_I": 5 * ms, "tau_s": 20 * ms, "tau_f": 300 * ms,
    "sigma": 0.25,
}  # fmt: skip
CELL = """
dv/dt = (drive/3 - v)/tau_m + sigma*sqrt(2/tau_m)*xi : 1
drive : 1
"""
POOL = """
du_E/dt = (-u_E + x - s_I)/tau_E : 1
du_I/dt = (-u_I + s_E - top)/tau_I : 1
dtop/dt = (gain*(target - s_E) - top)/tau_f : 1
ds_E/dt = -s_E/tau_s : 1
ds_I/dt = -s_I/tau_s : 1
dmean_E/dt = int(t >= settled)*s_E/measured : 1
dmean_I/dt = int(t >= settled)*s_I/measured : 1
dw/dt = int(t >= settled)*(s_E - (theta + delta*s_I))*x/measured : 1
x : 1 (constant)
"""


@dataclass(frozen=True)
class SpikingCircuit:
    """Populations in the circuit.

    Arguments:
        seed: Of the noise.
        size: Neurons in each population.
        inputs: Number of circuits, each with an input of its own.
        settled: Before the measurement [s].
        measured: Its length [s].
        dt: Time step [s].
    """

    seed: int
    size: int = 50
    inputs: int = 24
    settled: float = 1.5
    measured: float = 4.0
    dt: float = 0.2e-3

    @cached_property
    def rate(self) -> PchipInterpolator:
        """Rate of one neuron over its input, measured."""
        drives = np.linspace(-1.0, 13.0, 29)
        count = 4 * self.size

        def build() -> Network:
            cells = self._cells("cells", len(drives) * count)
            cells.drive = np.repeat(drives, count)
            return Network(cells)

        ran = mn.simulate(
            build, self.measured / 2 * second, "native", seed=self.seed, namespace={}, report=None
        )
        late = ran.spikes["cells"].t > 0.2
        counts = np.bincount(ran.spikes["cells"].index[late] // count, minlength=len(drives))
        rates = counts / (count * (self.measured / 2 - 0.2) * UNIT)
        return PchipInterpolator(drives, np.maximum.accumulate(rates))

    @cached_property
    def line(self) -> Line:
        """Through the inverse of the rate at two rates."""
        low, high = (root(lambda u, r=r: float(self.rate(u)) - r, 0.0, 12.0) for r in CROSSED)
        delta = (high - low) / (CROSSED[1] - CROSSED[0])
        return Line(low - delta * CROSSED[0], delta)

    def _cells(self, name: str, count: int) -> NeuronGroup:
        return NeuronGroup(
            count, CELL, threshold="v > 1", reset="v = 0", method="euler", name=name,
            namespace=NAMES, dt=self.dt * second,
        )  # fmt: skip

    def build(self, target: float | None, drives: Rates) -> Network:
        """The circuits; without a target there is no top-down input."""
        names: dict[str, Any] = {
            **NAMES, **self.line._asdict(), "settled": self.settled * second,
            "measured": self.measured * second, "target": target or 0.0,
            "gain": 0.0 if target is None else GAIN, "jump": 1 / (self.size * UNIT * 20e-3),
        }  # fmt: skip
        step = self.dt * second
        pools = NeuronGroup(
            len(drives), POOL, method="euler", name="pools", namespace=names, dt=step
        )
        pools.x = drives
        objects: list[Any] = [pools]
        for kind in "EI":
            cells = self._cells(f"cells_{kind}", len(drives) * self.size)
            driven = Synapses(
                pools, cells, f"drive_post = u_{kind}_pre : 1 (summed)", name=f"driven_{kind}",
                dt=step,
            )  # fmt: skip
            heard = Synapses(
                cells, pools, on_pre=f"s_{kind}_post += jump", name=f"heard_{kind}",
                namespace=names, dt=step,
            )  # fmt: skip
            members = np.arange(len(cells))
            driven.connect(i=members // self.size, j=members)
            heard.connect(i=members, j=members // self.size)
            objects += [cells, driven, heard]
        return Network(objects)

    def curve(self, target: float | None, low: float, high: float) -> Curve:
        """Change of the weights over the rate, of circuits with inputs between two values."""
        drives = np.linspace(low, high, self.inputs)
        ran = mn.simulate(
            lambda: self.build(target, drives), (self.settled + self.measured) * second, "native",
            seed=self.seed + 1, namespace={}, report=None,
        )  # fmt: skip
        mean_E, mean_I, w = (ran.final[f"pools.{x}"] for x in ("mean_E", "mean_I", "w"))
        return Curve(mean_E, mean_I, w)

    def rate_version(self, target: float | None, low: float, high: float) -> float:
        """Rate between two others at which the change is 0 in the rate version."""

        def excess(rate: float) -> float:
            error = 0.0 if target is None else target - rate
            return rate - self.line(float(self.rate(rate - GAIN * error)))

        return root(excess, low, high)
