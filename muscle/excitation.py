r"""From spikes to excitation: what a muscle receives.

`spikes`: a spike of a motor neuron adds its weight to `u`. $\tau_e \, du/dt = -u$,
$\tau_e \, d\mathrm{drive}/dt = u - \mathrm{drive}$, and the excitation is
$1 - \exp(-\lfloor \mathrm{drive} \rfloor)$. A pool that fires $R$ spikes a second through the
weight $w$ gives a mean drive of $w \tau_e R$. Saturation replaces clipping: no spike is without
effect. The smooth floor keeps the excitation above zero under inhibition; it makes 5e-4 of a drive
of zero.

`input`: the excitation itself is a variable, between 0 and 1, to be set or given as an input.

Source: second-order twitch of a motor unit, Fuglevand, Winter & Patla 1993, equation 1,
doi:10.1152/jn.1993.70.6.2470.
Differs from it: one time constant for all units; a saturation of ours; tau_e = 30 ms is of ours.
"""

from dataclasses import dataclass

from ._expression import floored


@dataclass(frozen=True, kw_only=True)
class Excitation:
    """How excitation comes about.

    Arguments:
        equations: Of the muscles.
        code: What gives `excitation` at the beginning of a step; empty if it is given.
    """

    equations: str
    code: str = ""


EXCITATIONS = {
    "spikes": Excitation(
        equations="""
du/dt = -u/tau_e : 1
ddrive/dt = (u - drive)/tau_e : 1
tau_e : second (constant)
excitation : 1
""",
        code=f"excitation = 1 - exp(-({floored('drive')}))",
    ),
    "input": Excitation(equations="excitation : 1\n"),
}
