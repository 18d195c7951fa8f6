r"""Hill's curves as van Soest & Bobbert and Kistemaker have them: a parabola and hyperbolas.

$f_l = \max(1 - ((l - 1)/w)^2,\; 0.01)$

$V \le 0$: $f_v = \frac{b + a_r V}{b - V}$, else $f_v = 1 + \frac{0.5 V}{V + c}$,
with $V$ in optimal lengths a second, $a_r = 0.41/f_l$ for $l < 1$, else 0.41, and
$c = \frac{b}{4 (1 + a_r)}$: a slope at rest that is twice that of shortening, towards 1.5

$f_p = ((l - 1.4)/0.26)^2$ for $l > 1.4$, else 0

Source: van Soest & Bobbert 1993, appendix A, doi:10.1007/BF00198959; Kistemaker, van Soest &
Bobbert 2006, appendix, doi:10.1152/jn.00983.2005.
Differs from it: no slanted asymptote (their end slope is 0.001), and b does not fall at activations
below 0.3; two branches are a sum over clipped velocities.
"""

from .._contracts import Curves

SHAPE = "0.41/clip(1 - ((clip(l, 0, 1) - 1)/w)**2, 0.01, 1)"

kistemaker = Curves(
    active="clip(1 - ((l - 1)/w)**2, 0.01, 1)",
    velocity=f"(b + {SHAPE}*clip(V, -inf, 0))/(b - clip(V, -inf, 0))"
    f" + 0.5*clip(V, 0, inf)/(clip(V, 0, inf) + b/(4*(1 + {SHAPE})))",
    inverse=f"b*clip(f - 1, -inf, 0)/({SHAPE} + clip(f, -inf, 1))"
    f" + clip(f - 1, 0, inf)*b/(4*(1 + {SHAPE}))/(0.5 - clip(f - 1, 0, inf))",
    passive="(clip(l - 1.4, 0, inf)/0.26)**2",
    constants={"w": 0.66, "b": 5.2},
    points=((-5.2 / 0.41, 0.0), (0.0, 1.0)),
    isometric=1.0,
    source=str(__doc__),
)
