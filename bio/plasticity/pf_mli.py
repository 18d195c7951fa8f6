r"""Parallel fibre to molecular-layer interneuron: potentiation by climbing fibres.

A parallel-fibre spike adds $A_-$ where it arrives. A climbing-fibre spike at the lag $s$ after it,
$0 < s < W$ = 200 ms, adds $A_+ K(s)$ with the alpha function $K(s) = e \, s/\tau \, e^{-s/\tau}$,
which is 1 at $\tau$ = 50 ms. The synapse learns of it at the end of the window. Independent fibres
balance at the climbing-fibre rate $-A_- / (A_+ \int_0^W K)$.

Source: Geminiani et al. 2024, section "Methods" (plasticity), doi:10.1371/journal.pcbi.1011277, as
in the repositories dbbs-lab/cereb-nest (stdp_connection_alpha) and, for the constants,
AliceGem/mesoscale_simulations_cebc; `pd_bg_cereb_loop` of benedettagambosi/PD_BG_Cereb_loop.
Differs from it: both ends of the window are excluded; potentiation comes at its end and not at the
climbing-fibre spike. The start is that of a basket cell, of a stellate cell 0.177972 nS. A cell
remembers the last twelve times at which climbing fibres fired, since several reach it; of more
within the window, `lost_{c}` of the cell counts those that were forgotten.
"""

import numpy as np

from ._closed_form import Array, lags, within
from ._contracts import PlasticityRule, Values
from ._fibre import fibre


def kernel(lag: Array, p: Values) -> Array:
    """$K$ of the lag of a climbing-fibre spike [s]."""
    s = np.clip(lag, 0, p["window"]) / p["tau"]
    return within(lag, p["window"]) * s * np.exp(1 - s)


def area(p: Values) -> float:
    """Integral of the kernel [s]."""
    end = p["window"] / p["tau"]
    return float(np.e * p["tau"] * (1 - (1 + end) * np.exp(-end)))


def change(pre: Array, other: Array, p: Values) -> float:
    """A step for each spike, and a kernel for each pair."""
    raised = np.sum(kernel(lags(pre, other), p))
    return float(p["A_minus"] * len(pre) + p["A_plus"] * raised)


def drift(pre: float, other: float, p: Values) -> float:
    """Proportional to the rate of the parallel fibre."""
    return pre * (p["A_minus"] + p["A_plus"] * other * area(p))


pf_mli = PlasticityRule(
    on_pre="w = clip(w + A_minus, w_min, w_max)",
    late="w = clip(w + A_plus*z_{c}_post, w_min, w_max)",
    teaching=fibre(
        "{lag}/tau_{{c}}*exp(1 - {lag}/tau_{{c}})",
        {"window": "200*ms", "tau": "50*ms"},
        memory=12,
    ),
    parameters={"A_plus": "2e-4", "A_minus": "-2e-5", "w_min": "0", "w_max": "10"},
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    unit="nS",
    weight="0.100309",
    variants={"pd_bg_cereb_loop": {"A_plus": "1e-3", "A_minus": "-1e-2"}},
    change=change,
    drift=drift,
    neutral=lambda p: -p["A_minus"] / (p["A_plus"] * area(p)),
    source=str(__doc__),
)
