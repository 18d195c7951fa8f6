r"""Quadratic integrate-and-fire neuron, the normal form of cells that start to fire slowly.

$\tau_{cell} \, dv/dt = \frac{(v - V_r)(v - V_t)}{V_t - V_r} + R \, (I + I_{syn})$, and
$v \to V_{repol}$ where $v > V_{apex}$.

Source: Latham, Richmond, Nelson & Nirenberg 2000, equations 1 and 2 (without the currents of
afterhyperpolarisation), doi:10.1152/jn.2000.83.2.808.
Differs from it: a current in ampere through a resistance of ours, where the paper has $R I$.
"""

from ._contracts import NeuronModel

quadratic = NeuronModel(
    equations="dv/dt = ((v - V_r)*(v - V_t)/(V_t - V_r) + R*(I + I_syn))/tau_cell : volt",
    threshold="v > V_apex",
    reset="v = V_repol",
    parameters={
        "tau_cell": "10*ms",
        "R": "100*Mohm",
        "V_r": "-65*mV",
        "V_t": "-50*mV",
        "V_apex": "20*mV",
        "V_repol": "-80*mV",
    },
    positive=("tau_cell", "R"),
    initial={"v": "V_r"},
    methods=("euler", "rk2", "rk4"),
    drive="0.1*nA",
    rate=(22.0, 26.0),
    source=str(__doc__),
)
