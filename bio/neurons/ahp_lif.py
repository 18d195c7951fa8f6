r"""Leaky integrate-and-fire neuron with an afterhyperpolarising conductance.

$C \, dv/dt = g_L (E_L - v) + \bar g_{ahp} \, a \, (E_{ahp} - v) + I + I_{syn}$

$\tau_{ahp} \, da/dt = -a$, and $v \to E_L$, $a \to 1$ (set, not added) where $v > V_{th}$.

Source: Yamazaki & Nagao 2012, section "Methods", doi:10.1371/journal.pone.0033319; values of its
vestibular cell, by way of the repository blennon/Cerebellum.
Differs from it: $v$ goes back to $E_L$ with a spike, as the repository does; the paper steps by
1 ms.
"""

from ._contracts import NeuronModel

ahp_lif = NeuronModel(
    equations="""
dv/dt = (g_L*(E_L - v) + g_ahp*a_ahp*(E_ahp - v) + I + I_syn)/C : volt
da_ahp/dt = -a_ahp/tau_ahp : 1
""",
    threshold="v > V_th",
    reset="v = E_L; a_ahp = 1",
    parameters={
        "C": "122.3*pF",
        "g_L": "1.64*nS",
        "E_L": "-56*mV",
        "V_th": "-38.8*mV",
        "g_ahp": "50*nS",
        "E_ahp": "-70*mV",
        "tau_ahp": "5*ms",
    },
    positive=("C", "g_L", "tau_ahp"),
    initial={"v": "E_L", "a_ahp": "0"},
    methods=("exponential_euler", "euler", "rk2", "rk4"),
    drive="200*pA",
    rate=(36.0, 44.0),
    source=str(__doc__),
)
