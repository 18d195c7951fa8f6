r"""Upstroke: where a potential runs away by itself, and what a shift there is worth.

Exponential, quadratic and Izhikevich neurons decide on a spike where their equations begin to run
away, which may be many millivolts below the threshold at which a script cuts the upstroke off. On
the way up a shift grows as the velocity F does, but remains the same shift in time, $\delta / F$.
A neuron that takes the time T from reset to threshold spikes $1/T$ times as often per unit of time,
so that a shift at margin m is worth $\delta / (F(m)\,T)$ spikes, $T = \int dm / F$: as if the reset
was $\Delta(m) = F(m)\,T$ deep.

Written with the velocity $F_c$ where the run-away begins, which inputs change from step to step,
and the shape $R(m) = F(m) - F_c$, which the equations have without any:

$\Delta(m) = \frac{F_c + R(m)}{F_c} \int \frac{F_c}{F_c + R(m')}\,dm'$

from reset to threshold, or from where the run-away begins if the reset is above that, as in cells
that burst. A neuron that its inputs hold below rheobase, $F_c < 0$, decides at its
unstable fixed point, $R = -F_c$, and has no passage; the magnitude of $F_c$ says how wide the range
is over which noise has to carry it. The velocity without input is the least scale on which inputs
can be told from none: a quarter of it is added in quadrature, so that nothing is singular.

Source: derived and measured here, see docs/decisions/0012. That shifts are conserved in time while
a potential runs away, and that the point where it begins is the threshold: Ermentrout 1996,
doi:10.1162/neco.1996.8.5.979; Fourcaud-Trocmé et al. 2003, doi:10.1523/JNEUROSCI.23-37-11628.2003.
Derivatives of spike times through the velocity: Wunderlich & Pehle 2021,
doi:10.1038/s41598-021-91786-z.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SPEEDS, PER_OCTAVE = 40, 2
UNDRIVEN = 0.25
STILL = 1e-3


@dataclass(frozen=True)
class Upstroke:
    """The upstroke of the neurons of a group, in steps of their clock.

    Arguments:
        begins: Distance to threshold at which it begins, where the velocity is least; 0 for
            neurons that have none, " neuron".
        rest: Distance from there down to where a neuron rests without input, or to its reset,
            " neuron".
        leak: Share of a small shift that a step takes away half-way between these two [1].
        decides: Distance to threshold at which a neuron without input decides on a spike: the
            unstable fixed point, or where the upstroke begins if there is none, " neuron".
        least: The least velocity that is told from none, " neuron".
        relative: Change of the margin in a step, less that where it begins, from `span` below
            threshold to threshold in even steps, "grid neuron".
        span: Distance to threshold of the reset, or of where the upstroke begins if the reset is
            nearer, as in cells that burst, " neuron".
        depths: Depth of a passage by its velocity, see `velocities`, "velocity neuron".
        turns: Distance to threshold of the unstable fixed point of a neuron that its inputs hold
            below rheobase by as much, "velocity neuron".
    """

    begins: Tensor
    rest: Tensor
    leak: Tensor
    decides: Tensor
    least: Tensor
    relative: Tensor
    span: Tensor
    depths: Tensor
    turns: Tensor

    def here(self, margin: Tensor, speed: Tensor) -> "Here":
        """What a shift meets.

        Arguments:
            margin: Distance to threshold of each neuron, "batch neuron".
            speed: Change of the margin in a step where the upstroke begins, "batch neuron".
        """
        fast = torch.hypot(speed, self.least)
        octave = _octave(fast, self.least)
        grid = len(self.relative) - 1
        relative = _between(self.relative, (margin / self.span + 1) * grid)
        depth = _between(self.depths, octave) * (fast + relative) / fast
        held = torch.minimum(self.decides, _between(self.turns, octave))
        return Here(depth, fast + relative, torch.where(speed < 0, held, self.decides))


class Here(NamedTuple):
    """What a shift meets.

    Arguments:
        depth: Of a reset by which it is worth as many spikes as here, "batch neuron".
        speed: Magnitude of the change of the margin in a step, "batch neuron".
        decides: Distance to threshold at which the neuron decides on a spike, "batch neuron".
    """

    depth: Tensor
    speed: Tensor
    decides: Tensor


def upstroke(
    begins: Tensor, rest: Tensor, leak: Tensor, undriven: Tensor, relative: Tensor, span: Tensor
) -> Upstroke:
    """An upstroke with its tables.

    Arguments:
        begins, rest, leak, relative, span: As in `Upstroke`.
        undriven: Change of the margin in a step where it begins, without input, " neuron".
    """
    least = (UNDRIVEN * undriven.abs()).maximum(STILL * relative[0]).clamp(min=STILL**2 * span)
    margins = torch.linspace(-1, 0, len(relative), dtype=span.dtype)[:, None] * span
    depths, turns = [], []
    for fast in velocities(least):
        depths.append(span * torch.trapezoid(fast / (fast + relative), dim=0) / len(relative[1:]))
        passed = (margins >= -begins) & (relative <= fast)
        turns.append(-torch.where(passed, margins, -begins).amax(0))
    tables = torch.stack(depths), torch.stack(turns)
    alone = _between(tables[1], _octave(undriven.abs(), least)[None])[0]
    decides = torch.where(undriven < 0, alone, begins)
    return Upstroke(begins, rest, leak, decides, least, relative, span, *tables)


def velocities(least: Tensor) -> Tensor:
    """Velocities of the tables, "velocity neuron"."""
    octaves = torch.arange(SPEEDS, dtype=least.dtype, device=least.device) / PER_OCTAVE
    return least * torch.exp2(octaves)[:, None]


def _octave(fast: Tensor, least: Tensor) -> Tensor:
    """Place of a velocity in the tables."""
    return PER_OCTAVE * torch.log2(fast / least)


def _between(table: Tensor, place: Tensor) -> Tensor:
    """Values of a table "place neuron" at places "batch neuron", straight in between."""
    place = place.clamp(0, len(table) - 1)
    low = place.floor().clamp(max=len(table) - 2).long()
    return torch.lerp(table.gather(0, low), table.gather(0, low + 1), place - low)
