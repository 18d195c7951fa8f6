"""Real-time recurrent learning within neurons, for any equations.

Source: Williams & Zipser 1989, doi:10.1162/neco.1989.1.2.270; within neurons alone, as in e-prop:
Bellec et al. 2020, doi:10.1038/s41467-020-17236-y; the family: Zenke & Neftci 2021,
doi:10.1109/JPROC.2020.3045625. See `lower/traces/` for what is carried along.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError
from mirrorneuron.units import si

from ..mirror import TIME, Mirror
from .carried import Carried
from .online import Traced, traced


@checked
@dataclass(frozen=True)
class RTRL(Carried):
    r"""Carry the derivatives of a network's variables forward in time, within neurons.

    Each trained weight has the derivatives of all variables of the neuron that it acts on; so have
    neurons' own parameters and those that all share. They follow from the equations, whatever these
    are. What a spike does to other spiking neurons is left out; what it does to groups that do not
    spike, a readout or an arm, is carried along for each of them. Where no path leads from a
    neuron's spikes back to a spiking neuron, the gradient is that of BPTT, and memory does not grow
    with the length of a trial. Of layers that spike, only the last one before what the loss reads
    has the gradient of it.

    Arguments:
        window: Length of a window, a Quantity [s]; None is the whole trial, for any loss. The loss
            of windows has to be a sum over time (`Task.additive`). Traces go on from one window to
            the next.
        update: When parameters change: after each "window", or after the "trial".
        forgetting: Time constant with which traces of groups that do not spike are forgotten, a
            Quantity [s]; None keeps them. A body that falls by itself has traces that grow without
            limit: what its senses do to neurons, which would catch it, is left out. A time constant
            shorter than that of the fall keeps them finite.

    Raises:
        UnitError: The window or the forgetting is no time.
        DomainError: The window is shorter than a time step, or longer than the trial; the loss is
            not known to be a sum over time; the forgetting is not positive.
        GradientError: A statement has no traces, or none of a parameter reaches what the loss
            reads; the loss of another window reads something else.
        UnknownName: `update` is neither of the two.

    Example:
        >>> from brian2 import ms
        >>> RTRL(window=10 * ms).online
        True
    """

    forgetting: Any = None

    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """See `Carried.traced`."""
        return traced(model, read, kept=self.kept(model), driven=driven)

    def kept(self, model: Mirror) -> float:
        """Share of a trace that is left after a step, in groups that do not spike."""
        if self.forgetting is None:
            return 1.0
        asked = f"{type(self).__name__}(forgetting={self.forgetting})"
        seconds = float(si(self.forgetting, TIME, f"{asked}: the time constant"))
        if not seconds > 0:
            raise DomainError(
                f"{asked}: a time constant is positive. Write, say, forgetting=100*ms, or None to"
                " keep traces as the equations have them."
            )
        return exp(-model.program.dt / seconds)
