r"""Cell of the inferior olive in three compartments: soma `v`, dendrite `v_d`, axon hillock `v_a`.

Low-threshold calcium current of the soma and $I_h$ of the dendrite make it oscillate below its
threshold at 4 to 10 Hz where `g_CaL` is large enough; a spike of the axon then rides on a crest.
$C_m \, dV/dt$ of each compartment is the sum of its current densities and of those from its
neighbours, $g_{int} (V' - V)$ divided by the share of the area. A gate $x$ follows
$\tau_x \, dx/dt = x_\infty(V) - x$ or $dx/dt = \alpha(V) (1 - x) - \beta(V) \, x$, and
$dCa/dt = -3 I_{CaH} - 0.075 \, Ca$, with $I_{CaH}$ in µA/cm² and time in ms. $\alpha$ of $x_s, x_a$
and $\beta$ of $r$, which are 0/0 at -25 and -8.5 mV, are written with `exprel`.

A spike is an upstroke of the soma through `V_th`; there is no reset. Gap junctions couple
dendrites through `I_gap`: see `gap_junctions`. `I_ou` is a noise current into the soma, an
Ornstein-Uhlenbeck process of mean `mu`, time constant `tau_ou` and stationary standard deviation
`sigma`/√2, exact for every step; `sigma` is 0 by default. Nuclear cells inhibit through `I_inh`
[A/m²], which decays with `tau_inh`: `nuclear_inhibition.connect(nuclei, olive, "inh", w=...)`.

Source: De Gruijl, Bazzigaluppi, de Jeu & De Zeeuw 2012, section "Methods" (cells of Schweighofer et
al. 1999 with an axon hillock, and their gap junctions), doi:10.1371/journal.pcbi.1002814; noise,
nuclear inhibition and start as in the repositories eliasmateo95/CerebellarLoop and
mablin7/cerebellum-jax.
Differs from it: the current $I$ and those of receptors, which are in ampere, enter the soma over an
`area` of ours. The activation of $I_{CaL}$ takes 5 ms.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Equations, NeuronGroup, Synapses

from mirrorneuron.errors import DomainError, ShapeError, UnknownName

from .._quantity import Bound, settle
from ..synapses._contracts import SynapseModel
from ._contracts import NeuronModel

inferior_olive = NeuronModel(
    equations="""
