r"""Secondary ending of a muscle spindle: length alone.

Rate $= 80 + 13.5 s$ Hz, with the stretch $s$ in mm.

Source: Prochazka 1999, section on spindle models, doi:10.1016/S0079-6123(08)62850-2.
Differs from it: the stretch is that of the fibre beyond optimal.
"""

from .._contracts import Receptor

spindle_ii = Receptor(
    sense="length*stretch",
    rate="base + sense",
    constants={"base": 80.0, "length": 13.5},
    source=str(__doc__),
)
