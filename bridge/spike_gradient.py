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
  the leak.

Three more depend on the velocity with which a neuron comes to its threshold, which inputs change.

* A neuron with the velocity F that takes the time $T = \int dm / F$ from reset to threshold makes
  $\delta/(F T)$ spikes of a shift. A leak makes $F T = \Delta f \log(1 + 1/f)$ less than Δ, with
  $f = F/(\lambda \Delta)$. Fluctuations keep neurons of little drive from the singularity at f = 0:
  f is 3 at least, added in quadrature, which makes the factor 0.86 or more.
* A refractory period that holds the potential costs a spike the way that the neuron would have gone
  meanwhile: the depth is $\Delta + \dot m\,t_{ref}$ where the margin rises.
* Where the equations run away before the threshold, as those of quadratic and exponential neurons
  do, the neuron decides where that begins. There stands the bell, half-way between it and rest a
  step takes as much as the leak; beyond it the whole shift is taken at once, for what it is worth
  in time: see `upstroke`.

A width that is given is taken as it is, with a gain of one and its bell at threshold. So is a
derived one where the reset is detached; there it is as wide as the zone that runs away, times h(0).

Source: derived and measured here, see docs/decisions/0012. That a surrogate with a large slope
makes the reset felt before the spike was noted by Zenke (github.com/fzenke/spytorch, issue 2), who
detaches the reset; Zenke & Vogels 2021, doi:10.1162/neco_a_01367, compare both at 1 ms.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from mirrorneuron.errors import GradientError
from mirrorneuron.units import Dimensions

from ._contracts import Surrogate
from .upstroke import Upstroke

ResetGradient = Literal["auto", "detach", "surrogate"]
LARGEST = 2.0
LEAST_LEAK, LARGEST_LEAK, FURTHEST = 1e-3, 0.5, 1e3
NO_LEAK, LEAST_SPEED = 1e-9, 3.0


@dataclass(frozen=True)
class ResetDepth:
    """What a group's equations say between threshold and reset, " neuron".

    Arguments:
        depth: By how much the reset of a neuron at threshold lowers its margin.
        leak: Share of a small shift that one step takes away just after the reset [1].
        runs_away: Distance to threshold from which on a shift grows from step to step, as in the
            upstroke of a spike; 0 where there is no such zone.
        held: Number of steps for which a refractory period holds the potential after a spike.
        rate: Derivative of the margin by the variable that crosses the threshold.
        upstroke: What runs away, if anything does.
    """

    depth: Tensor
    leak: Tensor
    runs_away: Tensor
    held: Tensor
    rate: Tensor
    upstroke: Upstroke | None = None


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
        reset: The reset that it follows, where the width was derived from that.
    """

    surrogate: Surrogate
    width: float | Tensor | None
    gain: float | Tensor
    follows_reset: bool
    unit: Dimensions | None
    reason: str
    unstable: str = ""
    reset: ResetDepth | None = None

    @cached_property
    def needs_speed(self) -> bool:
        """Whether it depends on the velocity with which neurons come to their threshold."""
        reset = self.reset
        return reset is not None and (reset.upstroke is not None or bool(reset.held.any()))

    def passage(self, margin: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
        """Derivative of a spike, and how deep its reset counts, in depths of the reset.

        Arguments:
            margin: Distance to threshold, "batch neuron".
            speed: Change of the margin in a step of a neuron at threshold, or where its upstroke
                begins, "batch neuron"; anything where it is not needed.

        Raises:
            TypeError: No reset is followed.
        """
        if self.reset is None or self.width is None:
            raise TypeError("a spike gradient that follows no reset has no passage")
        kept = self.reset.held * speed.clamp(min=0)
        share = self._leaking(speed) + kept / self.reset.depth
        slope = self.slope(margin) / share
        if self.reset.upstroke is None:
            return slope, share
        here = self.reset.upstroke.here(margin, speed)
        depth = here.depth + kept * here.speed / torch.hypot(speed, self.reset.upstroke.least)
        before = torch.clamp(margin + here.decides, max=0)
        taken = self.surrogate(before, self.width) / self.surrogate.peak
        runs = self.reset.upstroke.begins > 0
        slope = torch.where(runs, taken / depth, slope)
        return slope, torch.where(runs, depth / self.reset.depth, share)

    def _leaking(self, speed: Tensor) -> Tensor:
        """Velocity times the time from reset to threshold, in depths of the reset."""
        if self.reset is None:
            return torch.ones_like(speed)
        leak = self.reset.leak.clamp(min=NO_LEAK)
        least = torch.where(leak > NO_LEAK, LEAST_SPEED, 1 / NO_LEAK)
        fast = torch.hypot(speed / (self.reset.depth * leak), least)
        return fast * torch.log1p(1 / fast)

    def slope(self, margin: Tensor) -> Tensor:
        """Derivative of a spike with respect to its margin, with the bell at threshold.

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
        """The same with its numbers in another type, on another device."""
        return _moved(self, dtype, device)

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
    uncrossed: str = "",
) -> SpikeGradient:
    """What stands for the derivative of the spikes of a group.

    Arguments:
        surrogate: Its shape.
        width: Its width in SI units, if one was given.
        unit: Unit of the margin, if the condition compares anything.
        reset: Depth of the reset, where one variable crosses the threshold.
        mode: Whether the gradient passes through the reset; "auto" where that is stable.
        uncrossed: Why no variable crosses the threshold, in words that follow that.
    """
    if unit is None:
        return SpikeGradient(surrogate, None, 1.0, mode != "detach", None, "")
    if width is not None:
        unstable = _unstable(surrogate, width, unit, reset) if mode == "auto" else ""
        follows = mode == "surrogate" or (mode == "auto" and reset is not None and not unstable)
        return SpikeGradient(surrogate, width, 1.0, follows, unit, "as given", unstable)
    missing = _missing(reset, uncrossed)
    if reset is None or missing:
        return SpikeGradient(surrogate, None, 1.0, False, unit, missing)
    follows = mode != "detach"
    found = derived_width(surrogate, reset, follows)
    gain = torch.clamp(found / (reset.depth * surrogate.peak), max=1)
    reason = f"from its reset, which is {size(reset.depth, unit)} deep"
    if follows and reset.upstroke is not None:
        reason += f", and its upstroke from {size(reset.runs_away, unit)} below"
    made = (_one_for_all(found), _one_for_all(gain), follows, unit, reason)
    return SpikeGradient(surrogate, *made, reset=reset if follows else None)


