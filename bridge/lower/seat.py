"""Seats: where the traces of an online rule are kept.

A trace is the derivative of one variable of one element by one parameter. A seat holds those of
all variables of a group by one parameter, for chosen pairs of an element of the parameter and an
element of the group. The choice is the approximation: what a seat does not hold counts as zero.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..program import Array

Kind = Literal["each", "own", "every", "filter"]


@dataclass(frozen=True)
class Seat:
    """Traces of the variables of a group by a parameter.

    Arguments:
        name: Owner of the traces as variables, `E_by_ee_w`.
        parameter: Key of the parameter, `ee.w`.
        group: Object whose variables are differentiated, `E`.
        origin: Element of the parameter of each trace.
        element: Element of the group of each trace; of a filter, element of the group that spikes.
        kind: "each": a parameter that all share, and each element of the group; "own": a parameter
            of a synapse or neuron, and the one element that it acts on; "every": each element of
            the parameter and each of the group; "filter": one trace for each trace of the spikes
            that reach the group, as of a unit that receives them with weight one.
        source: Name of the seat of these spikes.
    """

    name: str
    parameter: str
    group: str
    origin: Array
    element: Array
    kind: Kind
    source: str = ""

    @property
    def size(self) -> int:
        """Number of traces of a variable."""
        return len(self.origin)

    def key(self, variable: str) -> str:
        """Key of the trace of a variable, or of an event."""
        name = variable.partition(".")[2]
        return f"{self.name}.{'of_' if name == 'spike' else ''}{name}"

    def find(self, origin: Array, element: Array) -> Array | None:
        """Where the traces of some pairs are; None where the seat lacks one of them.

        Arguments:
            origin: Element of the parameter of each pair; of a shared one anything.
            element: Element of the group of each pair.
        """
        if not self.size:
            return np.zeros(0, np.int64) if not len(element) else None
        if self.kind == "each":
            return element
        if self.kind == "every":
            return origin * (int(self.element.max()) + 1) + element
        if self.kind == "filter":
            return None
        by_origin = len(np.unique(self.origin)) == self.size and len(self.origin) > 0
        place = self._place(self.origin if by_origin else self.element,
                            origin if by_origin else element)  # fmt: skip
        if place is None:
            return None
        same = (self.origin[place] == origin) & (self.element[place] == element)
        return place if same.all() else None

    @staticmethod
    def _place(known: Array, wanted: Array) -> Array | None:
        """Where values stand in a list without doubles."""
        order = np.argsort(known, kind="stable")
        found = np.searchsorted(known, wanted, sorter=order)
        return order[found] if (found < len(known)).all() else None
