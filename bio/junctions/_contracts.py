"""What a file in `junctions/` provides: an electrical synapse."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Synapses

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError

from .._model import Receptor, bounds_of
from .._quantity import evaluate, settle, unit_text


@checked
@dataclass(frozen=True, kw_only=True)
class JunctionModel(Receptor):
    """An electrical synapse: a current between two cells at every step.

    Arguments:
        flow: Current into the postsynaptic cell, with `g`, `v_pre` and `v_post`.
        sum: State of the cell that holds the sum of the flows.
        conductance: A conductance that couples two cells by some per cent, as text.
    """

    flow: str
    sum: str
    conductance: str

    def couple(
        self, cells: Any, receptor: str, i: Any, j: Any, *, g: Any = None, name: str | None = None
    ) -> Synapses:
        """Couple pairs of cells of one group, each pair in both directions.

        Arguments:
            cells: Group that has the receptor.
            receptor: Its label there.
            i: One cell of each pair.
            j: The other cell of each pair.
            g: Conductance, one for all or one a pair.
            name: Of the Synapses.

        Returns:
            Plain Brian2 `Synapses`, two for each pair: first (i, j) for all pairs, then (j, i).

        Raises:
            UnknownName: The cells have no such receptor.
            ShapeError: `i` and `j` differ in length, or there is not one conductance a pair.
            DomainError: A cell is paired with itself, or a conductance is negative.
            UnitError: A conductance has another unit.
        """
        asked = f"couple({cells.name!r}, {receptor!r}, i, j)"
        self.require(asked, cells, receptor)
        one, other = pairs(asked, i, j)
        given = {} if g is None else {"g": g}
        bounds = bounds_of(nonnegative=("g",))
        settled = settle(asked, {"g": self.conductance}, given, len(one), bounds)["g"]
        total, unit = self.sum.format(r=receptor), unit_text(evaluate(self.conductance))
        junctions = Synapses(
            cells,
            cells,
            f"g : {unit} (constant)\n{total}_post = {self.flow} : amp (summed)",
            name=name or "junctions*",
        )
        junctions.connect(i=np.concatenate([one, other]), j=np.concatenate([other, one]))
        junctions.g = settled if np.ndim(settled) == 0 else np.tile(settled, 2)
        return junctions


def pairs(asked: str, i: Any, j: Any) -> tuple[Any, Any]:
    """Two lists of cells that are paired, checked.

    Raises:
        ShapeError: They differ in length.
        DomainError: A cell is paired with itself.
    """
    one, other = np.atleast_1d(np.asarray(i)), np.atleast_1d(np.asarray(j))
    if one.shape != other.shape or one.ndim != 1:
        raise ShapeError(
            f"{asked}: i has shape {one.shape} and j {other.shape}. A pair is one of each."
            " Write two lists of the same length."
        )
    if np.any(one == other):
        raise DomainError(
            f"{asked}: cell {one[one == other][0]} is paired with itself, where no current can"
            " flow. Leave such pairs out, i != j."
        )
    return one, other
