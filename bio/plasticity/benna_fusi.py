r"""A chain of variables that remembers with the square root of time: consolidation by diffusion.

The weight is the first of $N$ variables, each twice as large and half as well coupled as the last,
$C_k \dot u_k = g_{k-1} (u_{k-1} - u_k) + g_k (u_{k+1} - u_k)$ with $C_k = 2^{k-1}$,
$g_k = 2^{-(k+1)} / \tau$, and $u_{N+1} = w_0$ fixed. A pair of spikes changes $u_1 = w$ as in
`pair_stdp`; what it added decays with $t^{-1/2}$ from $4 \tau$ to about $4^N \tau$, then
exponentially, as that of a single variable always does.

Source: Benna & Fusi 2016, equations 1 and 2, doi:10.1038/nn.4401; pairs as in Song, Miller & Abbott
2000, doi:10.1038/78829.
Differs from it: continuous variables, and pairs of spikes instead of abstract events. Variables
flow once in a step by Euler's method, which is stable for steps below $2 \tau$.
"""

import itertools

import numpy as np
from jaxtyping import Float

from ._closed_form import Array, after, before, lags
from ._contracts import PlasticityRule, Values

LEVELS = 6


def flow(levels: int, tau: float) -> Float[np.ndarray, "level level"]:
    r"""The matrix $M$ of $\dot u = M u$, of variables as distances from $w_0$ [1/s]."""
    g = 0.5 ** np.arange(2, levels + 2) / tau
    full = np.diag(-g - np.append(0.0, g[:-1])) + np.diag(g[:-1], 1) + np.diag(g[:-1], -1)
    return full / 2.0 ** np.arange(levels)[:, None]


def memory(t: Float[np.ndarray, " time"], levels: int, tau: float) -> Float[np.ndarray, " time"]:
    """What is left of a change of the weight after some time [s], as a share of it."""
    rates, vectors = np.linalg.eig(flow(levels, tau))
    first = vectors[0] * np.linalg.inv(vectors)[:, 0]
    return np.real(np.exp(np.outer(t, rates)) @ first)


def closed_form(levels: int, pre: Array, other: Array, p: Values) -> float:
    """Sum over all pairs of what is left of them at the end."""
    lag = lags(pre, other)
    size = p["A_plus"] * after(lag, p["tau_plus"]) + p["A_minus"] * before(lag, p["tau_minus"])
    age = p["end"] - np.maximum(pre[:, None], other[None, :])
    return float(size.ravel() @ memory(age.ravel(), levels, p["tau"]))


def chain(levels: int) -> PlasticityRule:
    """The rule with some number of variables.

    Arguments:
        levels: Variables, the weight included.
    """
    names = ["w", *(f"u_{k}" for k in range(2, levels + 1)), "w_0"]
    pairs = list(enumerate(itertools.pairwise(names), start=1))
    flows = [f"f_{k} = ({a} - {b})*dt/tau/{2.0 ** (k + 1)}" for k, (a, b) in pairs]
    moves = [f"u_{k} = u_{k} + (f_{k - 1} - f_{k})/{2.0 ** (k - 1)}" for k in range(2, levels + 1)]
    return PlasticityRule(
        states="\n".join([
            "dx/dt = -x/tau_plus : 1 (event-driven)",
            "dy/dt = -y/tau_minus : 1 (event-driven)",
            *(f"{name} : {{w}}" for name in names[1:-1]),
        ]),
        start=dict.fromkeys(names[1:-1], "w"),
        on_pre="x += 1\nw = clip(w + A_minus*y, w_min, w_max)",
        on_post="y += 1\nw = clip(w + A_plus*x, w_min, w_max)",
        every="\n".join([*flows, "w = clip(w - f_1, w_min, w_max)", *moves]),
        parameters={
            "A_plus": "0.005",
            "A_minus": "-0.005",
            "tau_plus": "20*ms",
            "tau_minus": "20*ms",
            "tau": "60*second",
            "w_0": "0.5",
            "w_min": "0",
            "w_max": "1",
        },
        weighted=("A_plus", "A_minus", "w_0", "w_min", "w_max"),
        positive=("tau_plus", "tau_minus", "tau"),
        weight="0.5",
        variants={"minute_of_one": {"tau": "1*second"}},
        change=lambda pre, other, p: closed_form(levels, pre, other, p),
        source=str(__doc__),
    )  # fmt: skip


benna_fusi = chain(LEVELS)
