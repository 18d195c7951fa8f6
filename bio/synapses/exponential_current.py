r"""Current that jumps with a spike and decays exponentially.

$\tau \, dI_r/dt = -I_r$, and a spike adds $w$ to $I_r$.

Source: Gerstner, Kistler, Naud & Paninski 2014, equation 3.2, doi:10.1017/CBO9781107447615; $\tau$
of Brette et al. 2007, benchmark 2, doi:10.1007/s10827-007-0038-6.
Differs from it: a current, where equation 3.2 is for a conductance.
"""

from ._contracts import SynapseModel

exponential_current = SynapseModel(
    equations="dI_{r}/dt = -I_{r}/tau_{r} : amp",
    current="I_{r}",
    on_pre="I_{r}_post += w",
    parameters={"tau": "5*ms"},
    positive=("tau",),
    methods=("exact", "exponential_euler", "euler", "rk2", "rk4"),
    weight="50*pA",
    variants={"inhibitory": {"tau": "10*ms"}},
    source=str(__doc__),
)
