r"""The E-GLIF cells of Geminiani et al. with the sign of a membrane, -1, refitted.

Fitted through the mirror to the rate at rest and the slope of the curve of frequency over current
that are claimed of the published cells, by `studies/eglif`. $C_m$, $\tau_m$, $E_L$,
$V_{th}$, $V_r$, $t_{ref}$, and but for the awake states $\lambda_0$ and $\tau_V$, are the published
ones.

Source: none of the fitted constants is published. Equations and all else: Geminiani et al. 2019,
doi:10.3389/fncom.2019.00035; De Schepper et al. 2022, doi:10.1038/s42003-022-04213-y, as in
`geminiani`.
Differs from it: the sign of the leak; $I_e$, $k_{adap}$, $k_1$, $k_2$, $A_1$ and $A_2$ of all cells
but `olive`, of which nothing but silence is claimed, with the published constants too. Only rate
and slope were fitted: nothing is said of resonance, of bursts after inhibition or of the answer to
synapses, for which the constants were published.
"""

from collections.abc import Mapping
from dataclasses import replace

from . import geminiani
from ._contracts import Cell, Family

# fmt: off
_COLUMNS = (
    ("I_e", "*pA"), ("k_adap", "*nS/ms"), ("k_1", "/ms"), ("k_2", "/ms"), ("A_1", "*pA"),
    ("A_2", "*pA"),
)
_TABLE = {
    "granule": (-0.40311, 0.010696, 0.31531, 0.088355, 0.0098405, -0.65302),
    "golgi": (41.725, 0.070296, 0.024899, 0.027529, 188.12, 202.42),
    "purkinje": (631.61, 1.3839, 0.18344, 0.043953, 167.23, 161.32),
    "basket": (17.561, 0.5547, 1.8964, 4.0768, 5.972, 5.9099),
    "nuclear": (80.772, 0.37296, 0.63251, 0.046971, 15.158, 3.3165),
    "nuclear_inhibitory": (2.2537, 0.075009, 0.044384, 0.040496, 157.85, 193.76),
    "olive": (-18.101, 1.928, 0.191, 0.091, 1810.923, 1358.197),
    "unipolar_brush": (2.3418, 0.55603, 0.1396, 1.6006, 0.00010049, 0.00010002),
}
_STATES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "purkinje": {"awake": {"I_e": "659.23*pA", "lambda_0": "4.2198/ms", "tau_V": "3.3174*mV"}},
    "nuclear": {"awake": {"I_e": "73.951*pA", "lambda_0": "3.6417/ms", "tau_V": "2.322*mV"}},
}
# fmt: on


def _cell(name: str, like: str) -> Cell:
    published = geminiani.geminiani[name]
    pairs = zip(_COLUMNS, _TABLE[like], strict=True)
    values = {column: f"{x}{unit}" for (column, unit), x in pairs}
    return replace(
        published,
        values={**published.values, "leak_sign": "-1", **values},
        states=_STATES.get(name, {}),
    )


geminiani_refitted = Family(
    cells={**{name: _cell(name, name) for name in _TABLE}, "stellate": _cell("stellate", "basket")},
    source=str(__doc__),
)
