r"""Golgi tendon organ with a logarithmic static part that adapts.

$R = 40 \ln(F/c + 1)$, filtered by $\frac{1.7 s^2 + 2.58 s + 0.4}{s^2 + 2.2 s + 0.4}$: rate
$= 1.7 R - \frac{0.4}{3} R_{5 s} - \frac{1.7}{3} R_{0.5 s}$ with $R$ low-passed by 5 s and 0.5 s.
The gain at rest is 1.

Source: Lin & Crago 2002, section on the tendon organ, doi:10.1114/1.1432692.
Differs from it: $c = 0.02 F_0$, where the paper has 4 N for a muscle of the hand.
"""

from .._contracts import Receptor

tendon_organ_dynamic = Receptor(
    sense="gain*log(1 + tension/c)",
    states="""
dslow/dt = (sense - slow)/(5*second) : 1
dfast/dt = (sense - fast)/(0.5*second) : 1
""",
    rate="1.7*sense - 0.4/3*slow - 1.7/3*fast",
    constants={"gain": 40.0, "c": 0.02},
    source=str(__doc__),
)
