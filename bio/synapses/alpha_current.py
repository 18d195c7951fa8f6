r"""Current that follows an alpha function: it rises and decays with one time constant.

$\tau \, dI_r/dt = e \, h - I_r$ and $\tau \, dh/dt = -h$, and a spike adds $w$ to $h$: the current
is $w \, \frac{t}{\tau} e^{1 - t/\tau}$, whose peak is $w$, at $t = \tau$.

Source: Rall 1967 (the time course of its synaptic conductance), doi:10.1152/jn.1967.30.5.1138.
Differs from it: two differential equations, scaled so that the peak is the weight; our $\tau$.
"""

from ._contracts import SynapseModel

alpha_current = SynapseModel(
    equations="""
dI_{r}/dt = (exp(1)*h_{r} - I_{r})/tau_{r} : amp
dh_{r}/dt = -h_{r}/tau_{r} : amp
""",
    current="I_{r}",
    on_pre="h_{r}_post += w",
    parameters={"tau": "2*ms"},
    positive=("tau",),
    methods=("exact", "exponential_euler", "euler", "rk2", "rk4"),
    weight="50*pA",
    source=str(__doc__),
)
