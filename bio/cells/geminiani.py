r"""The E-GLIF cells of the mouse olivo-cerebellar circuit of Geminiani et al.

Source: Geminiani et al. 2019, tables 2 and 3 (cells), doi:10.3389/fncom.2019.00035; Geminiani et
al. 2019, table 2 (receptors), doi:10.3389/fncom.2019.00068; De Schepper et al. 2022 (circuit,
awake state), doi:10.1038/s42003-022-04213-y, as in the repository dbbs-lab/cerebellar-models,
version 0.13.0, whose tests hold the rates and slopes that are claimed here; Geminiani et al. 2024
(`z_plus`, `z_minus`, `2024`, `nuclear_glycinergic`), doi:10.1371/journal.pcbi.1011277, as in the
repository AliceGem/mesoscale_simulations_cebc; `basal_ganglia` of the repository
benedettagambosi/PD_BG_Cereb_loop. In the first of them the unipolar brush cell is fitted to
Locatelli et al. 2013, and the current of the Purkinje cell raised for the 45 Hz of Telgkamp & Raman
2002, doi:10.1523/JNEUROSCI.22-19-08447.2002.
Differs from it: $k_2$ of the granule cell, 0.041 in table 3, lies below $1/\tau_m$, where the
equations are unstable; the repository and we have 0.041407868 (the state `2024` has the printed
one). $\lambda_0$, $\tau_V$ and the start of $v$ are not in the papers. The leak has the sign of the
published implementation, +1: see `neurons["eglif"]`. `nuclear` projects out of the cerebellum
("DCNnL" in 2019, "dcn" elsewhere), `nuclear_inhibitory` to the olive ("DCNp" in 2019).
"""

from collections.abc import Mapping
from dataclasses import replace

from ..neurons.eglif import eglif
from ..synapses._contracts import SynapseModel
from ..synapses.alpha_conductance import alpha_conductance
from ._contracts import Cell, Claim, Family

HZ_PER_PA = 1e12

# fmt: off
_COLUMNS = (
    ("C_m", "*pF"), ("tau_m", "*ms"), ("E_L", "*mV"), ("V_th", "*mV"), ("V_r", "*mV"),
    ("t_ref", "*ms"), ("I_e", "*pA"), ("k_adap", "*nS/ms"), ("k_1", "/ms"), ("k_2", "/ms"),
    ("A_1", "*pA"), ("A_2", "*pA"), ("lambda_0", "/ms"), ("tau_V", "*mV"), ("v", "*mV"),
    ("V_min", "*mV"),
)
_TABLE = {
    "granule": (7, 24.15, -62, -41, -70, 1.5, -0.888,
                0.022, 0.311, 0.041407868, 0.01, -0.94, 1, 0.3, -62, -150),
    "golgi": (145, 44, -62, -55, -75, 2, 16.214,
              0.217, 0.031, 0.023, 259.988, 178.01, 0.15, 0.09, -60, -150),
    "purkinje": (334, 47, -59, -43, -69, 0.5, 590,
                 1.491, 0.195, 0.041, 157.622, 172.622, 0.5, 2, -59, -350),
    "basket": (14.6, 9.125, -68, -53, -78, 1.59, 3.711,
               2.025, 1.887, 1.096, 5.953, 5.863, 1.8, 1, -60, -150),
    "nuclear": (142, 33, -45, -36, -55, 1.5, 75.385,
                0.408, 0.697, 0.047, 13.857, 3.477, 1.5, 1, -45, -150),
    "nuclear_inhibitory": (56, 56, -40, -39, -55, 3, 2.384,
                           0.079, 0.041, 0.044, 176.358, 176.358, 0.9, 1, -40, -150),
    "olive": (189, 11, -45, -35, -45, 1, -18.101,
              1.928, 0.191, 0.091, 1810.923, 1358.197, 1.2, 0.8, -45, -150),
    "unipolar_brush": (16.5, 13.2, -66.7, -55.8, -76.7, 1.67, 1,
                       1.17, 0.14, 0.76, 1e-4, 1e-4, 1, 0.5, -62, -150),
    "nuclear_glycinergic": (104, 45.76, -40, -30, -50, 1.65, -116.8147,
                            0.9501, 0.5759, 0.0469, 600, 79.865, 1.5, 1, -40, -150),
}
# Time to peak [ms] and reversal potential [mV] of each receptor.
_RECEPTORS = {
    "granule": {"glom": (5.8, 0), "inh": (13.61, -80)},
    "golgi": {"glom": (0.23, 0), "inh": (10, -80), "pf": (0.5, 0)},
    "purkinje": {"pf": (1.1, 0), "inh": (2.8, -80), "cf": (0.4, 0)},
    "basket": {"pf": (0.64, 0), "inh": (2, -80), "cf": (1.2, 0)},
    "nuclear": {"exc": (1, 0), "inh": (0.7, -80)},
    "nuclear_inhibitory": {"exc": (3.64, 0), "inh": (1.14, -80)},
    "olive": {"exc": (1, 0), "inh": (60, -80)},
    "unipolar_brush": {"glom": (0.2, 0), "inh": (2, -80)},
    "nuclear_glycinergic": {"exc": (1, 0), "inh": (0.7, -80)},
}
_INPUTS = {
    "granule": {"glomerulus": "glom", "golgi": "inh"},
    "golgi": {"glomerulus": "glom", "golgi": "inh",
              "parallel_fibre": "pf", "ascending_axon": "pf"},
    "purkinje": {"parallel_fibre": "pf", "ascending_axon": "pf",
                 "basket": "inh", "stellate": "inh", "climbing_fibre": "cf"},
    "basket": {"parallel_fibre": "pf", "basket": "inh", "climbing_fibre": "cf"},
    "stellate": {"parallel_fibre": "pf", "stellate": "inh", "climbing_fibre": "cf"},
    "nuclear": {"mossy_fibre": "exc", "climbing_fibre": "exc", "purkinje": "inh"},
    "nuclear_inhibitory": {"climbing_fibre": "exc", "purkinje": "inh"},
    "olive": {"stimulus": "exc", "nuclear_inhibitory": "inh"},
    "unipolar_brush": {"glomerulus": "glom", "golgi": "inh"},
    "nuclear_glycinergic": {"mossy_fibre": "exc", "purkinje": "inh"},
}
_Z_PURKINJE = {"k_adap": "1.492*nS/ms", "lambda_0": "4/ms", "tau_V": "3.5*mV"}
_INTERNEURON_STATES = {"2024": {"tau_V": "1.1*mV", "v": "-68*mV"}}
_STATES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "granule": {"2024": {"k_2": "0.041/ms"}},
    "golgi": {"2024": {"lambda_0": "1/ms", "tau_V": "0.4*mV"}},
    "purkinje": {
        "awake": {"I_e": "700*pA", "lambda_0": "4/ms", "tau_V": "3.5*mV"},
        "z_minus": {"I_e": "742.543*pA", **_Z_PURKINJE},
        "z_plus": {"I_e": "176.26*pA", **_Z_PURKINJE},
        "basal_ganglia": {"I_e": "742.54*pA"},
    },
    "basket": _INTERNEURON_STATES,
    "stellate": _INTERNEURON_STATES,
    "nuclear": {
        "awake": {"lambda_0": "3/ms", "tau_V": "3*mV"},
        "z_minus": {"lambda_0": "4/ms", "tau_V": "3.5*mV"},
        "z_plus": {"lambda_0": "3.5/ms", "tau_V": "3*mV"},
        "basal_ganglia": {"t_ref": "0.8*ms", "lambda_0": "3.5/ms", "tau_V": "3*mV"},
    },
    "nuclear_inhibitory": {"basal_ganglia": {"t_ref": "0.8*ms"}},
    "olive": {"2024": {"V_min": "-60*mV"}},
}


