r"""Inhibitory plasticity towards a target rate of the postsynaptic cell.

A pair of spikes at the lag $s$ of either sign adds $\eta e^{-|s|/\tau}$, and each presynaptic spike
takes $\eta \cdot 2 \rho_0 \tau$: with independent spikes the weight rests where the postsynaptic
cell fires at $\rho_0$.

Source: Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, supporting text,
doi:10.1126/science.1211095; constants as in F. Zenke's example of the Brian simulator, whose
weights are in nS.
Differs from it: nothing.
"""

import numpy as np

from ._closed_form import Array, lags
from ._contracts import PlasticityRule, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """Sum over pairs, less the constant of each presynaptic spike."""
    pairs = np.sum(np.exp(-np.abs(lags(pre, other)) / p["tau"]))
    return float(p["eta_w"] * (pairs - 2 * p["rho_0"] * p["tau"] * len(pre)))


def drift(pre: float, other: float, p: Values) -> float:
    """Proportional to the distance from the target rate."""
    return p["eta_w"] * pre * 2 * p["tau"] * (other - p["rho_0"])


inhibitory = PlasticityRule(
    states="""
dx/dt = -x/tau : 1 (event-driven)
dy/dt = -y/tau : 1 (event-driven)
""",
    on_pre="x += 1\nw = clip(w + eta_w*(y - 2*rho_0*tau), w_min, w_max)",
    on_post="y += 1\nw = clip(w + eta_w*x, w_min, w_max)",
    parameters={"eta_w": "0.01", "rho_0": "3/second", "tau": "20*ms", "w_min": "0", "w_max": "100"},
    weighted=("eta_w", "w_min", "w_max"),
    positive=("tau",),
    unit="nS",
    weight="1",
    change=change,
    drift=drift,
    neutral=lambda p: p["rho_0"],
    source=str(__doc__),
)
