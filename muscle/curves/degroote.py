r"""Smooth curves of De Groote and Fregly, with the constants of OpenSim.

$f_l = \sum_{i=1}^{3} b_{1i} \exp\left(-\frac{1}{2}
\left(\frac{l - b_{2i}}{b_{3i} + b_{4i} l}\right)^2\right)$

$f_v = d_1 \ln\left(d_2 v + d_3 + \sqrt{(d_2 v + d_3)^2 + 1}\right) + d_4$

$f_p = \frac{E(l) - E(0.2)}{e^{k} - E(0.2)}$, $E(l) = \exp(k (l - 1)/e_0)$

Source: De Groote, Kinney, Rao & Fregly 2016, supplement,
doi:10.1007/s10439-016-1591-9; constants of the class DeGrooteFregly2016Muscle of OpenSim 4.
Differs from it: $b_{11}$, $d_1$ and $d_4$ are OpenSim's, so that $f_l(1) = 1$, $f_v(-1) = 0$ and
$f_v(0) = 1$; passive force in OpenSim's form, above zero down to $l = 0.2$, its exponent bounded at
12.
"""

from .._contracts import Curves

degroote = Curves(
    active="""
b11*exp(-0.5*((l - b21)/(b31 + b41*l))**2)
 + b12*exp(-0.5*((l - b22)/(b32 + b42*l))**2)
 + b13*exp(-0.5*((l - b23)/b33)**2)
""".replace("\n", ""),
    velocity="d1*log(d2*v + d3 + sqrt((d2*v + d3)**2 + 1)) + d4",
    inverse="(sinh((f - d4)/d1) - d3)/d2",
    slope="d1*d2/sqrt((d2*v + d3)**2 + 1)",
    passive="(exp(clip(kp*(l - 1)/e0, -inf, 12)) - exp(kp*(0.2 - 1)/e0))"
    "/(exp(kp) - exp(kp*(0.2 - 1)/e0))",
    constants={
        "b11": 0.8150671134243542,
        "b21": 1.055033428970575,
        "b31": 0.162384573599574,
        "b41": 0.063303448465465,
        "b12": 0.433004984392647,
        "b22": 0.716775413397760,
        "b32": -0.029947116970696,
        "b42": 0.200356847296188,
        "b13": 0.1,
        "b23": 1.0,
        "b33": 0.353553390593274,
        "d1": -0.3211346127989808,
        "d2": -8.149,
        "d3": -0.374,
        "d4": 0.8825327733249912,
        "kp": 4.0,
        "e0": 0.6,
    },
    points=((-1.0, 0.0), (0.0, 1.0)),
    isometric=1.0182288,
    source=str(__doc__),
)
