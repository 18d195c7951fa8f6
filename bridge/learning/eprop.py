"""e-prop: traces of each synapse, and a signal that readouts send back.

Source: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y. The traces here follow from a model's
own equations, threshold and reset: see `lower/traces/`. For those of the paper, write
mirror(net, surrogate=mn.Triangle(width=...), reset_gradient="detach").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName

from ..mirror import Mirror
from ..program import Array, Deliver
from .online import Traced, traced
from .rtrl import RTRL

FEEDBACK = ("symmetric", "random")


@checked
@dataclass(frozen=True)
class EProp(RTRL):
    r"""Filter the traces of spikes as readouts filter spikes, and send the readouts' error back.

    A readout unit that obeys linear equations, the same for all units, filters spikes; the filtered
    trace of a synapse is one number for each of its variables, however many units there are. The
    loss's derivative by each unit goes back to a neuron through the weight by which the neuron acts
    on the unit ("symmetric", which gives the gradient of `RTRL`), or through random weights that
    stay as they are ("random"). What a loss reads of spikes, as a cost of rates does, counts as it
    is.

    Arguments:
        window, update, forgetting: As in `RTRL`.
        feedback: "symmetric" or "random".
        seed: Of the random weights, drawn from a normal distribution with the variance of one over
            the number of readout units.

    Raises:
        GradientError: A readout is no such filter.
        UnknownName: There is no such feedback.
        DomainError: The seed is no whole number. See also `RTRL`.

    Example:
        >>> EProp(feedback="random", seed=1).feedback
        'random'
    """

    feedback: Literal["symmetric", "random"] | str = "symmetric"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feedback not in FEEDBACK:
            raise UnknownName.among(f"EProp(feedback={self.feedback!r})", self.feedback, FEEDBACK)
        given: Any = self.seed
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            raise DomainError(
                f"EProp(seed={given!r}): the seed of the random feedback is a whole number from 0"
                " on. Write seed=0."
            )

    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """See `RTRL.traced`."""
        if self.feedback == "symmetric":
            return traced(model, read, "symmetric", self.kept(model), driven)
        back = random_feedback(model, self.seed)
        return traced(model, read, back, self.kept(model), driven)


def random_feedback(model: Mirror, seed: int) -> dict[str, Array]:
    """Weights by which errors go back, for the synapses of each object that delivers spikes."""
    program, rng = model.program, np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for slot in program.slots_of(Deliver):
        ends = [slot.refs[s.target] for s in slot.statements if s.target in slot.refs]
        units = max((program.indices[r.index].max() + 1 for r in ends if r.index), default=1)
        found[slot.owner] = rng.normal(0, 1 / np.sqrt(units), slot.size)
    return found
