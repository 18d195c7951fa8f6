"""Nudge: an input that pulls a variable towards a trace instead of setting it."""

from dataclasses import dataclass
from math import expm1
from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError
from mirrorneuron.units import Dimensions, si


@dataclass(frozen=True)
class Nudge:
    r"""A trace towards which a variable is pulled at the start of each step.

    $x \leftarrow x + (1 - e^{-\Delta t/\tau}) (x^* - x)$

    The variable follows what was recorded, and how far it stays away from it shows the error of the
    model over the last $\tau$. That makes a fit of a recording smooth: a neuron whose upswing comes
    too early does not run away.

    Arguments:
        values: Trace $x^*$, as any other input.
        tau: Time constant of the pull $\tau$, a Quantity [s].

    Raises:
        UnitError: `tau` is no time.
        DomainError: `tau` is not positive.

    Source: Abarbanel, Creveling, Farsian & Kostuk 2009, the coupling of data to the model,
        doi:10.1137/090749761.
    Differs from it: the coupling is constant.
    """

    values: Any
    tau: Any

    def __post_init__(self) -> None:
        if not 0 < self.seconds < np.inf:
            raise DomainError(
                f"mn.Nudge(..., tau={self.tau}): the time constant of the pull is not positive and"
                " finite. Write, say, 1*ms."
            )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> "Nudge":
        return Nudge(self.values[rows], self.tau)

    @property
    def seconds(self) -> float:
        """The time constant [s]."""
        return float(si(self.tau, Dimensions(s=1.0), "mn.Nudge: tau"))

    def gain(self, dt: float) -> float:
        """Share of the distance that goes in one step."""
        return -expm1(-dt / self.seconds)
