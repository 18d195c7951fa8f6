r"""Golgi tendon organ, linear: rate in proportion to force.

Rate $= 333 F/F_0$ Hz.

Source: Prochazka 1999, section on tendon organs, doi:10.1016/S0079-6123(08)62850-2.
Differs from it: the force is in maximal isometric forces, so that muscles of all sizes share it.
"""

from .._contracts import Receptor

tendon_organ = Receptor(
    sense="tension",
    rate="gain*sense",
    constants={"gain": 333.0},
    source=str(__doc__),
)
