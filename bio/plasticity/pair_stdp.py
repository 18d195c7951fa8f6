r"""Pairs of spikes: potentiation where the presynaptic one comes first, else depression.

$\Delta w = A_+ e^{-s/\tau_+}$ for a postsynaptic spike $s \ge 0$ after a presynaptic one arrived,
and $A_- e^{s/\tau_-}$ for $s < 0$; every pair counts.

Source: Song, Miller & Abbott 2000, section "STDP rule", doi:10.1038/78829. `purkinje_nuclear_ecn`
is the additive rule at Purkinje synapses onto nuclear cells of the repository
dbbs-lab/extra-cereb-nest: $\lambda$ = 1e-7 and $\alpha$ = 10 times a largest weight of 0.5 nS.
Differs from it: weights relative to the largest are 1 at most. In `purkinje_nuclear_ecn` a weight
is the size of an inhibitory conductance, and $\tau_-$ is the 20 ms of NEST's neurons by default.
"""

import numpy as np

from ._closed_form import Array, after, before, lags
from ._contracts import PlasticityRule, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """Sum over all pairs."""
    lag = lags(pre, other)
    return float(
        np.sum(p["A_plus"] * after(lag, p["tau_plus"]) + p["A_minus"] * before(lag, p["tau_minus"]))
    )


def drift(pre: float, other: float, p: Values) -> float:
    """Rate of pairs times the area of the window."""
    return pre * other * (p["A_plus"] * p["tau_plus"] + p["A_minus"] * p["tau_minus"])


pair_stdp = PlasticityRule(
    states="""
dx/dt = -x/tau_plus : 1 (event-driven)
dy/dt = -y/tau_minus : 1 (event-driven)
""",
    on_pre="x += 1\nw = clip(w + A_minus*y, w_min, w_max)",
    on_post="y += 1\nw = clip(w + A_plus*x, w_min, w_max)",
    parameters={
        "A_plus": "0.005",
        "A_minus": "-0.00525",
        "tau_plus": "20*ms",
        "tau_minus": "20*ms",
        "w_min": "0",
        "w_max": "1",
    },
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    positive=("tau_plus", "tau_minus"),
    weight="0.5",
    variants={
        "purkinje_nuclear_ecn": {
            "A_plus": "0.5e-7",
            "A_minus": "-5e-7",
            "tau_plus": "30*ms",
            "w": "0.0005",
            "w_max": "0.5",
        }
    },
    change=change,
    drift=drift,
    source=str(__doc__),
)
