r"""Parallel fibre to Purkinje cell: depression by climbing fibres with a kernel of about 100 ms.

A parallel-fibre spike adds $A_+$ where it arrives. A climbing-fibre spike at the lag $s$ after it,
$0 < s < W$ = 200 ms, adds $A_- K(s)$, with $K(s) = e^{(s + 150)/1000} \sin^{20}(2 \pi (s +
150)/1000) / 1.2848$, $s$ in ms, which is 1 at 100 ms. The synapse learns of it at the end of the
window. Parallel and climbing fibres that are independent balance at the climbing-fibre rate $-A_+ /
(A_- \int_0^W K)$, whatever the rate of the parallel fibre.

Source: Geminiani et al. 2024, section "Methods" (plasticity), doi:10.1371/journal.pcbi.1011277, as
in the repository dbbs-lab/cereb-nest (stdp_connection_sinexp and its tests); variants of the
repositories benedettagambosi/PD_BG_Cereb_loop (`pd_bg_cereb_loop`),
AliceGem/mesoscale_simulations_cebc (`mesoscale`, its defaults by zone, and `mesoscale_run`) and
dbbs-lab/extra-cereb-nest (`extra_cereb_nest`).
Differs from it: lags are counted to the climbing-fibre spike, there to 1 ms before; both ends are
excluded; depression comes at the end of the window and not at the climbing-fibre spike; $\pi$ for
3.1415. A cell remembers the last five times at which its climbing fibre fired; of more within the
window, `lost_{c}` of the cell counts those that were forgotten.
"""

import numpy as np

from ._closed_form import Array, lags, within
from ._contracts import PlasticityRule, Values
from ._fibre import fibre

STEPS = 200_001


def kernel(lag: Array, window: float) -> Array:
    """$K$ of the lag of a climbing-fibre spike [s]."""
    s = np.clip(lag, 0, window) + 0.15
    return within(lag, window) * np.exp(s) * np.sin(2 * np.pi * s) ** 20 / 1.2848


def area(p: Values) -> float:
    """Integral of the kernel [s]."""
    lag = np.linspace(0, p["window"], STEPS)
    return float(np.mean(kernel(lag, p["window"])) * p["window"])


def change(pre: Array, other: Array, p: Values) -> float:
    """A step for each spike, and a kernel for each pair."""
    depressed = np.sum(kernel(lags(pre, other), p["window"]))
    return float(p["A_plus"] * len(pre) + p["A_minus"] * depressed)


def drift(pre: float, other: float, p: Values) -> float:
    """Proportional to the rate of the parallel fibre."""
    return pre * (p["A_plus"] + p["A_minus"] * other * area(p))


pf_pc_sinexp = PlasticityRule(
    on_pre="w = clip(w + A_plus, w_min, w_max)",
    late="w = clip(w + A_minus*z_{c}_post, w_min, w_max)",
    teaching=fibre(
        "exp(({lag} + 150*ms)/second)*sin(2*pi*({lag} + 150*ms)/second)**20/1.2848",
        {"window": "200*ms"},
    ),
    parameters={"A_plus": "0.001", "A_minus": "-0.01", "w_min": "0", "w_max": "4"},
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    unit="nS",
    weight="0.07",
    variants={
        "pd_bg_cereb_loop": {
            "A_plus": "0.002",
            "A_minus": "-0.02",
            "w": "0.0214",
            "w_max": "4000",
        },
        "mesoscale": {"A_plus": "0.01", "A_minus": "-0.1", "w": "0.135892", "w_max": "10"},
        "mesoscale_run": {"A_plus": "0.0002", "A_minus": "-0.02", "w": "0.135892", "w_max": "10"},
        "extra_cereb_nest": {"A_plus": "0.2", "A_minus": "-5", "w": "16", "w_max": "30"},
    },
    change=change,
    drift=drift,
    neutral=lambda p: -p["A_plus"] / (p["A_minus"] * area(p)),
    source=str(__doc__),
)
