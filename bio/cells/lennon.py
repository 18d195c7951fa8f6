"""Interneuron of the molecular layer of Lennon et al., basket and stellate cells alike.

Source: Lennon, Hecht-Nielsen & Yamazaki 2014, doi:10.3389/fncom.2014.00157, as in the repository
blennon/Cerebellum.
Differs from it: $v$ goes back to $E_L$ with a spike, where the repository leaves that to the
afterhyperpolarisation alone. The interneuron is silent without the noise current of the paper.
"""

from dataclasses import replace

from ..neurons.ahp_lif import ahp_lif
from ..synapses.exponential_conductance import exponential_conductance
from ._contracts import Cell, Family

lennon = Family(
    cells={
        "interneuron": Cell(
            model=ahp_lif,
            values={
                "C": "14.6*pF",
                "g_L": "1.6*nS",
                "E_L": "-68*mV",
                "V_th": "-53*mV",
                "g_ahp": "50*nS",
                "E_ahp": "-82*mV",
                "tau_ahp": "2.5*ms",
                "v": "-68*mV",
            },
            receptors={
                "ampa": replace(
                    exponential_conductance,
                    parameters={"tau": "0.8*ms", "E": "0*mV"},
                    weight="1.3*nS",
                ),
                "inh": replace(
                    exponential_conductance,
                    parameters={"tau": "4.6*ms", "E": "-82*mV"},
                    weight="4*nS",
                ),
            },
            inputs={"parallel_fibre": "ampa", "interneuron": "inh"},
            dt="0.25*ms",
        )
    },
    source=str(__doc__),
)
