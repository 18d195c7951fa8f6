r"""Contraction: the force of a muscle with a rigid or a compliant tendon, as Brian2 statements.

$F = F_0 (a f_l f_v + f_p + \beta v) \cos \alpha$. With a rigid tendon the fibre's length and
velocity are those of the joints, through the moment arms. With a compliant one the length is a
state, the tendon carries $F = F_0 (0.2 \, e^{k (l_T - 1)} - 0.2)$, $k = \ln 6/e_T$, $e_T = 0.049$,
and the velocity solves the equation above in two Newton steps from rest.

Floors keep what the curves cannot promise. The length that the curves see does not fall below 0.3
(`0.3 + 0.02*ln(1 + exp((l - 0.3)/0.02))`, a change of 6e-7 in force at l = 0.5): one of De Groote's
Gaussians has a pole at 0.15. The force-velocity factor is $(f_v + \sqrt{f_v^2 + 10^{-6}})/2$, and
with damping, or a tendon that may be slack, the whole force is floored likewise: a muscle does not
push, and force does not fall when activation rises. All are smooth, so that no gradient is zero.

Source: the sum of elements, Zajac 1989, PMID:2676342; tendon, De Groote, Kinney, Rao & Fregly 2016,
supplement, doi:10.1007/s10439-016-1591-9, in OpenSim's form; constant thickness and the damping
beta = 0.1, Millard et al. 2013, sections 2 and 4, doi:10.1115/1.4023390.
"""

from math import log
from typing import Literal

from ._contracts import Curves
from ._expression import floored, softplus

Tendon = Literal["rigid", "compliant"]
TENDON_STIFFNESS = log(6) / 0.049
MILLARD_DAMPING = 0.1
FASTEST, BEND = 1.5, 0.05

PARAMETERS = """
F0 : newton (constant)
L0 : metre (constant)
L_slack : metre (constant)
L_ref : metre (constant)
v_max : 1/second (constant)
tau_a : second (constant)
tau_d : second (constant)
excursion : metre
excursion_rate : metre/second
fiber_length : 1
fiber_velocity : 1
force : newton
"""
OF_PENNATE = "pennation : 1 (constant)\n"
OF_DAMPED = "beta : 1 (constant)\n"
PARALLEL = """
fiber_length = (L_ref - excursion - L_slack)/L0
fiber_velocity = -excursion_rate/(L0*v_max)
"""
PENNATE = """
along = (L_ref - excursion - L_slack)/L0
fiber_length = sqrt(along**2 + sin(pennation)**2)
cos_pennation = along/fiber_length
fiber_velocity = -excursion_rate*cos_pennation/(L0*v_max)
"""
SEEN_LENGTH = f"l = 0.3 + 0.02*{softplus('(fiber_length - 0.3)/0.02')}\n"


def contraction(curves: Curves, tendon: Tendon, pennate: bool, damped: bool) -> str:
    """Statements that give fibre length, velocity and force, once a step."""
    return compliant(curves, pennate) if tendon == "compliant" else rigid(curves, pennate, damped)


def rigid(curves: Curves, pennate: bool, damped: bool) -> str:
    """The statements where fibres follow the joints."""
    code = (PENNATE if pennate else PARALLEL) + SEEN_LENGTH + _active(curves)
    whole = f"activation*active + {curves.text(curves.passive)}"
    along = "*cos_pennation" if pennate else ""
    if not damped:
        return f"{code}force = F0*({whole}){along}"
    return f"{code}whole = {whole} + beta*fiber_velocity\nforce = F0*{floored('whole')}{along}"


def _within(x: str) -> str:
    """x, bent smoothly to stay between -FASTEST and FASTEST."""
    above, below = f"({x} - {FASTEST})/{BEND}", f"(-{FASTEST} - {x})/{BEND}"
    return f"{x} - {BEND}*{softplus(above)} + {BEND}*{softplus(below)}"


def _active(curves: Curves) -> str:
    names = {"v": "fiber_velocity", "V": "fiber_velocity*v_max*second", "a": "activation"}
    fl, fv = curves.text(curves.active), curves.text(curves.velocity, **names)
    if curves.compression:
        bracket = f"({fl})*({fv}) + {curves.text(curves.compression)}"
        return f"bracket = {bracket}\nactive = {floored('bracket')}\n"
    return f"fv = {fv}\nactive = ({fl})*{floored('fv')}\n"


def compliant(curves: Curves, pennate: bool) -> str:
    """The statements where a tendon stretches; curves need a `slope`."""
    code = SEEN_LENGTH + (
        "along = sqrt(clip(fiber_length**2 - sin(pennation)**2, 0.0001, inf))\n"
        "cos_pennation = along/fiber_length\n"
        if pennate
        else "along = fiber_length\n"
    )
    carried = f"0.2*exp(clip({TENDON_STIFFNESS!r}*(stretch - 1), -inf, 6)) - 0.2"
    code += (
        "stretch = (L_ref - excursion - L0*along)/L_slack\n"
        f"carried = {carried}\n"
        f"tension = {floored('carried')}\n"
        f"gain = activation*({curves.text(curves.active)})\n"
        f"needed = tension{'/cos_pennation' if pennate else ''} - ({curves.text(curves.passive)})\n"
    )
    for velocity, new in (("0*tension", "first"), ("first", "second")):
        fv, slope = (curves.text(t, v=velocity) for t in (curves.velocity, curves.slope))
        missing = f"needed - gain*({fv}) - beta*({velocity})"
        code += f"{new}_free = {velocity} + ({missing})/(gain*({slope}) + beta)\n"
        code += f"{new} = {_within(f'{new}_free')}\n"
    code += "fiber_velocity = second\n"
    return code + "force = F0*tension\nfiber_length = fiber_length + dt*v_max*fiber_velocity"
