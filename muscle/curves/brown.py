r"""Curves of the virtual muscle, mean of slow and fast fibres.

$f_l = \exp(-|(l^\beta - 1)/\omega|^\rho)$

$V \le 0$: $f_v = \frac{V_m - V}{V_m + (c_0 + c_1 l) V}$, else
$f_v = \frac{b_v - (a_0 + a_1 l + a_2 l^2) V}{b_v + V}$, with $V$ in optimal lengths a second

An active muscle resists compression with $-0.02 \exp(-18.7 (l - 0.79))$; there is no other passive
force.

Source: Brown, Cheng & Loeb 1999, section "Model equations", doi:10.1023/A:1005585030764; means
and use in an arm: Li & Todorov 2004, section 2, doi:10.5220/0001143902220229.
Differs from it: force is proportional to activation, where the paper has a recruitment curve
$1 - \exp(-(a/0.56 n)^n)$; two branches are a sum over clipped velocities.
"""

from .._contracts import Curves

brown = Curves(
    active="exp(-abs((l**beta_l - 1)/omega)**rho)",
    velocity="(Vm - clip(V, -inf, 0))/(Vm + (c0 + c1*l)*clip(V, -inf, 0))"
    " + (bv - (a0 + a1*l + a2*l**2)*clip(V, 0, inf))/(bv + clip(V, 0, inf)) - 1",
    inverse="-Vm*clip(f - 1, -inf, 0)/(1 + (c0 + c1*l)*clip(f, -inf, 1))"
    " - bv*clip(f - 1, 0, inf)/(a0 + a1*l + a2*l**2 + clip(f, 1, inf))",
    passive="0*l",
    compression="-0.02*exp(-18.7*(l - 0.79))",
    constants={
        "beta_l": 1.93,
        "omega": 1.03,
        "rho": 1.87,
        "Vm": -5.72,
        "c0": 1.38,
        "c1": 2.09,
        "bv": 0.62,
        "a0": -3.12,
        "a1": 4.21,
        "a2": -2.67,
    },
    points=((-5.72, 0.0), (0.0, 1.0)),
    isometric=1 - 3.9407e-4,
    source=str(__doc__),
)
