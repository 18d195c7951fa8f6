"""Leaky integrate-and-fire cells with afterhyperpolarisation of Yamazaki & Nagao.

A weight of a receptor is the published peak conductance, which the paper multiplies by a number a
connection. Where a current decays in two steps (`nmda` of Golgi cells, `inh` of granule cells) it
is two receptors, `nmda_fast` and `nmda_slow`, each of which decays by itself; which share of a
weight goes to each is the connection's business. The spontaneous current of the source is the
constant `I` of these cells.

Source: Yamazaki & Nagao 2012, tables of section "Methods", doi:10.1371/journal.pone.0033319, by way
of the repository blennon/Cerebellum.
Differs from it: in the repository the second decay of NMDA is driven by the first, and the leak of
the granule cell is 0.42 nS; here each decays by itself, and it is 0.43 nS.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..neurons.ahp_lif import ahp_lif
from ..synapses._contracts import SynapseModel
from ..synapses.exponential_conductance import exponential_conductance
from ._contracts import Cell, Family

# V_th [mV], C [pF], g_L [nS], E_L [mV], E_ahp [mV], g_ahp [nS], tau_ahp [ms], I [pA]
_MEMBRANES = {
    "granule": (-35, 3.1, 0.43, -58, -82, 1, 5, 0),
    "golgi": (-52, 28, 2.3, -55, -72.7, 20, 5, 0),
    "purkinje": (-55, 106, 2.32, -68, -70, 100, 2.5, 250),
    "basket": (-55, 106, 2.32, -68, -70, 100, 2.5, 0),
    "vestibular": (-38.8, 122.3, 1.64, -56, -70, 50, 5, 700),
    "olive": (-50, 1, 0.015, -60, -70, 1, 5, 0),
}
# Peak conductance [nS], reversal potential [mV] and decays [ms] of each receptor.
_RECEPTORS: dict[str, dict[str, tuple[float | int, int, Sequence[float | int]]]] = {
    "granule": {
        "ampa": (0.18, 0, (1.2,)),
        "nmda": (0.025, 0, (52,)),
        "inh": (0.028, -82, (7, 59)),
    },
    "golgi": {"ampa": (45.5, 0, (1.5,)), "nmda": (30, 0, (31, 170))},
    "purkinje": {"ampa": (0.7, 0, (8.3,)), "inh": (1.0, -75, (10,))},
    "basket": {"ampa": (0.7, 0, (8.3,))},
    "vestibular": {
        "ampa": (50, 0, (9.9,)),
        "nmda": (25.8, 0, (30.5,)),
        "inh": (30, -88, (42.3,)),
    },
    "olive": {"ampa": (0.1, 0, (10,)), "inh": (0.018, -75, (10,))},
}


def _receptors(name: str) -> dict[str, SynapseModel]:
    found: dict[str, SynapseModel] = {}
    for label, (peak, reversal, decays) in _RECEPTORS[name].items():
        ends = ("",) if len(decays) == 1 else ("_fast", "_slow")
        for end, decay in zip(ends, decays, strict=True):
            values = {"tau": f"{decay}*ms", "E": f"{reversal}*mV"}
            found[label + end] = replace(
                exponential_conductance, parameters=values, weight=f"{peak}*nS"
            )
    return found


def _cell(name: str) -> Cell:
    V_th, C, g_L, E_L, E_ahp, g_ahp, tau_ahp, current = _MEMBRANES[name]
    receptors = _receptors(name)
    return Cell(
        model=ahp_lif,
        values={
            "V_th": f"{V_th}*mV",
            "C": f"{C}*pF",
            "g_L": f"{g_L}*nS",
            "E_L": f"{E_L}*mV",
            "E_ahp": f"{E_ahp}*mV",
            "g_ahp": f"{g_ahp}*nS",
            "tau_ahp": f"{tau_ahp}*ms",
            "I": f"{current}*pA",
            "v": f"{E_L}*mV",
        },
        receptors=receptors,
        inputs={label: label for label in receptors},
        dt="1*ms",
    )


yamazaki_nagao = Family(cells={name: _cell(name) for name in _MEMBRANES}, source=str(__doc__))
