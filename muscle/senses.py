"""Senses: groups of afferents, each of which listens to one muscle."""

from typing import Any

import numpy as np
from brian2 import NeuronGroup, linked_var

from mirrorneuron.errors import DomainError

from ._contracts import Receptor
from ._expression import floored

EQUATIONS = """
rate : Hz
rest_length : 1 (constant)
fiber_length : 1 (linked)
fiber_velocity : 1 (linked)
force : newton (linked)
F0 : newton (linked)
L0 : metre (linked)
v_max : 1/second (linked)
stretch = (fiber_length - rest_length)*L0/metre*1000 : 1
speed = fiber_velocity*v_max*L0*second/metre*1000 : 1
tension = force/F0 : 1
"""
LINKED = ("fiber_length", "fiber_velocity", "force", "F0", "L0", "v_max")


def afferents(
    muscles: NeuronGroup,
    receptor: Receptor,
    *,
    name: str,
    per_muscle: int = 1,
    spikes: bool = True,
) -> NeuronGroup:
    """Afferents of a group of muscles: a Brian2 group for the Network.

    Stretch counts from `rest_length`, a parameter of the group, at first 1 optimal length.
    Element `k*per_muscle + m` is afferent `m` of muscle `k`. Its `rate` [Hz] is floored at zero,
    smoothly, and is drawn into spikes of a Poisson process; a delay is one of the Synapses that
    carry them on.

    Arguments:
        muscles: The muscles of a body.
        receptor: What the afferents sense.
        name: Of the group.
        per_muscle: Number of afferents of each muscle.
        spikes: Whether to draw spikes, or to have the rate alone.

    Raises:
        DomainError: `per_muscle` is no positive whole number.
    """
    if per_muscle < 1:
        raise DomainError(
            f"afferents({name!r}): {per_muscle} afferents of each muscle. There has to be at least"
            " one. Write per_muscle=1."
        )
    sense = receptor.text(receptor.sense)
    text = f"{EQUATIONS}sense = {sense} : 1\n{receptor.text(receptor.states)}"
    group: Any = NeuronGroup(
        len(muscles) * per_muscle,
        text,
        threshold="rand() < rate*dt" if spikes else None,
        method="euler",
        order=6,
        name=name,
        dt=muscles.clock.dt if muscles.clock.name != "defaultclock" else None,
    )
    index = np.repeat(np.arange(len(muscles)), per_muscle)
    for variable in LINKED:
        setattr(group, variable, linked_var(muscles, variable, index=index))
    group.rest_length = 1
    hertz = receptor.text(receptor.rate)
    group.run_regularly(
        f"drive = {hertz}\nrate = {floored('drive', 1.0)}*Hz",
        when="groups",
        order=7,
        name=f"{name}_rate",
    )
    return group