def _claim(
    rate: float | int | None, steps: tuple[int, ...] = (), slope: float | None = None,
    tolerance: float = 0.15,
) -> Claim:
    """Rate [Hz], steps [pA], slope [Hz/pA]."""
    currents = tuple(f"{step}*pA" for step in steps)
    return Claim(rate=None if rate is None else float(rate), currents=currents, tolerance=tolerance,
                 slope=None if slope is None else slope * HZ_PER_PA)


_CLAIMS: Mapping[str, Mapping[str, Claim]] = {
    "granule": {"": _claim(0, (16, 20, 24), 3.70)},
    "golgi": {"": _claim(12.8, (100, 200, 300, 400, 500, 600), 0.20)},
    "purkinje": {"": _claim(45.6, (500, 1000, 2400), 0.08),
                 "awake": _claim(83.2, (500, 1000, 2400), 0.095)},
    "basket": {"": _claim(9.51)},
    "stellate": {"": _claim(9.51)},
    "nuclear": {"": _claim(32.9, (142, 284, 426), 0.28, 0.3),
                "awake": _claim(61.78, (142, 284, 426), 0.256, 0.3)},
    "nuclear_inhibitory": {"": _claim(14.1)},
    "olive": {"": _claim(0)},
    "unipolar_brush": {"": _claim(0, (12, 24, 36), 2.35)},
}
# fmt: on


def _receptor(tau: float | int, reversal: float | int) -> SynapseModel:
    return replace(alpha_conductance, parameters={"tau": f"{tau}*ms", "E": f"{reversal}*mV"})


def _cell(name: str, like: str) -> Cell:
    pairs = zip(_COLUMNS, _TABLE[like], strict=True)
    values = {column: f"{x}{unit}" for (column, unit), x in pairs}
    return Cell(
        model=eglif,
        values=values,
        receptors={label: _receptor(*r) for label, r in _RECEPTORS[like].items()},
        inputs=_INPUTS[name],
        states=_STATES.get(name, {}),
        claims=_CLAIMS.get(name, {}),
    )


geminiani = Family(
    cells={**{name: _cell(name, name) for name in _TABLE}, "stellate": _cell("stellate", "basket")},
    source=str(__doc__),
)
