r"""The derivative of a spike: which surrogate, how wide, and whether it passes through the reset.

A surrogate gives a neuron a derivative $ds/dm$ in every step that it spends near threshold, so
that a small shift $\delta$ of its potential is counted in many steps, and in more of them the
shorter the step is. What makes the sum right is the reset: a spike takes the potential with it. The
gradient follows the reset, as the soft reset that it is for a neuron at threshold: a spike adds
the jump $J = f(x^*) - x^*$, where f are the reset's statements and $x^*$ is the state with the
potential moved to threshold, $dx^+ = dx + s\,dJ + J\,ds$. With the depth $\Delta$ of the reset a
shift then obeys $\delta \leftarrow \delta\,(1 - \Delta\,ds/dm)$ and leaves $\delta\,ds/dm$ spikes
on the way, which add up to $\delta/\Delta$: the response of an integrator, whatever the shape.

Two things follow.

* The height: $ds/dm \le 1/\Delta$ takes a shift at most once, so the gradient is stable; above
  $2/\Delta$ it grows from step to step. A derivative $g\,h(m/w)/w$ with a shape h of unit mass and
  the gain $g = \min(1, w/(\Delta h(0)))$ keeps to that for every width w.
* The width says from where on a shift becomes spikes before it leaks away. It is derived for each
  neuron: half-way between threshold and reset a step of the surrogate takes as much as a step of
  the leak. Where the equations run away before the threshold, as the upstroke of a quadratic or
  exponential neuron does, shifts grow there by the ratio of the velocities, and the bell has to be
  as wide as that zone, $w = h(0)$ times its length.

A width that is given is taken as it is, with a gain of one.

Source: derived and measured here, see docs/decisions/0012. That a surrogate with a large slope
makes the reset felt before the spike was noted by Zenke (github.com/fzenke/spytorch, issue 2), who
detaches the reset; Zenke & Vogels 2021, doi:10.1162/neco_a_01367, compare both at 1 ms.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from mirrorneuron.errors import GradientError
from mirrorneuron.units import Dimensions

from ._contracts import Surrogate

ResetGradient = Literal["auto", "detach", "surrogate"]
LARGEST = 2.0
LEAST_LEAK, LARGEST_LEAK, FURTHEST = 1e-3, 0.5, 1e3


@dataclass(frozen=True)
class ResetDepth:
    """What a group's equations say between threshold and reset, " neuron".

    Arguments:
        depth: By how much the reset of a neuron at threshold lowers its margin.
        leak: Share of a small shift that one step takes away just after the reset [1].
        runs_away: Distance to threshold from which on a shift grows from step to step, as in the
            upstroke of a spike; 0 where there is no such zone.
    """

    depth: Tensor
    leak: Tensor
    runs_away: Tensor


@dataclass(frozen=True)
class SpikeGradient:
    """What stands for the derivative of the spikes of a group, $g\\,h(m/w)/w$.

    Arguments:
        surrogate: Its shape h.
        width: Its width w in SI units, one for all neurons or one for each; None where it was
            not given and does not follow from the model.
        gain: Factor g that keeps it at or below one over the depth of the reset [1].
        follows_reset: Whether the gradient passes through the reset.
        unit: Unit of the margin; None where the condition compares nothing.
        reason: Where the width comes from, or why there is none.
        unstable: Why the gradient cannot pass through the reset, if so.
    """

    surrogate: Surrogate
    width: float | Tensor | None
    gain: float | Tensor
    follows_reset: bool
    unit: Dimensions | None
    reason: str
    unstable: str = ""

    def slope(self, margin: Tensor) -> Tensor:
        """Derivative of a spike with respect to its margin, of the shape of `margin`.

        Raises:
            TypeError: There is no width.
        """
        if self.width is None:
            raise TypeError("a surrogate without a width has no slope")
        return self.gain * self.surrogate(margin, self.width) / self.width

    def require_width(self, owner: str) -> None:
        """Refuse a gradient through spikes of which nothing says how wide they are.

        Arguments:
            owner: The group that spikes.

        Raises:
            GradientError: There is no width.
        """
        if self.width is None:
            raise GradientError(
                f"run(...): the gradient has to pass through spikes of {owner!r}, and no width of"
                f" the surrogate follows from the model: {self.reason}. The width is the distance"
                " to threshold over which a spike is smeared. Write"
                f" mirror(net, surrogate={{{owner!r}: mn.SuperSpike(width=...)}}), in the unit of"
                " the threshold's variable."
            )

    def to(self, dtype: torch.dtype, device: torch.device) -> "SpikeGradient":
        """The same with widths and gains in another type, on another device."""
        moved = (
            x.to(device, dtype) if isinstance(x, Tensor) else x for x in (self.width, self.gain)
        )
        width, gain = moved
        return replace(self, width=width, gain=1.0 if gain is None else gain)

    def __str__(self) -> str:
        through = "through the reset" if self.follows_reset else "reset detached"
        if self.unit is None:
            return f"that of the spiking probability, if any; {through}"
        if self.width is None:
            return f"none: {self.reason}; give a surrogate with a width in [{self.unit}]"
        shown = size(self.width, self.unit)
        return f"{type(self.surrogate).__name__}, width {shown} ({self.reason}); {through}"


def spike_gradient(
    surrogate: Surrogate,
    width: float | None,
    unit: Dimensions | None,
    reset: ResetDepth | None,
    mode: ResetGradient,
) -> SpikeGradient:
    """What stands for the derivative of the spikes of a group.

    Arguments:
        surrogate: Its shape.
        width: Its width in SI units, if one was given.
        unit: Unit of the margin, if the condition compares anything.
        reset: Depth of the reset, where one variable crosses the threshold.
        mode: Whether the gradient passes through the reset; "auto" where that is stable.
    """
    if unit is None:
        return SpikeGradient(surrogate, None, 1.0, mode != "detach", None, "")
    if width is not None:
        unstable = _unstable(surrogate, width, unit, reset) if mode == "auto" else ""
        follows = mode == "surrogate" or (mode == "auto" and reset is not None and not unstable)
        return SpikeGradient(surrogate, width, 1.0, follows, unit, "as given", unstable)
    missing = _missing(reset)
    if reset is None or missing:
        return SpikeGradient(surrogate, None, 1.0, False, unit, missing)
    found = derived_width(surrogate, reset)
    gain = torch.clamp(found / (reset.depth * surrogate.peak), max=1)
    reason = f"from its reset, which is {size(reset.depth, unit)} deep"
    made = (_one_for_all(found), _one_for_all(gain))
    return SpikeGradient(surrogate, *made, mode != "detach", unit, reason)


def _missing(reset: ResetDepth | None) -> str:
    """Why no width follows from a model, if so."""
    if reset is None:
        return "no single variable crosses the threshold"
    if not bool((reset.depth > 0).all()):
        return "the reset does not take the neuron below threshold"
    return ""


def derived_width(surrogate: Surrogate, reset: ResetDepth) -> Tensor:
    """Width of a bell that leaves a neuron far below threshold to its equations, " neuron".

    Half-way between threshold and reset, a step takes as much of a shift by the surrogate as by
    the leak: above, a shift becomes spikes; below, it decays. Where the model runs away before its
    threshold, the bell has to take a shift before it has grown, and is as wide as that zone.
    """
    level = reset.leak.clamp(LEAST_LEAK, LARGEST_LEAK)
    return torch.maximum(
        0.5 * reset.depth / reach(surrogate, level), surrogate.peak * reset.runs_away
    )


def reach(surrogate: Surrogate, level: Tensor) -> Tensor:
    """Distance, in widths, at which a bell has fallen to a share `level` of its peak."""
    low, high = torch.zeros_like(level), torch.full_like(level, FURTHEST)
    for _ in range(64):
        middle = 0.5 * (low + high)
        inside = surrogate(middle, 1.0) > level * surrogate.peak
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return high


def _one_for_all(width: Tensor) -> float | Tensor:
    first = float(width[0]) if len(width) else 1.0
    return first if bool((width == first).all()) else width


def _unstable(
    surrogate: Surrogate, width: float, unit: Dimensions, reset: ResetDepth | None
) -> str:
    """Why a gradient of this width cannot pass through the reset, if so."""
    if reset is None or not len(reset.depth):
        return ""
    deepest = float(reset.depth.max())
    least = deepest * surrogate.peak / LARGEST
    if width >= least:
        return ""
    return (
        f"the reset is {size(deepest, unit)} deep, and a gradient through it grows from step to"
        f" step where the width is below depth x h(0) / {LARGEST:g} = {size(least, unit)}; the"
        f" width given is {size(width, unit)}"
    )


def size(x: float | Tensor, unit: Dimensions) -> str:
    """A number, or the range of some, with its unit."""
    scale, name = (
        (1e3, "mV") if str(unit) == "V" else (1.0, "" if unit == Dimensions() else str(unit))
    )
    values = torch.as_tensor(x, dtype=torch.float64) * scale
    low, high = float(values.min()), float(values.max())
    shown = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
    return f"{shown} {name}".strip()
