r"""Extended generalised leaky integrate-and-fire neuron (E-GLIF) with an escape threshold.

$dv/dt = s \, (v - E_L)/\tau_m + (I_e + I + I_{syn} - I_{adap} + I_{dep})/C_m$

$dI_{adap}/dt = k_{adap} (v - E_L) - k_2 I_{adap}, \quad dI_{dep}/dt = -k_1 I_{dep}$

A spike comes with probability $1 - \exp(-\lambda \, dt)$ in a step, with the hazard
$\lambda = \lambda_0 \exp((v - V_{th})/\tau_V)$; then $v \to V_r$, $I_{dep} \to A_1$ (set, not
added) and $I_{adap} \to I_{adap} + A_2$. Within a step: $v$ is lifted to $V_{min}$, the equations
are integrated, and then either the refractory time counts, $t_{ref}$ rounded to steps in which $v$
is held and the currents go on, or the threshold is tested.

**The sign of the leak**, $s$ (`leak_sign`), is +1 by default, as in the published implementation
that gave the published constants: with it, and not with the -1 of a leaky membrane, they give the
published rates. So $v$ drifts *away* from $E_L$, and $I_{adap}$ alone holds it: the equations are
stable only where $k_2 \geq s/\tau_m$ and $k_{adap}/C_m \geq s \, k_2/\tau_m$, and `group` warns
where they are not. `leak_sign=-1` is the physiological sign, for constants fitted to it.

The default threshold draws `rand()`. `with_threshold("deterministic")` is $v > V_{th}$, and
`with_threshold("drawn")` compares with `uniform(t, i)`, a TimedArray of numbers between 0 and 1
which you give: so every backend gets the same numbers.

Source: Geminiani, Casellato, Locatelli, Prestori, Pedrocchi & D'Angelo 2018, equations 1 to 4,
doi:10.3389/fninf.2018.00088; the Golgi cell's values of Geminiani et al. 2019, tables 2 and 3,
doi:10.3389/fncom.2019.00035; $\lambda_0$, $\tau_V$, $V_{min}$ and the start as in the repository
dbbs-lab/cerebellar-models, version 0.13.0.
Differs from it: the sign $s$ is a parameter. The exponent of the hazard ends at 20, where a spike
is certain. The paper's $\theta$ and $\Delta$ notation of $v$, $I_{adap}$, $I_{dep}$ is ours.
"""

from ._contracts import NeuronModel

_CHANCE = "1 - exp(-lambda_0*exp(clip((v - V_th)/tau_V, -inf, 20))*dt)"

eglif = NeuronModel(
    equations="""
dv/dt = leak_sign*(v - E_L)/tau_m + (I_e + I + I_syn - I_adap + I_dep)/C_m : volt (unless refractory)
dI_adap/dt = k_adap*(v - E_L) - k_2*I_adap : amp
dI_dep/dt = -k_1*I_dep : amp
""",  # noqa: E501
    threshold=f"rand() < {_CHANCE}",
    thresholds={"deterministic": "v > V_th", "drawn": f"uniform(t, i) < {_CHANCE}"},
    reset="v = V_r; I_dep = A_1; I_adap += A_2",
    refractory="t_ref",
    hold="t_ref + 1.5*dt",  # refractory in as many steps as t_ref/dt, rounded
    before="v = clip(v, V_min, inf*volt)",
    stable=(("k_2", "leak_sign/tau_m"), ("k_adap/C_m", "leak_sign*k_2/tau_m")),
    parameters={
        "leak_sign": "1",
        "C_m": "145*pF",
        "tau_m": "44*ms",
        "E_L": "-62*mV",
        "V_th": "-55*mV",
        "V_r": "-75*mV",
        "t_ref": "2*ms",
        "I_e": "16.214*pA",
        "k_adap": "0.217*nS/ms",
        "k_1": "0.031/ms",
        "k_2": "0.023/ms",
        "A_1": "259.988*pA",
        "A_2": "178.01*pA",
        "lambda_0": "0.15/ms",
        "tau_V": "0.09*mV",
        "V_min": "-150*mV",
    },
    positive=("C_m", "tau_m", "tau_V", "lambda_0"),
    initial={"v": "-60*mV", "I_adap": "0*amp", "I_dep": "0*amp"},
    methods=("rk4", "rk2", "exponential_euler", "euler"),
    spontaneous=(12.0, 14.0),
    drive="100*pA",
    rate=(26.0, 33.0),
    source=str(__doc__),
)
