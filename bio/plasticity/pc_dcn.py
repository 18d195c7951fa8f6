r"""Purkinje cell to nuclear cell: symmetric plasticity of inhibition with damped cosines.

A pair of spikes at the lag $s$ of either sign adds $A \, [e^{-|s|/\tau_1} (1 + \cos(2 s/\tau_1)) -
C r \, e^{-|s|/\tau_2} (1 - \cos(2 s/\tau_2))]$. The traces of either side, $a_k = \sum
e^{-s/\tau_k}$, $c_k = \sum e^{-s/\tau_k} \cos(2 s/\tau_k)$ and $q_k$ with the sine, are advanced
where a spike comes.

Source: Geminiani et al. 2024 (the simulator of that circuit), doi:10.1371/journal.pcbi.1011277, as
in the repository dbbs-lab/cereb-nest (iSTDP and its tests).
Differs from it: the weight is the size of an inhibitory conductance, from 0 to 15 nS, there a
number from -15 to 15; the start is ours.
"""

import numpy as np

from ._closed_form import Array, lags
from ._contracts import PlasticityRule, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """Sum over all pairs."""
    s = np.abs(lags(pre, other))
    near = np.exp(-s / p["tau_1"]) * (1 + np.cos(2 * s / p["tau_1"]))
    far = np.exp(-s / p["tau_2"]) * (1 - np.cos(2 * s / p["tau_2"]))
    return float(p["A"] * np.sum(near - p["C_far"] * p["r_far"] * far))


def drift(pre: float, other: float, p: Values) -> float:
    """Rate of pairs times the area of the window."""
    area = 2 * (1.2 * p["tau_1"] - 0.8 * p["C_far"] * p["r_far"] * p["tau_2"])
    return p["A"] * pre * other * area


def _advanced(side: str) -> list[str]:
    """Statements that bring the traces of a side to the present."""
    lines: list[str] = []
    for k in "12":
        e, turn = f"e{k}_{side}", f"2*(t - t_{side})/tau_{k}"
        a, c, q = f"a{k}_{side}", f"c{k}_{side}", f"q{k}_{side}"
        lines += [
            f"{e} = exp(-(t - t_{side})/tau_{k})",
            f"h{k}_{side} = {c}",
            f"{a} = {a}*{e}",
            f"{c} = {e}*(h{k}_{side}*cos({turn}) - {q}*sin({turn}))",
            f"{q} = {e}*(h{k}_{side}*sin({turn}) + {q}*cos({turn}))",
        ]
    return [*lines, f"t_{side} = t"]


def _spike(own: str, other: str) -> str:
    """What a spike of one side does: learn from the traces of the other, add to its own."""
    gain = f"(a1_{other} + c1_{other} - C_far*r_far*(a2_{other} - c2_{other}))"
    added = [f"{trace}_{own} += 1" for trace in ("a1", "c1", "a2", "c2")]
    learned = f"w = clip(w + A*{gain}, w_min, w_max)"
    return "\n".join([*_advanced(own), *_advanced(other), learned, *added])


pc_dcn = PlasticityRule(
    states="\n".join(
        [f"{s}{k}_{side} : 1" for s in "acq" for k in "12" for side in ("in", "out")]
        + ["t_in : second", "t_out : second"]
    ),
    on_pre=_spike("in", "out"),
    on_post=_spike("out", "in"),
    parameters={
        "A": "0.225",
        "C_far": "5.0451",
        "r_far": "0.552",
        "tau_1": "125*ms",
        "tau_2": "195.6*ms",
        "w_min": "0",
        "w_max": "15",
    },
    weighted=("A", "w_min", "w_max"),
    positive=("tau_1", "tau_2"),
    unit="nS",
    weight="7.5",
    change=change,
    drift=drift,
    source=str(__doc__),
)