dv/dt = ((I + I_syn)/area + I_ou - I_inh - I_int_s - I_leak_s - I_Na_s - I_CaL - I_K_s)/C_m : volt
dv_d/dt = (-g_int/(1 - p)*(v_d - v) - g_leak*(v_d - E_leak) - I_CaH - I_K_d - I_h - I_gap)/C_m : volt
dv_a/dt = (-g_int/p2*(v_a - v) - g_leak*(v_a - E_leak) - I_Na_a - I_K_a)/C_m : volt
dh/dt = (1/(1 + exp((v + 70*mV)/(5.8*mV))) - h)/(3*ms*exp(-(v + 40*mV)/(33*mV))) : 1
dk/dt = (1/(1 + exp(-(v + 61*mV)/(4.2*mV))) - k)/tau_k : 1
dl/dt = (1/(1 + exp((v + 85.5*mV)/(8.5*mV))) - l)/tau_l : 1
dn/dt = (1/(1 + exp(-(v + 3*mV)/(10*mV))) - n)/(5*ms + 47*ms*exp((v + 50*mV)/(900*mV))) : 1
dx_s/dt = (1.3/exprel(-(v + 25*mV)/(10*mV))*(1 - x_s) - 1.69*exp(-(v + 35*mV)/(80*mV))*x_s)/ms : 1
dh_a/dt = (1/(1 + exp((v_a + 60*mV)/(5.8*mV))) - h_a)/(1.5*ms*exp(-(v_a + 40*mV)/(33*mV))) : 1
dx_a/dt = (1.3/exprel(-(v_a + 25*mV)/(10*mV))*(1 - x_a) - 1.69*exp(-(v_a + 35*mV)/(80*mV))*x_a)/ms : 1
dq/dt = (1/(1 + exp((v_d + 80*mV)/(4*mV))) - q)*(exp(-0.086*v_d/mV - 14.6) + exp(0.07*v_d/mV - 1.87))/ms : 1
dr/dt = 0.2*(1.7/(1 + exp(-(v_d - 5*mV)/(13.9*mV)))*(1 - r) - 0.1/exprel((v_d + 8.5*mV)/(5*mV))*r)/ms : 1
ds/dt = (clip(2e-5*Ca, 0, 0.01)*(1 - s) - 0.015*s)/ms : 1
dCa/dt = (-3*I_CaH/(uA/cm**2) - 0.075*Ca)/ms : 1
dI_inh/dt = -I_inh/tau_inh : amp/meter**2
I_int_s = g_int/p*(v - v_d) + g_int/(1 - p2)*(v - v_a) : amp/meter**2
I_leak_s = g_leak*(v - E_leak) : amp/meter**2
I_Na_s = g_Na_s/(1 + exp(-(v + 30*mV)/(5.5*mV)))**3*h*(v - E_Na) : amp/meter**2
I_CaL = g_CaL*k**3*l*(v - E_Ca) : amp/meter**2
I_K_s = (g_Kdr_s*n**4 + g_K_s*x_s**4)*(v - E_K) : amp/meter**2
I_CaH = g_CaH*r**2*(v_d - E_Ca) : amp/meter**2
I_K_d = g_KCa*s*(v_d - E_K) : amp/meter**2
I_h = g_h*q*(v_d - E_h) : amp/meter**2
I_Na_a = g_Na_a/(1 + exp(-(v_a + 30*mV)/(5.5*mV)))**3*h_a*(v_a - E_Na) : amp/meter**2
I_K_a = g_K_a*x_a**4*(v_a - E_K) : amp/meter**2
tau_l = 35*ms + 20*ms*exp((v + 160*mV)/(30*mV))/(1 + exp((v + 84*mV)/(7.3*mV))) : second
I_ou : amp/meter**2
I_gap : amp/meter**2
""",  # noqa: E501
    threshold="v > V_th",
    reset="",
    hold="v > V_th",
    before=(
        "I_ou = mu + (I_ou - mu)*exp(-dt/tau_ou) + sigma*sqrt((1 - exp(-2*dt/tau_ou))/2)*randn()"
    ),
    parameters={
        "C_m": "1*uF/(cm*cm)",
        "area": "1e-4*cm*cm",
        "g_int": "0.13*mS/(cm*cm)",
        "p": "0.25",
        "p2": "0.15",
        "g_leak": "0.016*mS/(cm*cm)",
        "g_Na_s": "150*mS/(cm*cm)",
        "g_CaL": "1.2*mS/(cm*cm)",
        "tau_k": "5*ms",
        "g_Kdr_s": "9*mS/(cm*cm)",
        "g_K_s": "5*mS/(cm*cm)",
        "g_CaH": "4.5*mS/(cm*cm)",
        "g_KCa": "35*mS/(cm*cm)",
        "g_h": "0.12*mS/(cm*cm)",
        "g_Na_a": "240*mS/(cm*cm)",
        "g_K_a": "20*mS/(cm*cm)",
        "E_leak": "10*mV",
        "E_Na": "55*mV",
        "E_K": "-75*mV",
        "E_Ca": "120*mV",
        "E_h": "-43*mV",
        "V_th": "-30*mV",
        "mu": "0*uA/(cm*cm)",
        "sigma": "0*uA/(cm*cm)",
        "tau_ou": "50*ms",
        "tau_inh": "30*ms",
    },
    positive=("C_m", "area", "p", "p2", "tau_k", "tau_ou", "tau_inh"),
    initial={
        "v": "-60*mV",
        "v_d": "-60*mV",
        "v_a": "-60*mV",
        "h": "0.3596",
        "k": "0.7423",
        "l": "0.0321",
        "n": "0.2369",
        "x_s": "0.1",
        "h_a": "0.9",
        "x_a": "0.2369",
        "q": "0.0338",
        "r": "0.0113",
        "s": "0.0049",
        "Ca": "3.715",
        "I_ou": "mu",
        "I_inh": "0*uA/(cm*cm)",
        "I_gap": "0*uA/(cm*cm)",
    },
    methods=("exponential_euler", "rk2", "euler"),
    step="0.025*ms",
    drive="1*nA",  # a few spikes, and then a depolarisation in which sodium stays inactivated
    rate=(1.0, 4.0),
    variants={
        "quiet": {"g_CaL": "0.1*mS/(cm*cm)"},
        "oscillating_in_network": {"g_CaL": "0.5*mS/(cm*cm)"},
        "oscillating": {"g_CaL": "0.75*mS/(cm*cm)"},
        "spiking": {"g_CaL": "1.1*mS/(cm*cm)"},
        "coupled_loop": {"g_CaL": "1.4*mS/(cm*cm)"},
    },
    source=str(__doc__),
)

nuclear_inhibition = SynapseModel(
    equations="",
    current="0*amp",
    on_pre="I_{r}_post += w",
    parameters={},
    methods=inferior_olive.methods,
    weight="0.05*uA/(cm*cm)",
    source=str(__doc__),
)

FORMS: Mapping[str, str] = {
    "wide": "0.6*exp(-((v_d_post - v_d_pre)/(50*mV))**2) + 0.4",
    "narrow": "0.8*exp(-((v_d_post - v_d_pre)/(10*mV))**2) + 0.2",
}


def gap_junctions(
    cells: NeuronGroup,
    i: Any,
    j: Any,
    g_c: Any = None,
    *,
    form: str = "wide",
    name: str | None = None,
) -> Synapses:
    r"""Couple the dendrites of pairs of cells, each pair in both directions.

    $I_{gap} = \sum g_c \, f(\Delta V) \, \Delta V$ with $\Delta V = V_d - V_d'$, where $f$ falls
    from 1: to 0.4 over 50 mV ("wide"), or to 0.2 over 10 mV ("narrow").

    The published 0.00125 mS/cm² is for 40 cells coupled all to all. With ten neighbours 0.01 mS/cm²
    makes cells with independent noise keep step. The steady deflection of a soma is then passed on
    to that of one neighbour by 0.5 %, and by 2.4 % with 0.05 mS/cm² (`studies/cerebellum`).

    Arguments:
        cells: Group of `neurons["inferior_olive"]`.
        i: One cell of each pair.
        j: The other cell of each pair.
        g_c: Conductance, one for all or one a pair, by default 0.01 mS/cm² [S/m²].
        form: Which $f$.
        name: Of the Synapses.

    Returns:
        Plain Brian2 `Synapses`, two for each pair: first (i, j) for all pairs, then (j, i).

    Raises:
        UnknownName: There is no such form, or the group holds no `I_gap` and `v_d`.
        ShapeError: `i` and `j` differ in length, or `g_c` has not one value a pair.
        DomainError: A cell is paired with itself, or a conductance is negative.
        UnitError: `g_c` has another unit.

    Source: De Gruijl et al. 2012, section "Methods", doi:10.1371/journal.pcbi.1002814, as in the
    repositories eliasmateo95/CerebellarLoop ("wide") and mablin7/cerebellum-jax ("narrow").
    """
    asked = f"gap_junctions({cells.name!r}, i, j)"
    if form not in FORMS:
        raise UnknownName.among(f"{asked}: form={form!r}", form, FORMS)
    held: Any = cells.equations
    if missing := {"I_gap", "v_d"}.difference(Equations(held) if isinstance(held, str) else held):
        raise UnknownName(
            f"{asked}: the group has no {' and no '.join(sorted(missing))}. Gap junctions join the"
            " dendrites of three-compartment cells. Write neurons['inferior_olive'].group(...)."
        )
    one, other = np.atleast_1d(np.asarray(i)), np.atleast_1d(np.asarray(j))
    if one.shape != other.shape or one.ndim != 1:
        raise ShapeError(
            f"{asked}: i has shape {one.shape} and j {other.shape}. A pair is one of each."
            " Write two lists of the same length."
        )
    if np.any(one == other):
        raise DomainError(
            f"{asked}: cell {one[one == other][0]} is paired with itself, where no current can"
            " flow. Leave such pairs out, i != j."
        )
    bounds: dict[str, Bound] = {"g_c": ">= 0"}
    given = {} if g_c is None else {"g_c": g_c}
    settled = settle(asked, {"g_c": "0.01*mS/(cm*cm)"}, given, len(one), bounds)["g_c"]
    junctions = Synapses(
        cells,
        cells,
        f"""g_c : siemens/meter**2 (constant)
        I_gap_post = g_c*({FORMS[form]})*(v_d_post - v_d_pre) : amp/meter**2 (summed)""",
        name=name or "gap_junctions*",
    )
    junctions.connect(i=np.concatenate([one, other]), j=np.concatenate([other, one]))
    junctions.g_c = settled if np.ndim(settled) == 0 else np.tile(settled, 2)
    return junctions
