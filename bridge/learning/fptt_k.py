"""FPTT-K: forward propagation through time with a given number of updates in a trial.

A trial of T steps is cut into K parts, with backpropagation through time inside a part and one
update after it: K updates, memory of T/K steps.

Source: Kag & Saligrama 2021, PMLR 139:5189-5200, the variant FPTT-K.
Differs from it: as `mirrorneuron.bridge.learning.fptt` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from ..mirror import Mirror
from .fptt import Forward, Number


@checked
@dataclass(frozen=True)
class FPTT_K(Forward):
    """Forward propagation through time in K parts of a trial.

    Memory grows with the trial, as T/K: for memory that does not, give `FPTT` a window.

    Arguments:
        parts: Number of parts, K; their lengths differ by one step at most. By default the square
            root of the number of steps, which is also the published choice.
        alpha, beta, mu, form, look_ahead, average, restart, epoch: See `Forward`.

    Raises:
        UnitError: The look ahead is no time.
        DomainError: There is no part, or more of them than steps; or another option is out of its
            domain.
        GradientError: The loss of no window depends on a parameter.
        UnknownName: There is no such form.
        ShapeError: An input is longer or shorter than the trial.

    Source: Kag & Saligrama 2021, PMLR 139:5189-5200, the variant FPTT-K.
    Differs from it: see the module's docstring.
    """

    parts: Number | None = None

    def edges(self, model: Mirror, total: int) -> Sequence[int]:
        """See `Forward.edges`."""
        parts = max(isqrt(total), 1) if self.parts is None else self.parts
        if not 1 <= parts <= total or parts % 1:
            raise DomainError(
                f"FPTT_K(parts={parts}): a trial of {total} steps cannot be cut into {parts}"
                " parts, which have at least one step each. Write a whole number from 1 to"
                f" {total}."
            )
        return [round(k * total / parts) for k in range(int(parts) + 1)]
