r"""Parallel fibre to Purkinje cell: depression in a window before a climbing-fibre spike.

A parallel-fibre spike adds $A_-$ if a climbing-fibre spike comes less than $W$ after it, else
$A_+$. The synapse learns of it at the end of the window. Independent fibres balance at the
climbing-fibre rate $\ln(1 - A_+/A_-)/W$.

Source: Medina, Garcia, Nores, Taylor & Mauk 2000, section "Materials and methods" (plasticity),
doi:10.1523/JNEUROSCI.20-14-05516.2000, with the constants of the repository mmauk/CbmSim;
`kuriyama_2021` of Kuriyama et al. 2021, doi:10.3389/fncel.2021.623552, as in the repository
Rkuriyama/Cerebellar-Scaffold-Model-Simulation-on-GPU, which has no potentiation.
Differs from it: time is not binned (5 ms there); in `kuriyama_2021` every parallel-fibre spike
counts, not every climbing-fibre spike with one before.
"""

import numpy as np

from ._closed_form import Array, lags, within
from ._contracts import PlasticityRule, Values
from ._fibre import last


def change(pre: Array, other: Array, p: Values) -> float:
    """One of two steps for each parallel-fibre spike."""
    met = np.any(within(lags(pre, other), p["window"]) > 0, axis=1)
    return float(np.sum(np.where(met, p["A_minus"], p["A_plus"])))


def drift(pre: float, other: float, p: Values) -> float:
    """By the probability that no climbing-fibre spike falls into the window."""
    alone = np.exp(-other * p["window"])
    return pre * (p["A_plus"] * alone + p["A_minus"] * (1 - alone))


pf_pc_box = PlasticityRule(
    on_pre="",
    late="w = clip(w + A_minus*z_{c}_post + A_plus*(1 - z_{c}_post), w_min, w_max)",
    teaching=last({"window": "100*ms"}),
    parameters={"A_plus": "0.00030556", "A_minus": "-0.00275", "w_min": "0", "w_max": "1"},
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    weight="0.5",
    variants={"kuriyama_2021": {"A_plus": "0", "A_minus": "-0.01", "window": "50*ms"}},
    change=change,
    drift=drift,
    neutral=lambda p: np.log(1 - p["A_plus"] / p["A_minus"]) / p["window"],
    source=str(__doc__),
)
