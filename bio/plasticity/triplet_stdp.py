r"""Pairs and triplets of spikes: the change at a spike grows with earlier spikes of the same side.

Presynaptic traces $r_1, r_2$ decay with $\tau_+, \tau_x$, postsynaptic ones $o_1, o_2$ with
$\tau_-, \tau_y$. A presynaptic spike changes the weight by $-o_1 (A_2^- + A_3^- r_2)$, a
postsynaptic one by $r_1 (A_2^+ + A_3^+ o_2)$; then each adds 1 to its traces.

Source: Pfister & Gerstner 2006, equations 3 and 4 and table 3 (full model of the visual cortex, all
spikes interacting), doi:10.1523/JNEUROSCI.1425-06.2006.
Differs from it: bounds of the weight.
"""

import numpy as np

from ._closed_form import INSTANT, Array, after, before, lags
from ._contracts import PlasticityRule, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """Sum over pairs, each times what earlier spikes of its later side add."""
    lag = lags(pre, other)
    r_2, o_2 = earlier(pre, p["tau_x"]), earlier(other, p["tau_y"])
    up = after(lag, p["tau_plus"]) * (p["A2_plus"] + p["A3_plus"] * o_2[None, :])
    down = before(lag, p["tau_minus"]) * (p["A2_minus"] + p["A3_minus"] * r_2[:, None])
    return float(np.sum(up) - np.sum(down))


def earlier(train: Array, tau: float) -> Array:
    """Trace that a train left, before each of its own spikes."""
    age = train[:, None] - train[None, :]
    return np.sum(np.where(age > INSTANT, np.exp(-np.abs(age) / tau), 0.0), axis=1)


def drift(pre: float, other: float, p: Values) -> float:
    """Of equation 6, with triplets of both kinds."""
    up = p["A2_plus"] + p["A3_plus"] * p["tau_y"] * other
    down = p["A2_minus"] + p["A3_minus"] * p["tau_x"] * pre
    return pre * other * (p["tau_plus"] * up - p["tau_minus"] * down)


triplet_stdp = PlasticityRule(
    states="""
dr1/dt = -r1/tau_plus : 1 (event-driven)
dr2/dt = -r2/tau_x : 1 (event-driven)
do1/dt = -o1/tau_minus : 1 (event-driven)
do2/dt = -o2/tau_y : 1 (event-driven)
""",
    on_pre="w = clip(w - o1*(A2_minus + A3_minus*r2), w_min, w_max)\nr1 += 1\nr2 += 1",
    on_post="w = clip(w + r1*(A2_plus + A3_plus*o2), w_min, w_max)\no1 += 1\no2 += 1",
    parameters={
        "A2_plus": "5e-10",
        "A3_plus": "6.2e-3",
        "A2_minus": "7e-3",
        "A3_minus": "2.3e-4",
        "tau_plus": "16.8*ms",
        "tau_x": "101*ms",
        "tau_minus": "33.7*ms",
        "tau_y": "125*ms",
        "w_min": "0",
        "w_max": "1",
    },
    weighted=("A2_plus", "A3_plus", "A2_minus", "A3_minus", "w_min", "w_max"),
    positive=("tau_plus", "tau_x", "tau_minus", "tau_y"),
    weight="0.5",
    change=change,
    drift=drift,
    source=str(__doc__),
)
