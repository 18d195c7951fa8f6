r"""Adaptive exponential integrate-and-fire neuron.

$C \, dv/dt = -g_L (v - E_L) + g_L \Delta_T \exp\frac{v - V_T}{\Delta_T} - w + I + I_{syn}$

$\tau_w \, dw/dt = a \, (v - E_L) - w$, and $v \to V_r$, $w \to w + b$ where $v > V_{cut}$.

Source: Brette & Gerstner 2005, section "Methods" and its table of parameters,
doi:10.1152/jn.00686.2005.
Differs from it: the upswing is cut at $V_T + 5 \Delta_T$, which the paper lets run higher; what is
left of it there takes less than 0.1 ms. Its $w$ is `w_ad` here: `w` is the weight of a synapse.
The variants are those of an olivo-cerebellar loop, of a Purkinje cell and of a cell of the deep
nuclei, as in the repositories eliasmateo95/CerebellarLoop and mablin7/cerebellum-jax.
"""

from ._contracts import NeuronModel

adex = NeuronModel(
    equations="""
dv/dt = (g_L*(E_L - v) + g_L*Delta_T*exp((v - V_T)/Delta_T) - w_ad + I + I_syn)/C : volt
dw_ad/dt = (a*(v - E_L) - w_ad)/tau_w : amp
""",
    threshold="v > V_cut",
    reset="v = V_r; w_ad += b",
    parameters={
        "C": "281*pF",
        "g_L": "30*nS",
        "E_L": "-70.6*mV",
        "V_T": "-50.4*mV",
        "Delta_T": "2*mV",
        "tau_w": "144*ms",
        "a": "4*nS",
        "b": "80.5*pA",
        "V_r": "-70.6*mV",
        "V_cut": "-40.4*mV",
    },
    positive=("C", "g_L", "Delta_T", "tau_w"),
    initial={"v": "E_L", "w_ad": "0*amp"},
    methods=("exponential_euler", "euler", "rk2", "rk4"),
    drive="1*nA",
    rate=(27.0, 35.0),
    variants={
        "purkinje": {"C": "75*pF"},
        "nuclear": {"tau_w": "30*ms", "V_r": "-65*mV"},
    },
    source=str(__doc__),
)
