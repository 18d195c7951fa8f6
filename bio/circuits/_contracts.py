"""What a circuit's tables hold: populations, pathways, and the connections that are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Population:
    """A population of a circuit: how many cells, and where.

    Arguments:
        density: Cells per m³ or m², or per cell of another population.
        per: What the density counts: "volume" of the layer, "area" of the footprint, or the name
            of a population.
        layer: Name of the layer that its cells lie in; empty for none.
        cell: Name of the cell in its family; empty for what is no cell of it.
        states: Published state of the cell by condition, where it differs from the cell as it is.
        reference: Number in the reference volume.
        least: Fewest cells that a circuit of any size has.
        zonal: Whether its cells belong to one microzone each, which has one of them at least.
        rows: Distance of the rows in which the cells stand [m]; 0 for cells placed at random.
        source: Paper of the density.
    """

    density: float
    per: str
    layer: str = ""
    cell: str = ""
    states: Mapping[str, str] = field(default_factory=dict)
    reference: int
    least: int = 1
    zonal: bool = False
    rows: float = 0.0
    source: str


class Pairs(NamedTuple):
    """Connected pairs, each once: sources, targets, and how many contacts each pair has."""

    i: Array
    j: Array
    contacts: Array


@runtime_checkable
class Rule(Protocol):
    """Draws which cells connect."""

    def draw(self, sites: Any, pathway: "Pathway", rng: np.random.Generator) -> Pairs:
        """The pairs, of the positions of all cells."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """Connections from one population to another, as published.

    Arguments:
        source: Population that spikes.
        target: Population that receives.
        input: What the source is to the cell of the target: see `Cell.inputs`.
        rule: Draws the pairs.
        contacts: Mean and standard deviation of the contacts of a pair, drawn from a normal
            distribution and rounded down; (1, 0) for one each.
        weight: Peak conductance of one contact by condition, "" for all others [S].
        delay: Of all synapses [s].
        convergence: Contacts on a target of the reference, mean; 0 where nothing is published.
        pairs: Sources of a target of the reference, mean and standard deviation; (0, 0) where
            nothing is published.
        short_term: Variant of `synapses["tsodyks_markram"]` of the pathway's short-term plasticity;
            empty where there is none.
        teacher: Pathway to the same cells by which spikes arrive that can teach this one's
            synapses; empty where there is none.
        zonal: Whether it stays within a microzone, where a circuit has several.
        paper: What the numbers come from.
    """

    source: str
    target: str
    input: str
    rule: Rule
    contacts: tuple[float, float] = (1.0, 0.0)
    weight: Mapping[str, float]
    delay: float
    convergence: float = 0.0
    pairs: tuple[float, float] = (0.0, 0.0)
    short_term: str = ""
    teacher: str = ""
    zonal: bool = False
    paper: str

    def weight_in(self, condition: str) -> float:
        """Peak conductance of one contact [S]."""
        return self.weight.get(condition, self.weight[""])


@dataclass(frozen=True, eq=False, kw_only=True)
class Wiring:
    """The synapses of one pathway as plain arrays, the same on every backend.

    Contacts of a pair share delay and weight, so one synapse of their summed weight is the same.

    Arguments:
        pathway: What it follows.
        i: Presynaptic cell of each synapse, "synapse".
        j: Postsynaptic cell, "synapse".
        contacts: How many contacts the synapse stands for, "synapse".
        weight: Peak conductance, all contacts together, "synapse" [S].
        factor: By which weights were multiplied, since targets have more or fewer contacts than
            those of the reference.
        sizes: Number of cells in source and target.
    """

    pathway: Pathway
    i: Array
    j: Array
    contacts: Array
    weight: Array
    factor: float
    sizes: tuple[int, int]

    def __len__(self) -> int:
        return len(self.i)

    @property
    def delay(self) -> Array:
        """Delay of each synapse, one for all of a pathway, "synapse" [s]."""
        return np.full(len(self.i), self.pathway.delay)

    @property
    def in_degree(self) -> Array:
        """Sources of each target, " neuron"."""
        return np.bincount(self.j, minlength=self.sizes[1])

    @property
    def convergence(self) -> Array:
        """Contacts on each target, " neuron"."""
        return np.bincount(self.j, self.contacts, minlength=self.sizes[1])

    @property
    def bytes(self) -> int:
        """Size of its arrays."""
        return self.i.nbytes + self.j.nbytes + self.contacts.nbytes + self.weight.nbytes
