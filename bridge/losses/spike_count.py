"""at_least, at_most: homeostatic bounds on the number of spikes in a trial."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions

from ..learning._contracts import Trial
from ..recording import Recording
from ._contracts import Loss
from ._target import named, plain

OVER = {"": (), "trials": (0,), "neurons": (1,)}  # axes of "batch neuron"
Over = Literal["", "trials", "neurons"]


@dataclass(frozen=True)
class SpikeCount(Loss):
    """See `at_least` and `at_most`, which make it."""

    group: str
    bound: float
    sign: int
    over: str

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        count = recording.spikes[self.group].sum(0)
        if self.over:
            count = count.mean(OVER[self.over])
        return (self.sign * (count - self.bound)).relu().square().mean()


@checked
def at_least(group: Any, count: Any, over: Over | str = "") -> Loss:
    r"""Squared lack of spikes: what revives silent neurons.

    $L = \langle [n^* - n]_+^2 \rangle$ over trials and neurons

    Arguments:
        group: A group or subgroup, by its name or itself.
        count: Least number of spikes of a neuron in a trial, $n^*$ [1]; also a part of one.
        over: Of what the mean is bounded: "trials", for each neuron, "neurons", for each trial; by
            default each neuron has the bound in each trial.

    Raises:
        UnitError: The count is no pure number.
        DomainError: It is negative or no number, or the group is none.
        UnknownName: `over` is none of the three, or there is no spiking group of that name.

    Source: Rossbroich, Gygax & Zenke 2022, appendix, doi:10.1088/2634-4386/ac97bb: the lower
    bound, there with the weight 100 and 0.001 spikes.

    Example:
        >>> loss = 100*at_least("hidden", 1e-3) + 0.1*at_most("hidden", 4, over="neurons")
    """
    return _bound("at_least", group, count, -1, over)


@checked
def at_most(group: Any, count: Any, over: Over | str = "") -> Loss:
    r"""Squared excess of spikes.

    $L = \langle [n - n^*]_+^2 \rangle$ over trials and neurons

    Arguments:
        group: A group or subgroup, by its name or itself.
        count: Largest number of spikes of a neuron in a trial, $n^*$ [1].
        over: Of what the mean is bounded, as in `at_least`.

    Raises:
        UnitError: The count is no pure number.
        DomainError: It is negative or no number, or the group is none.
        UnknownName: `over` is none of the three, or there is no spiking group of that name.

    Source: Rossbroich, Gygax & Zenke 2022, appendix, doi:10.1088/2634-4386/ac97bb: the upper
    bound, there with the weight 0.1 and 4 spikes in 200 ms.
    """
    return _bound("at_most", group, count, 1, over)


def _bound(name: str, group: Any, count: Any, sign: int, over: str) -> SpikeCount:
    group = named(group, f"mn.losses.{name}(...)")
    asked = f"mn.losses.{name}({group!r})"
    if over not in OVER:
        raise UnknownName.among(f"{asked}: over={over!r}", over, [k for k in OVER if k])
    found = plain(count, Dimensions(), f"{asked}: the count")
    if found.size != 1 or not 0 <= found.item() < float("inf"):
        raise DomainError(
            f"{asked}: the count is {count}, but it is a number of spikes of one neuron in a trial,"
            " from 0 on. Write, say, 4; a rate is the business of mn.losses.rate."
        )
    return SpikeCount(group, float(found.item()), sign, over)
