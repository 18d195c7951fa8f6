r"""Conductance that jumps with a spike and decays exponentially.

$\tau \, dg/dt = -g$, a spike adds $w$ to $g$, and the current is $g \, (E - v)$.

Source: Gerstner, Kistler, Naud & Paninski 2014, equations 3.1 and 3.2,
doi:10.1017/CBO9781107447615; values of Brette et al. 2007, benchmark 1,
doi:10.1007/s10827-007-0038-6.
Differs from it: the current is positive into the cell.
"""

from ._contracts import SynapseModel

exponential_conductance = SynapseModel(
    equations="dg_{r}/dt = -g_{r}/tau_{r} : siemens",
    current="g_{r}*(E_{r} - v)",
    on_pre="g_{r}_post += w",
    parameters={"tau": "5*ms", "E": "0*mV"},
    positive=("tau",),
    methods=("exponential_euler", "euler", "rk2", "rk4"),
    weight="1*nS",
    variants={"inhibitory": {"tau": "10*ms", "E": "-80*mV"}},
    source=str(__doc__),
)
