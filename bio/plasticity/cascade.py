r"""A cascade of states that are ever harder to leave: many binary contacts, as their mean.

Each contact is strong or weak, on one of $n$ levels. A candidate for potentiation makes a weak
contact on level $k$ strong, on level 1, with probability $q_k = x^{k-1}$, and moves a strong one
to level $k+1$ with $p_k = x^k / (1 - x)$; depression mirrors it. On the last level
$q_n = x^{n-1} / (1 - x)$, so that all states are equally likely at rest. The weight is that of many
contacts: their occupancies $a_k$ (strong) and $b_k$ (weak) move by the mean of these jumps, and $w$
by $\delta w$ for each contact. A pair of spikes is a candidate with probability
$e^{-|s|/\tau_\pm}$ at the lag $s$, only the last presynaptic or postsynaptic spike counting.

Source: Fusi, Drew & Abbott 2005, equations 1 and 2 and figure 1,
doi:10.1016/j.neuron.2005.02.001; x = 1/2 as there.
Differs from it: the mean of many contacts, and pairs of spikes instead of abstract events; the
study `consolidation` runs single contacts with their random jumps.
"""

import numpy as np
from jaxtyping import Float

from ._closed_form import Array, events
from ._contracts import PlasticityRule, Values

LEVELS = 5


def deeper(levels: int, x: float) -> Float[np.ndarray, " level"]:
    """Probability to go one level deeper, from each level."""
    p = x ** np.arange(1, levels + 1) / (1 - x)
    p[-1] = 0.0
    return p


def switch(levels: int, x: float) -> Float[np.ndarray, " level"]:
    """Probability to change the strength, from each level."""
    q = x ** np.arange(0.0, levels)
    q[-1] /= 1 - x if levels > 1 else 1.0
    return q


def jump(levels: int, x: float) -> Float[np.ndarray, "state state"]:
    """How a candidate for potentiation moves occupancies, strong levels before weak ones."""
    p, q = deeper(levels, x), switch(levels, x)
    moves = np.diag(np.concatenate([-p, -q]))
    moves[np.arange(1, levels), np.arange(levels - 1)] = p[:-1]
    moves[0, levels:] += q
    return moves


def memory(age: Float[np.ndarray, " age"], levels: int, x: float) -> Float[np.ndarray, " age"]:
    """Mean strength that a candidate leaves, after so many random ones, between -1 and 1.

    Half of the later candidates potentiate and half depress; all states are equally likely before.
    """
    up = jump(levels, x)
    swap = np.roll(np.eye(2 * levels), levels, axis=0)
    both = (up + swap @ up @ swap) / 2
    rates, vectors = np.linalg.eig(np.eye(2 * levels) + both)
    sign = np.repeat([1.0, -1.0], levels)
    first = up @ np.full(2 * levels, 0.5 / levels)
    return np.real(
        rates[None, :] ** age[:, None] @ ((sign @ vectors) * np.linalg.solve(vectors, first))
    )


def change(pre: Array, other: Array, p: Values) -> float:
    """Event after event: each candidate is a matrix, its strength the age of the last spike."""
    up = jump(LEVELS, p["x"])
    swap = np.roll(np.eye(2 * LEVELS), LEVELS, axis=0)
    down = swap @ up @ swap
    held = np.full(2 * LEVELS, 0.5 / LEVELS)
    last = {True: -np.inf, False: -np.inf}
    for time, is_pre in events(pre, other):
        tau = p["tau_minus"] if is_pre else p["tau_plus"]
        held = held + np.exp(-(time - last[not is_pre]) / tau) * (down if is_pre else up) @ held
        last[is_pre] = time
    return float(p["dw"] * (held[:LEVELS].sum() - 0.5))


def code(chance: str, grows: str, shrinks: str, sign: str) -> str:
    """What a candidate of some chance does: one strength grows, the other shrinks."""
    p = [f"x**{k}/(1 - x)" for k in range(1, LEVELS)]
    q = [f"x**{k}" for k in range(LEVELS - 1)] + [f"x**{LEVELS - 1}/(1 - x)"]
    levels = range(1, LEVELS + 1)
    return "\n".join([
        *(f"m_{k} = {chance}*{p[k - 1]}*{grows}_{k}" for k in levels[:-1]),
        *(f"s_{k} = {chance}*{q[k - 1]}*{shrinks}_{k}" for k in levels),
        f"s = {' + '.join(f's_{k}' for k in levels)}",
        f"{grows}_1 = {grows}_1 + s - m_1",
        *(f"{grows}_{k} = {grows}_{k} + m_{k - 1} - m_{k}" for k in levels[1:-1]),
        f"{grows}_{LEVELS} = {grows}_{LEVELS} + m_{LEVELS - 1}",
        *(f"{shrinks}_{k} = {shrinks}_{k} - s_{k}" for k in levels),
        f"w = clip(w {sign} dw*s, w_min, w_max)",
    ])  # fmt: skip


STATES = [f"{kind}_{k}" for kind in "ab" for k in range(1, LEVELS + 1)]

cascade = PlasticityRule(
    states="\n".join([
        "dc_plus/dt = -c_plus/tau_plus : 1 (event-driven)",
        "dc_minus/dt = -c_minus/tau_minus : 1 (event-driven)",
        *(f"{name} : 1" for name in STATES),
    ]),
    start=dict.fromkeys(STATES, repr(0.5 / LEVELS)),
    on_pre="c_plus = 1\n" + code("c_minus", "b", "a", "-"),
    on_post="c_minus = 1\n" + code("c_plus", "a", "b", "+"),
    parameters={
        "x": "0.5",
        "tau_plus": "20*ms",
        "tau_minus": "20*ms",
        "dw": "1",
        "w_min": "0",
        "w_max": "1",
    },
    weighted=("dw", "w_min", "w_max"),
    positive=("tau_plus", "tau_minus", "x"),
    weight="0.5",
    change=change,
    source=str(__doc__),
)  # fmt: skip
