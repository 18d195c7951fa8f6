r"""Exponential integrate-and-fire neuron: a spike that starts as sharply as sodium channels open.

$C \, dv/dt = -g_L (v - E_L) + \psi(v) + I + I_{syn}$ with
$\psi(v) = g_L \Delta_T \exp\frac{v - V_T}{\Delta_T}$, and $v \to V_r$ where $v > V_{cut}$, held
there for $t_{ref}$.

Source: Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel 2003, section "Materials and Methods"
(values: its fit to the Wang-Buzsáki neuron), doi:10.1523/JNEUROSCI.23-37-11628.2003.
Differs from it: a cell of 20,000 µm² where the paper has densities (1 µF/cm², 0.1 mS/cm²); the
upswing, infinite in the paper, is cut at $V_{cut}$ some five $\Delta_T$ above $V_T$. Of the
Runge-Kutta methods only the second order stays finite in the upswing at a step of 0.1 ms.
"""

from ._contracts import NeuronModel

exponential_if = NeuronModel(
    equations="""
dv/dt = (g_L*(E_L - v) + psi + I + I_syn)/C : volt (unless refractory)
psi = g_L*Delta_T*exp((v - V_T)/Delta_T) : amp
""",
    threshold="v > V_cut",
    reset="v = V_r",
    refractory="t_ref",
    parameters={
        "C": "200*pF",
        "g_L": "20*nS",
        "E_L": "-65*mV",
        "V_T": "-59.9*mV",
        "Delta_T": "3.48*mV",
        "V_r": "-68*mV",
        "t_ref": "1.7*ms",
        "V_cut": "-40*mV",
    },
    positive=("C", "g_L", "Delta_T"),
    initial={"v": "E_L"},
    methods=("exponential_euler", "euler", "rk2"),
    drive="0.15*nA",
    rate=(40.0, 50.0),
    source=str(__doc__),
)
