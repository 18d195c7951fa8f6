"""OTTT: one trace for each neuron that sends, and signals that go back layer by layer.

Source: Xiao et al. 2022, Online training through time for spiking neural networks, NeurIPS 35,
arXiv:2210.04195. See `lower/traces/senders.py` for what is carried along.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirrorneuron._arguments import checked

from ..mirror import Mirror
from .carried import Carried
from .online import Traced, traced_by_sender


@checked
@dataclass(frozen=True)
class OTTT(Carried):
    r"""Online training through time: memory is that of the neurons, not of the synapses.

    The gradient of a weight is $\sum_t L_i\,\psi_i\,a_j$: $a_j$ are the spikes of the neuron that
    sends, filtered as the receiving ones filter them; $\psi_i$ is the surrogate of the receiving
    neuron; $L_i$ is the derivative of the loss by its spike, directly and through layers after it,
    as far as these feel it at their next step. What it does to them later is left out, as are
    loops.

    That needs neurons that are linear filters of spikes, all alike, with a reset that adds
    (`v -= 1`), and a model with reset_gradient="detach". For one layer, whose spikes the loss
    reads, the gradient is that of `RTRL`.

    Arguments:
        window, update: As in `RTRL`. A window of one step with updates in each is the paper's
            OTTT-O, and update="trial" its OTTT-A.

    Raises:
        GradientError: A neuron is no such filter, or a parameter no weight: the message says which,
            and names the rule that takes it. See also `RTRL`.

    Example:
        >>> from brian2 import ms
        >>> OTTT(window=1 * ms).online
        True
    """

    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """See `Carried.traced`."""
        return traced_by_sender(model, read, "rule=mn.OTTT(...)", True, driven)
