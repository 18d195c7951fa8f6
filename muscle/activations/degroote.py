r"""Smooth activation dynamics of De Groote and Fregly.

$\frac{da}{dt} = \left(\frac{s + 1/2}{\tau_a z} + \frac{(1/2 - s) z}{\tau_d}\right) (u - a)$, with
$z = 0.5 + 1.5 a$ and $s = \frac{1}{2} \tanh(b (u - a))$.

Source: De Groote, Kinney, Rao & Fregly 2016, equations 1 and 2, doi:10.1007/s10439-016-1591-9.
Differs from it: $b = 10$ as OpenSim's documentation advises, where the paper has 0.1: there rise
and decay hardly differ.
"""

from .._contracts import Activation

degroote = Activation(
    equation="((0.5 + 0.5*tanh(b*(u - a)))/(tau_a*(0.5 + 1.5*a))"
    " + (0.5 - 0.5*tanh(b*(u - a)))*(0.5 + 1.5*a)/tau_d)*(u - a)",
    constants={"b": 10.0},
    variants={"published": {"b": 0.1}},
    source=str(__doc__),
)
