"""Losses: how far a recording is from what was wanted, as a number of size one.

Each is made by a function and given to a task, `mn.Task(1*second, mn.losses.rate("E", 5*Hz))`,
alone or as a sum, `mn.losses.rate("E", 5*Hz) + 0.1*mn.losses.voltage("E.v", trace)`. It says itself
which variables have to be recorded. Where no target is named, the target of the trial is used:
`Trial(target=...)`, or `Trial(target={"E": ..., "E.v": ...})` for several losses.

A target with a unit is a Quantity; a tensor is taken to be in SI units. Times count from the start
of the trial. A spike is differentiable by its surrogate, and a loss of spikes by what one spike
more or less changes in it.
"""

from ._contracts import Loss
from .cross_entropy import cross_entropy
from .first_spike import first_spike
from .rate import rate
from .spike_count import at_least, at_most
from .van_rossum import van_rossum
from .victor_purpura import victor_purpura
from .voltage import voltage

__all__ = [
    "Loss",
    "at_least",
    "at_most",
    "cross_entropy",
    "first_spike",
    "rate",
    "van_rossum",
    "victor_purpura",
    "voltage",
]
