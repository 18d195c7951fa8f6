r"""Leaky integrate-and-fire neuron with a spike-triggered adaptation current.

$\tau_m \, dv/dt = -(v - E_L) - R \, w + R \, (I + I_{syn})$

$\tau_w \, dw/dt = -w$, and $v \to V_r$, $w \to w + b$ where $v > V_{th}$.

Source: Gerstner, Kistler, Naud & Paninski 2014, equations 6.1 and 6.2 with a linear $f$,
doi:10.1017/CBO9781107447615.
Differs from it: one adaptation current that does not depend on $v$ ($K = 1$, $a_1 = 0$), so that
the closed form stays real; membrane of Brette et al. 2007, benchmark 1,
doi:10.1007/s10827-007-0038-6, $\tau_w$ of Brette & Gerstner 2005, doi:10.1152/jn.00686.2005,
and a $b$ of ours. Its $w$ is `w_ad` here: `w` is the weight of a synapse.
"""

from ._contracts import NeuronModel

adaptive_lif = NeuronModel(
    equations="""
dv/dt = (E_L - v + R*(I + I_syn - w_ad))/tau_m : volt (unless refractory)
dw_ad/dt = -w_ad/tau_w : amp
""",
    threshold="v > V_th",
    reset="v = V_r; w_ad += b",
    refractory="t_ref",
    parameters={
        "tau_m": "20*ms",
        "R": "100*Mohm",
        "E_L": "-60*mV",
        "V_th": "-50*mV",
        "V_r": "-60*mV",
        "t_ref": "5*ms",
        "tau_w": "144*ms",
        "b": "20*pA",
    },
    positive=("tau_m", "R", "tau_w"),
    initial={"v": "E_L", "w_ad": "0*amp"},
    # The closed form of three coupled equations takes sympy ten seconds.
    methods=("exponential_euler", "exact", "euler", "rk2", "rk4"),
    drive="0.25*nA",
    rate=(36.0, 42.0),
    source=str(__doc__),
)
