"""Model: a network in the words of GeNN, as plain data.

The code strings are PyGeNN 5's own: what a neuron does in a step, what a spike does to a synapse.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Stored:
    """A variable of GeNN.

    Arguments:
        type: GeNN's type: "scalar", "int" or "timepoint".
        value: Where it starts, one for each element.
        key: The variable of the Program that it holds, or "" for one of our own.
    """

    type: str
    value: Array
    key: str = ""

    @property
    def size(self) -> int:
        """What it takes [byte]."""
        return self.value.size * (4 if self.type == "int" else 8)


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """One neuron model and its population.

    Arguments:
        name: Name of the Brian2 group.
        size: Number of neurons.
        code: What a neuron does in a step: inputs that arrived, reset, integration, threshold.
        condition: Whether it spikes; empty if it never does.
        inputs: Additional input variables, into which projections deliver.
        parameters: Numbers, the same for all neurons.
        variables: By GeNN's name.
        tables: Extra global parameters: arrays that all neurons read.
        samples: Variable or subexpression that is recorded, to the variable that holds its value
            at the place of a StateMonitor.
    """

    name: str
    size: int
    code: str
    condition: str
    inputs: tuple[str, ...]
    parameters: Mapping[str, float]
    variables: Mapping[str, Stored]
    tables: Mapping[str, Array] = field(default_factory=dict[str, Array])
    samples: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Source:
    """Spikes that are known before the run.

    Arguments:
        name: Name of the Brian2 group.
        size: Number of neurons.
        step: Step of each spike.
        index: Neuron that fires.
    """

    name: str
    size: int
    step: Array
    index: Array


@dataclass(frozen=True, kw_only=True)
class Projection:
    """One weight-update model and its synapse population.

    Arguments:
        name: Its name.
        owner: The Synapses object.
        pre: Population that sends.
        post: Population that receives.
        i: Presynaptic neuron of each synapse.
        j: Postsynaptic neuron of each synapse.
        edge: Number of each synapse in the Synapses object.
        on_pre: What a presynaptic spike does.
        on_event: What it does as a spike-like event, where `event`, a condition on variables of
            the sending population, holds. Events are served before spikes.
        on_post: What a postsynaptic spike does.
        dynamics: What happens at every step.
        target: Input variable of the receiving population.
        parameters, variables, tables: As those of neurons.
        pre_refs: Name in the code, to a variable of the sending population.
        post_refs: The same of the receiving population.
        axonal: Delay of presynaptic spikes in steps.
        back: Delay of postsynaptic spikes in steps.
        longest: Longest delay of a single synapse in steps (`addToPostDelay`); 0 if all are equal.
    """

    name: str
    owner: str
    pre: str
    post: str
    i: Array
    j: Array
    edge: Array
    on_pre: str = ""
    on_event: str = ""
    event: str = ""
    on_post: str = ""
    dynamics: str = ""
    target: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict[str, float])
    variables: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    tables: Mapping[str, Array] = field(default_factory=dict[str, Array])
    pre_refs: Mapping[str, str] = field(default_factory=dict[str, str])
    post_refs: Mapping[str, str] = field(default_factory=dict[str, str])
    axonal: int = 0
    back: int = 0
    longest: int = 0

    @property
    def size(self) -> int:
        """What it takes at least, in GeNN's padded rows [byte]."""
        rows = np.bincount(self.i) if len(self.i) else np.zeros(1, dtype=np.int64)
        padded = int(rows.max()) * len(rows)
        each = 4 + sum(4 if v.type == "int" else 8 for v in self.variables.values())
        return padded * (each + (8 if self.on_post else 0))


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network for GeNN.

    Arguments:
        dt: Time step [s].
        neurons, sources, projections: By name.
    """

    dt: float
    neurons: Mapping[str, Neurons]
    sources: Mapping[str, Source]
    projections: Mapping[str, Projection]

    @property
    def size(self) -> int:
        """What its arrays take at least [byte]."""
        cells = sum(v.size for n in self.neurons.values() for v in n.variables.values())
        spikes = sum(8 * len(s.step) for s in self.sources.values())
        return cells + spikes + sum(p.size for p in self.projections.values())

    def __str__(self) -> str:
        parts = [f"Model for GeNN: dt = {self.dt * 1e3:g} ms"]
        for n in self.neurons.values():
            parts.append(f"Neurons {n.name!r} ({n.size}): {', '.join(n.variables)}")
            parts.append(f"{n.code}\nspikes if: {n.condition or 'never'}")
        parts += [f"Source {s.name!r} ({s.size}): {len(s.step)}" for s in self.sources.values()]
        for p in self.projections.values():
            parts.append(f"Projection {p.name!r}: {p.pre} -> {p.post}, {len(p.i)} synapses")
            parts += [
                f"{what}:\n{code}"
                for what, code in (
                    (f"pre, if {p.event}", p.on_event),
                    ("pre", p.on_pre),
                    ("post", p.on_post),
                    ("step", p.dynamics),
                )
                if code
            ]
        return "\n\n".join(parts)
