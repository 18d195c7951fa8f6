r"""Curves of Thelen: a Gaussian, hyperbolas whose speed depends on activation, an exponential.

$f_l = \exp(-(l - 1)^2/\gamma)$

$v \le 0$: $f_v = \frac{k + v}{k - v/A_f}$, else
$f_v = \frac{k + v B \bar F}{k + v B}$, with $k = 0.25 + 0.75 a$ and
$B = \frac{2 + 2/A_f}{\bar F - 1}$

$f_p = \frac{\exp(k_p (l - 1)/e_0) - 1}{e^{k_p} - 1}$ for $l > 1$, else 0

Source: Thelen 2003, equations 3, 4, 6 and 7, doi:10.1115/1.1531112; the variant `arm26` has the
constants of the model arm26.osim of OpenSim.
Differs from it: two branches are a sum over clipped velocities; the eccentric branch is not
continued linearly at 0.95 of its asymptote; the exponent of the passive force is bounded at 12.
"""

from .._contracts import Curves

thelen = Curves(
    active="exp(-(l - 1)**2/width)",
    velocity="(0.25 + 0.75*a + clip(v, -inf, 0))/(0.25 + 0.75*a - clip(v, -inf, 0)/Af)"
    " + (0.25 + 0.75*a + clip(v, 0, inf)*F*(2 + 2/Af)/(F - 1))"
    "/(0.25 + 0.75*a + clip(v, 0, inf)*(2 + 2/Af)/(F - 1)) - 1",
    inverse="(0.25 + 0.75*a)*(clip(f - 1, -inf, 0)/(1 + clip(f, -inf, 1)/Af)"
    " + clip(f - 1, 0, inf)*(F - 1)/((2 + 2/Af)*(F - clip(f, 1, inf))))",
    passive="(exp(clip(kp*(l - 1)/e0, 0, 12)) - 1)/(exp(kp) - 1)",
    constants={"width": 0.45, "Af": 0.25, "F": 1.4, "kp": 5.0, "e0": 0.6},
    variants={"arm26": {"width": 0.5, "Af": 0.3, "F": 1.8, "kp": 4.0}},
    points=((-1.0, 0.0), (0.0, 1.0)),
    isometric=1.0,
    source=str(__doc__),
)
