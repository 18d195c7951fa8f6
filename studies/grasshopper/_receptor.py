"""The receptor as a Brian2 network; the equations are those of the study's docstring."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, TimedArray, second

from .._contracts import Study
from ._recording import DURATION, Session, Times, late

Values = Mapping[str, float]

LEVELS = ("1", "2", "3", "4")
ADD = "; ".join(f"h{k} += a{k}" for k in LEVELS)
START: Values = {
    "tau_x": 0.5e-3, "tau_m": 1e-3, "tau_u": 20e-3, "k": 0.3, "g": 3.0, "b": -1.5, "c": 0.05,
    "a1": 3.0, "T1": 4e-3, "a2": 0.5, "T2": 40e-3, "a3": 0.05, "T3": 0.5, "a4": 0.004, "T4": 4.0,
}  # fmt: skip
TIMES = {name for name in START if name[0] in "tT"}
EQUATIONS = """
dx/dt = (sound(t)**2 - x)/tau_x : 1
y = log(x + c)/2 : 1
du/dt = (y - u)/tau_u : 1
dv/dt = (g*(y - k*u) + b - v)/tau_m : 1
""" + "\n".join(
    [f"dh{k}/dt = -h{k}/T{k} : 1" for k in LEVELS]
    + [f"{name} : {'second' if name in TIMES else '1'} (constant)" for name in START]
)


@dataclass(frozen=True)
class ReceptorStudy(Study):
    """Settings of the study, and the neuron.

    Arguments:
        dt: Time step [s].
        latency: From the filtered sound to the recorded spike [s].
        refractory: After each spike [s].
        window, warm_up: Length of the windows in which recording 1 is fitted, and of what precedes
            each, over which the gradient goes back [s].
        spread: Standard deviation of the logarithms of the values at the start of the fit.
        steps: Steps of L-BFGS.
        shrink: Pull towards the starting values, of which the logarithm is meant.
        shifts: Shifts of the bias that are tried in free runs.
        repeats: Seeds of the gradient-free fit.
        budget: Share of the gradient fit's simulated seconds that each of them gets.
        draws: Draws of each Poisson model.
    """

    dt: float = 0.5e-3
    latency: float = 6e-3
    refractory: float = 2e-3
    window: float = 0.5
    warm_up: float = 1.0
    spread: float = 0.3
    steps: int = 12
    shrink: float = 0.02
    shifts: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2)
    repeats: int = 3
    budget: float = 1.0
    draws: int = 50

    def network(self, session: Session, n: int = 1) -> Network:
        """Neurons that hear a recording and fire on their own, with the usual values."""
        refractory: Any = self.refractory * second  # brian2 declares it a bool
        sound = TimedArray(session.sound, dt=self.dt * second, name="sound")
        cells = NeuronGroup(
            n, EQUATIONS, threshold="v > h1 + h2 + h3 + h4", reset=ADD, refractory=refractory,
            method="exponential_euler", dt=self.dt * second, namespace={"sound": sound},
            name="receptor",
        )  # fmt: skip
        set_values(cells, START)
        cells.x = session.sound[0] ** 2
        return Network(cells, SpikeMonitor(cells, name="spikes"))

    def simulate(self, session: Session, values: Values, latency: float) -> Times:
        """Spike times of a neuron with these values, in Brian2."""
        network = self.network(session)
        set_values(network["receptor"], values)
        network.run(DURATION * second, namespace={})
        return late(np.array(network["spikes"].t_), latency)


def set_values(cells: NeuronGroup, values: Mapping[str, Any]) -> None:
    """Give neurons their parameters, in SI units, and start the voltage at the bias."""
    for name, value in values.items():
        setattr(cells, name, value * second if name in TIMES else value)
    cells.v = cells.b_[:]
