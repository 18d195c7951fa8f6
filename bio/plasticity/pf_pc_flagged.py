r"""Parallel fibre to Purkinje cell: depression at complex spikes by traces that decay.

For simulators where a synapse reacts to one kind of presynaptic event: a climbing-fibre spike makes
the Purkinje cell fire, its spike carries a flag, and the synapse reacts to flagged spikes alone. A
parallel-fibre spike adds $A_+$, a complex spike at the lag $s \ge 0$ after it adds $A_- K(s)$ with
$K(s) = (e^{-s/\tau_1} - e^{-s/\tau_2})/K_0$, whose peak, at 96 ms, is 1. Independent fibres balance
at the rate of complex spikes $-A_+ K_0/(A_- (\tau_1 - \tau_2))$.

Source: Luque, Naveros, Carrillo, Ros & Arleo 2019, section "Methods" (a kernel made of traces, read
at climbing-fibre spikes), doi:10.1371/journal.pcbi.1006298; constants of `pf_pc_sinexp` and
variants by its sources.
Differs from it: two exponential traces, in place of powers of a sine; our time constants, chosen
for a peak near that of `pf_pc_sinexp`. A climbing-fibre spike acts one step after its arrival, or
when the cell is no longer refractory.
"""

import numpy as np

from ._closed_form import Array, lags
from ._contracts import PlasticityRule, Teaching, Values
from .pf_pc_sinexp import pf_pc_sinexp as _sinexp


def kernel(lag: Array, p: Values) -> Array:
    """$K$ of the lag of a complex spike [s]."""
    s = np.clip(lag, 0, None)
    return (lag >= 0) * (np.exp(-s / p["tau_1"]) - np.exp(-s / p["tau_2"])) / p["K_0"]


def change(pre: Array, other: Array, p: Values) -> float:
    """A step for each spike, and a kernel for each pair."""
    depressed = np.sum(kernel(lags(pre, other), p))
    return float(p["A_plus"] * len(pre) + p["A_minus"] * depressed)


def drift(pre: float, other: float, p: Values) -> float:
    """Proportional to the rate of the parallel fibre."""
    area = (p["tau_1"] - p["tau_2"]) / p["K_0"]
    return pre * (p["A_plus"] + p["A_minus"] * other * area)


pf_pc_flagged = PlasticityRule(
    states="""
dx/dt = -x/tau_1 : 1 (event-driven)
dy/dt = -y/tau_2 : 1 (event-driven)
""",
    on_pre="x += 1\ny += 1\nw = clip(w + A_plus, w_min, w_max)",
    on_post="w = clip(w + A_minus*int(f_{c}_post > 0)*(x - y)/K_0, w_min, w_max)",
    teaching=Teaching(
        equations="n_{c} : 1\nf_{c} : 1",
        before="f_{c} = clip(f_{c} + n_{c}, 0, 1)\nn_{c} = 0",
        threshold="f_{c} > 0",
        reset="f_{c} = 0",
    ),
    parameters={
        **_sinexp.parameters,
        "tau_1": "150*ms",
        "tau_2": "65*ms",
        "K_0": "0.29895332519063",
    },
    weighted=_sinexp.weighted,
    positive=("tau_1", "tau_2", "K_0"),
    unit=_sinexp.unit,
    weight=_sinexp.weight,
    variants=_sinexp.variants,
    change=change,
    drift=drift,
    neutral=lambda p: -p["A_plus"] * p["K_0"] / (p["A_minus"] * (p["tau_1"] - p["tau_2"])),
    source=str(__doc__),
)
