r"""Mossy fibre to nuclear cell: depression by Purkinje cells that fire within milliseconds.

A mossy-fibre spike adds $A_+$, and each pair with a spike of a Purkinje cell of the same nuclear
cell, at the lag $s$ of either sign, adds $A_- e^{-|s|/\tau}$. The nuclear cell holds the trace of
its Purkinje cells; the synapse holds that of its mossy fibre, which is read where they fire later.
Independent spikes balance where the Purkinje cells of a nuclear cell together fire at $-A_+/(2 A_-
\tau)$.

Source: Geminiani et al. 2024, section "Methods" (plasticity), doi:10.1371/journal.pcbi.1011277, as
in the repository dbbs-lab/cereb-nest (stdp_connection_cosexp and its tests); variants of
dbbs-lab/extra-cereb-nest (`extra_cereb_nest`) and benedettagambosi/PD_BG_Cereb_loop
(`pd_bg_cereb_loop`).
Differs from it: a factor $\cos^2(s/1000)$ of $s$ in ms, which is 1 within 1e-4, and the cut at 10
ms, where the exponential has fallen to 0.018, are left out.
"""

import numpy as np

from ._closed_form import Array, lags
from ._contracts import PlasticityRule, Teaching, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """A step for each spike, and a kernel for each pair."""
    depressed = np.sum(np.exp(-np.abs(lags(pre, other)) / p["tau"]))
    return float(p["A_plus"] * len(pre) + p["A_minus"] * depressed)


def drift(pre: float, other: float, p: Values) -> float:
    """Proportional to the rate of the mossy fibre."""
    return pre * (p["A_plus"] + p["A_minus"] * other * 2 * p["tau"])


mf_dcn = PlasticityRule(
    states="x : 1",
    on_pre="w = clip(w + A_plus + A_minus*z_{c}_post, w_min, w_max)\nx += 1",
    every="""
w = clip(w + A_minus*x*m_{c}_post, w_min, w_max)
x = x*d_{c}_post
""",
    teaching=Teaching(
        equations="n_{c} : 1\nm_{c} : 1\nz_{c} : 1\nd_{c} : 1",
        before="""
m_{c} = n_{c}
n_{c} = 0
d_{c} = exp(-dt/tau_{c})
z_{c} = (z_{c} + m_{c})*d_{c}
""",
        parameters={"tau": "2.5*ms"},
    ),
    parameters={"A_plus": "1e-5", "A_minus": "-1e-1", "w_min": "0", "w_max": "1"},
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    unit="nS",
    weight="1",
    variants={
        "extra_cereb_nest": {"A_plus": "1e-5", "A_minus": "-1e-6", "w": "0.01", "w_max": "0.25"},
        "pd_bg_cereb_loop": {"A_plus": "1e-4", "A_minus": "-1e-3"},
    },
    change=change,
    drift=drift,
    neutral=lambda p: -p["A_plus"] / (2 * p["A_minus"] * p["tau"]),
    source=str(__doc__),
)
