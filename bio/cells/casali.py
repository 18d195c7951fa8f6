"""Leaky integrate-and-fire cells of the cerebellar scaffold of Casali et al.

The constant current of the source is the constant `I` of these cells. `golgi` fires by itself at 6
to 12 Hz, `purkinje` at 40 to 70 Hz, `interneuron` at 17 Hz and `nuclear` at 10 Hz in the source's
network.

Source: Casali et al. 2019, tables of section "Methods", doi:10.3389/fninf.2019.00037, as in the
repository stefanocasali984/scaffold_model_cerebellum; the state `kuriyama` of Kuriyama et al. 2021,
doi:10.3389/fncel.2021.623552.
Differs from it: the reversal potential of inhibition, -80 mV, is that of the other families here;
Kuriyama has -85 mV.
"""

from dataclasses import replace

from ..neurons.lif import lif
from ..synapses._contracts import SynapseModel
from ..synapses.exponential_conductance import exponential_conductance
from ._contracts import Cell, Family

# fmt: off
# C [pF], g_L [nS], E_L, V_th, V_r [mV], t_ref [ms], I [pA], tau of excitation, of inhibition [ms]
_TABLE = {
    "golgi": (76, 3.6, -65, -55, -75, 2, 36.75, 0.5, 10),
    "granule": (3, 1.5, -74, -42, -84, 1.5, 0, 0.5, 10),
    "purkinje": (620, 7, -62, -47, -72, 0.8, 700, 0.5, 1.6),
    "interneuron": (14.6, 1.0, -68, -53, -78, 1.59, 15.6, 0.64, 2),
    "nuclear": (89, 1.56, -59, -48, -69, 3.7, 55.75, 7.1, 13.6),
}
_INPUTS = {
    "golgi": {"glomerulus": "exc", "parallel_fibre": "exc", "ascending_axon": "exc",
              "golgi": "inh"},
    "granule": {"glomerulus": "exc", "golgi": "inh"},
    "purkinje": {"parallel_fibre": "exc", "ascending_axon": "exc", "basket": "inh",
                 "stellate": "inh"},
    "interneuron": {"parallel_fibre": "exc", "basket": "inh", "stellate": "inh"},
    "nuclear": {"glomerulus": "exc", "purkinje": "inh"},
}
# fmt: on


def _receptor(tau: float | int, reversal: int) -> SynapseModel:
    values = {"tau": f"{tau}*ms", "E": f"{reversal}*mV"}
    return replace(exponential_conductance, parameters=values)


def _cell(name: str) -> Cell:
    C, g_L, E_L, V_th, V_r, t_ref, current, excitation, inhibition = _TABLE[name]
    return Cell(
        model=lif,
        values={
            "tau_m": f"{C}*pF/({g_L}*nS)",
            "R": f"1/({g_L}*nS)",
            "E_L": f"{E_L}*mV",
            "V_th": f"{V_th}*mV",
            "V_r": f"{V_r}*mV",
            "t_ref": f"{t_ref}*ms",
            "I": f"{current}*pA",
            "v": f"{E_L}*mV",
        },
        receptors={"exc": _receptor(excitation, 0), "inh": _receptor(inhibition, -80)},
        inputs=_INPUTS[name],
        states={"kuriyama": {"I": "600*pA"}} if name == "purkinje" else {},
    )


casali = Family(cells={name: _cell(name) for name in _TABLE}, source=str(__doc__))
