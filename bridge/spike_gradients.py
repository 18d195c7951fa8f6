"""Spike gradients of a network: what stands for the derivative of each group's spikes."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from mirrorneuron.errors import DomainError, GradientWarning, UnknownName
from mirrorneuron.units import si

from ._contracts import Surrogate
from .backends.eager.engine import EagerEngine, Stepper
from .lower.crossing import uncrossed
from .program import Program, Threshold
from .reset_depth import GRID, reset_depth
from .spike_gradient import ResetGradient, SpikeGradient, spike_gradient
from .surrogates import Gaussian
from .values import Values


def spike_gradients(
    engine: EagerEngine,
    values: Values,
    surrogates: Mapping[str, Surrogate],
    mode: ResetGradient,
) -> Iterator[tuple[str, SpikeGradient]]:
    """What stands for the derivative of each event, by its key.

    Arguments:
        engine: Runs thresholds and resets.
        values: Values of the network.
        surrogates: Surrogate of each group that compares something with its threshold.
        mode: Whether gradients pass through resets.
    """
    program = values.program
    advance = Stepper(engine, values, {}, program.step)
    state = values.initial_state(GRID)
    for slot in program.slots_of(Threshold):
        steps = advance.early + advance.late
        depth = reset_depth(advance.context, steps, advance.fixed, state, slot.event)
        surrogate = surrogates.get(slot.owner, Gaussian())
        why = uncrossed(program, slot) if depth is None else ""
        width = _width(slot, surrogate)
        made = spike_gradient(surrogate, width, slot.margin, depth, mode, why)
        if made.unstable:
            warnings.warn(
                f"mirror(net): the gradient of {slot.owner!r} does not pass through its"
                f" resets: {made.unstable}. Leave the width out, and it follows from the"
                " model, or write reset_gradient='detach'.",
                GradientWarning,
                stacklevel=4,
            )
        yield slot.event, made


def chosen_surrogates(program: Program, given: Any) -> dict[str, Surrogate]:
    """Surrogate of each group with a threshold."""
    comparing = [s.owner for s in program.slots_of(Threshold) if s.margin is not None]
    if given is None or isinstance(given, Surrogate):
        return dict.fromkeys(comparing, given or Gaussian())
    if not isinstance(given, Mapping):
        raise DomainError(
            f"mirror(net, surrogate={given!r}): that is no surrogate. Write"
            " surrogate=mn.Gaussian(), or one for each group by its name."
        )
    for name in given:
        if name not in comparing:
            raise UnknownName.among(f"mirror(net, surrogate={{{name!r}: ...}})", name, comparing)
    return dict.fromkeys(comparing, Gaussian()) | dict(cast(Mapping[str, Surrogate], given))


def _width(threshold: Threshold, surrogate: Surrogate) -> float | None:
    """The width of a surrogate [SI], if it was given."""
    if surrogate.width is None or threshold.margin is None:
        return None
    what = f"the width of the surrogate of {threshold.owner!r}"
    width = float(si(surrogate.width, threshold.margin, what))
    if not 0 < width < np.inf:
        raise DomainError(
            f"{type(surrogate).__name__}(width={surrogate.width}): {what} is not positive."
            " It is the distance to threshold over which a spike is smeared. Leave it out, and it"
            " follows from the model, or write, say, width=1*mV."
        )
    return width
