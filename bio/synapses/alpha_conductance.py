r"""Conductance that follows an alpha function: it rises and decays with one time constant.

$\tau \, dg/dt = e \, h - g$ and $\tau \, dh/dt = -h$, and a spike adds $w$ to $h$: the conductance
is $w \, \frac{t}{\tau} e^{1 - t/\tau}$, whose peak is $w$, at $t = \tau$, and the current
$g \, (E - v)$.

Source: Rall 1967 (the time course of its synaptic conductance), doi:10.1152/jn.1967.30.5.1138.
Differs from it: two differential equations, scaled so that the peak is the weight; values of ours.
"""

from ._contracts import SynapseModel

alpha_conductance = SynapseModel(
    equations="""
dg_{r}/dt = (exp(1)*h_{r} - g_{r})/tau_{r} : siemens
dh_{r}/dt = -h_{r}/tau_{r} : siemens
""",
    current="g_{r}*(E_{r} - v)",
    on_pre="h_{r}_post += w",
    parameters={"tau": "2*ms", "E": "0*mV"},
    positive=("tau",),
    methods=("exponential_euler", "euler", "rk2", "rk4"),
    weight="1*nS",
    variants={"inhibitory": {"tau": "4*ms", "E": "-80*mV"}},
    source=str(__doc__),
)
