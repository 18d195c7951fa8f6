r"""escape: how probable recorded spikes are, if a neuron fires the more readily the closer it is to
threshold.

In a step in which the margin is m the neuron fires with the probability

$p = 1 - e^{-\rho \Delta t}$, with the escape rate $\rho = \rho_0 e^{m/w}$

Where a spike is certain, beyond $\rho \Delta t = e^3$, the rate goes on in a straight line, so that
a spike that should have come long ago costs in proportion to the margin instead of overflowing.

Source: Jolivet, Rauch, Luescher & Gerstner 2006, doi:10.1007/s10827-006-7074-5; the likelihood:
Pillow et al. 2005, doi:10.1523/JNEUROSCI.3305-05.2005; both on recordings: Mensi et al. 2012,
doi:10.1152/jn.00408.2011.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import LBFGS

CERTAIN = 3.0
RARE = -60.0
RIDGE = 1e-3


class Escape(NamedTuple):
    """Noise of a threshold.

    Arguments:
        width: Distance to threshold over which the rate changes e-fold, in the margin's unit.
        rate: Escape rate at threshold [Hz].
    """

    width: float
    rate: float


def surprise(
    margin: Tensor, spikes: Tensor, counted: Tensor, log_slope: Tensor, level: Tensor
) -> Tensor:
    """Minus the logarithm of the likelihood of spikes, per spike.

    Arguments:
        margin: Distance to threshold in each step; anything where nothing is counted.
        spikes: 1 where a spike was recorded, else 0.
        counted: Whether a step counts.
        log_slope: Logarithm of 1/w.
        level: Logarithm of the rate at threshold, times the step.
    """
    x = level + log_slope.exp() * torch.where(counted, margin, 0.0)
    certain = torch.exp(x.clamp(max=CERTAIN)) * (1 + (x - CERTAIN).clamp(min=0))
    fired = torch.where(x < RARE, x, torch.log(-torch.expm1(-certain.clamp(min=1e-30))))
    likelihood = torch.where(counted, torch.where(spikes > 0, fired, -certain), 0.0)
    return -likelihood.sum() / (spikes * counted).sum().clamp(min=1)


def prior(margin: Tensor, counted: Tensor, log_slope: Tensor, level: Tensor) -> Tensor:
    """A weak pull of the width to the spread of the margin, and of the rate to one in a step.

    Spikes that the margin separates from silence without a mistake would have no width at all.
    """
    spread = torch.where(counted, margin, 0.0)[counted].std(correction=0)
    return RIDGE * ((log_slope + spread.log()).square() + level.square())


def likeliest(margin: Tensor, spikes: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The noise with which the spikes are most probable: logarithm of 1/w, and level."""
    at, spikes = margin.detach().double(), spikes.double()
    spread = at[counted].std(correction=0)
    noise = torch.stack([-spread.log(), torch.full_like(spread, -1.0)]).requires_grad_()
    search = LBFGS([noise], max_iter=60, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        with torch.enable_grad():
            cost = surprise(at, spikes, counted, noise[0], noise[1])
            cost = cost + prior(at, counted, noise[0], noise[1])
            cost.backward()
        return cost

    search.step(closure)  # pyright: ignore
    found = noise.detach()
    return found[0], found[1]


def misfit(
    margin: Tensor, spikes: Tensor, counted: Tensor, dt: float, escape: Escape | None
) -> tuple[Tensor, Escape]:
    """Minus the log-likelihood per spike, with the noise that is given, or else the likeliest one.

    Of the likeliest one the gradient is exact although the noise is found without: at the best
    noise, a change of the noise changes nothing.

    Arguments:
        margin: Distance to threshold in each step, "time batch neuron".
        spikes: 1 where a spike was recorded, else 0.
        counted: Whether a step counts.
        dt: Time step [s].
        escape: The noise, where it is known.
    """
    if escape is not None:
        width, rate = (torch.as_tensor(x).to(margin) for x in escape)
        return surprise(margin, spikes, counted, -width.log(), (rate * dt).log()), escape
    log_slope, level = (x.to(margin) for x in likeliest(margin, spikes, counted))
    cost = surprise(margin, spikes, counted, log_slope, level)
    cost = cost + prior(margin, counted, log_slope, level)
    return cost, Escape(float((-log_slope).exp()), float(level.exp()) / dt)