def _missing(reset: ResetDepth | None, uncrossed: str) -> str:
    """Why no width follows from a model, if so."""
    if reset is None:
        return f"no single variable crosses the threshold{uncrossed}"
    if not bool((reset.depth > 0).all()):
        return "the reset does not take the neuron below threshold"
    return ""


def derived_width(surrogate: Surrogate, reset: ResetDepth, follows: bool) -> Tensor:
    """Width of a bell that leaves a neuron far below threshold to its equations, " neuron".

    Half-way between threshold and reset, a step takes as much of a shift by the surrogate as by
    the leak: above, a shift becomes spikes; below, it decays. Where the model runs away before its
    threshold, that is half-way between where it begins to and rest. A bell at threshold has to take
    a shift before it has grown, and is as wide as the zone that runs away.

    Arguments:
        surrogate: Its shape.
        reset: What the model says.
        follows: Whether the gradient passes through the reset, and the bell stands where an
            upstroke begins.
    """
    width = _half_way(surrogate, reset.depth, reset.leak)
    if reset.upstroke is None:
        return width
    if not follows:
        return torch.maximum(width, surrogate.peak * reset.runs_away)
    below = _half_way(surrogate, reset.upstroke.rest, reset.upstroke.leak)
    return torch.where(reset.runs_away > 0, below, width)


def _half_way(surrogate: Surrogate, length: Tensor, leak: Tensor) -> Tensor:
    """Width of a bell that takes as much as the leak at half a length from its peak."""
    return 0.5 * length / reach(surrogate, leak.clamp(LEAST_LEAK, LARGEST_LEAK))


def reach(surrogate: Surrogate, level: Tensor) -> Tensor:
    """Distance, in widths, at which a bell has fallen to a share `level` of its peak."""
    low, high = torch.zeros_like(level), torch.full_like(level, FURTHEST)
    for _ in range(64):
        middle = 0.5 * (low + high)
        inside = surrogate(middle, 1.0) > level * surrogate.peak
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return high


def _moved(x: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """A value, and all tensors that it is made of, in another type, on another device."""
    if isinstance(x, Tensor):
        return x.to(device, dtype)
    if not is_dataclass(x) or isinstance(x, (type, Surrogate)):
        return x
    return replace(x, **{f.name: _moved(getattr(x, f.name), dtype, device) for f in fields(x)})


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
