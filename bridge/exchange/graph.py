"""Graph: populations and projections, as NIR and a Program can both be read.

A population obeys, per second and without units,

    dv/dt = (v_leak - v + r*x)/tau          or, with a synaptic current,
    dv/dt = (v_leak - v + r*I)/tau_mem,  dI/dt = (w_in*x - I)/tau_syn

and without a leak dv/dt = r*x; where it has a threshold, it spikes at v > v_threshold and goes to
v_reset. Its input x is the sum of its projections: weight times 1 in the step in which a source
spikes, and a bias all the time.
"""

from dataclasses import dataclass, field

import numpy as np

from mirrorneuron.errors import ExportError

from ..program import Array


@dataclass
class Population:
    """Neurons of one kind, or a source of spikes.

    Arguments:
        name: Its name.
        size: Number of neurons.
        values: "tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset":
            those that it has, one for each neuron. A source has none.
        bias: Constant input of each neuron.
    """

    name: str
    size: int
    values: dict[str, Array] = field(default_factory=dict[str, Array])
    bias: Array | None = None

    @property
    def is_source(self) -> bool:
        """Whether its spikes are given."""
        return not self.values

    @property
    def spikes(self) -> bool:
        """Whether it raises spikes."""
        return self.is_source or "v_threshold" in self.values


@dataclass
class Projection:
    """Connections from one population to another.

    Arguments:
        source, target: Names of the populations.
        weight: "target source".
        delay: Of the spikes of each source [s]; None without.
    """

    source: str
    target: str
    weight: Array
    delay: Array | None = None


@dataclass
class Graph:
    """Populations and projections.

    Arguments:
        dt: Time step for which a spike lasts as an input [s].
        populations: By name.
        projections: In order.
        outputs: Names of the populations that are outputs.
    """

    dt: float
    populations: dict[str, Population]
    projections: list[Projection]
    outputs: list[str]


POSITIVE = ("tau", "tau_mem", "tau_syn")


def wrong_values(population: Population) -> list[str]:
    """What is wrong with the numbers of a population."""
    found = [f"{name} is not finite" for name, x in population.values.items() if not _finite(x)]
    found += [
        f"{name} is not positive"
        for name in POSITIVE
        if name in population.values and not bool((population.values[name] > 0).all())
    ]
    if population.bias is not None and not _finite(population.bias):
        found.append("its bias is not finite")
    return found


def _finite(x: Array) -> bool:
    return bool(np.isfinite(x).all())


def refused(asked: str, found: list[str], instead: str) -> ExportError:
    """The error that lists what cannot be exchanged."""
    listed = "\n".join(f"  {line}" for line in found)
    return ExportError(
        f"{asked}: {len(found)} {'thing' if len(found) == 1 else 'things'} cannot be said.\n\n"
        f"{listed}\n\n{instead}"
    )
