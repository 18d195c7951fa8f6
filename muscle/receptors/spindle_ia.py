r"""Primary ending of a muscle spindle: length, and a power of velocity.

Rate $= 50 + 2 s + 4.3 \, \mathrm{sign}(n) |n|^{0.6}$ Hz, with the stretch $s$ in mm and the speed
$n$ in mm/s.

Source: Prochazka & Gorassini 1998, the model with a power of velocity,
doi:10.1111/j.1469-7793.1998.277bu.x; Prochazka 1999, doi:10.1016/S0079-6123(08)62850-2.
Differs from it: $n (n^2 + e^2)^{-0.2}$ with $e = 1$ mm/s in place of the power, whose slope at rest
is infinite; the stretch is that of the fibre beyond optimal; an offset of 50 Hz.
"""

from .._contracts import Receptor

spindle_ia = Receptor(
    sense="length*stretch + speed_gain*speed*(speed**2 + smooth**2)**(-0.2)",
    rate="base + sense",
    constants={"base": 50.0, "length": 2.0, "speed_gain": 4.3, "smooth": 1.0},
    source=str(__doc__),
)
