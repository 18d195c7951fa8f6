r"""Activation dynamics that switch between rise and decay.

$da/dt = (u - a)/\tau$, with $\tau = \tau_a (0.5 + 1.5 a)$ if $u > a$, else
$\tau_d/(0.5 + 1.5 a)$.

Source: Thelen 2003, equations 1 and 2, doi:10.1115/1.1531112; after Winters 1995.
Differs from it: nothing; the two cases are a sum of clipped differences.
"""

from .._contracts import Activation

thelen = Activation(
    equation="clip(u - a, 0, inf)/(tau_a*(0.5 + 1.5*a)) + clip(u - a, -inf, 0)*(0.5 + 1.5*a)/tau_d",
    source=str(__doc__),
)
