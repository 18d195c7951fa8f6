r"""A weight that is harder to lower the larger it is: consolidation without boundaries of tasks.

A pair of spikes changes the weight by $\Delta$ as in `pair_stdp`. Where that lowers $|w|$, only
$(1 - \tanh^2(w / w_m)) \Delta$ of it is done: a weight beyond $\pm w_m$ keeps its sign for long.

Source: Laborieux, Ernoult, Hirtzlin & Querlioz 2021, equation 2, doi:10.1038/s41467-021-22768-y,
with $m = 1 / w_m$; pairs as in Song, Miller & Abbott 2000, doi:10.1038/78829.
Differs from it: the weight is the hidden one, transmitted as it is, and not its sign.
"""

import numpy as np

from ._closed_form import Array, events
from ._contracts import PlasticityRule, Values


def change(pre: Array, other: Array, p: Values) -> float:
    """Event after event, as each change depends on the weight."""
    start = w = p["w_start"]
    x = y = last = 0.0
    for time, is_pre in events(pre, other):
        x *= np.exp(-(time - last) / p["tau_plus"])
        y *= np.exp(-(time - last) / p["tau_minus"])
        last = time
        step = p["A_minus"] * y if is_pre else p["A_plus"] * x
        w += step * (1 - np.tanh(w / p["w_m"]) ** 2) if step * w < 0 else step
        x, y = x + is_pre, y + (not is_pre)
    return float(w - start)


GAIN = "(1 - int({step}/w_m*(w/w_m) < 0)*tanh(w/w_m)**2)"
STEP = "w = clip(w + {step}*" + GAIN + ", w_min, w_max)"

metaplastic = PlasticityRule(
    states="""
dx/dt = -x/tau_plus : 1 (event-driven)
dy/dt = -y/tau_minus : 1 (event-driven)
""",
    on_pre="x += 1\n" + STEP.format(step="A_minus*y"),
    on_post="y += 1\n" + STEP.format(step="A_plus*x"),
    parameters={
        "A_plus": "0.05",
        "A_minus": "-0.05",
        "tau_plus": "20*ms",
        "tau_minus": "20*ms",
        "w_m": "0.5",
        "w_min": "-1",
        "w_max": "1",
    },
    weighted=("A_plus", "A_minus", "w_m", "w_min", "w_max"),
    positive=("tau_plus", "tau_minus", "w_m"),
    weight="0.25",
    change=change,
    source=str(__doc__),
)
