r"""Gap junction: a current proportional to the difference of two voltages.

$I = \sum g \, (v' - v)$ over the cells $v'$ coupled to $v$. Two cells of leak $g_L$ share steady
deflections at the ratio $g / (g + g_L)$, the coupling coefficient.

Source: Bennett & Zukin 2004, doi:10.1016/S0896-6273(04)00043-1.
Differs from it: our conductance.
"""

from ._contracts import JunctionModel

gap_junction = JunctionModel(
    equations="I_{r} : amp",
    current="I_{r}",
    sum="I_{r}",
    flow="g*(v_pre - v_post)",
    parameters={},
    methods=("exponential_euler", "exact", "rk4", "rk2", "euler"),
    conductance="1*nS",
    source=str(__doc__),
)
