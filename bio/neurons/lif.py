r"""Leaky integrate-and-fire neuron.

$\tau_m \, dv/dt = -(v - E_L) + R \, (I + I_{syn})$, and $v \to V_r$ where $v > V_{th}$, held there
for $t_{ref}$. With conductance synapses it is the cell of balanced networks of the COBA kind.

Source: Gerstner, Kistler, Naud & Paninski 2014, equation 1.5 and section 1.3,
doi:10.1017/CBO9781107447615; values of Brette et al. 2007, benchmark 1,
doi:10.1007/s10827-007-0038-6.
Differs from it: nothing.
"""

from ._contracts import NeuronModel

lif = NeuronModel(
    equations="dv/dt = (E_L - v + R*(I + I_syn))/tau_m : volt (unless refractory)",
    threshold="v > V_th",
    reset="v = V_r",
    refractory="t_ref",
    parameters={
        "tau_m": "20*ms",
        "R": "100*Mohm",
        "E_L": "-60*mV",
        "V_th": "-50*mV",
        "V_r": "-60*mV",
        "t_ref": "5*ms",
    },
    positive=("tau_m", "R"),
    initial={"v": "E_L"},
    methods=("exact", "exponential_euler", "euler", "rk2", "rk4"),
    drive="0.15*nA",
    rate=(35.0, 39.0),
    source=str(__doc__),
)
