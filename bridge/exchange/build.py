"""Build: a Brian2 network from populations and projections.

Within a step, the layers come one after the other: what arrives, the equations, the threshold and
the reset of the first layer, then those of the second. So a spike passes all layers in its step.
"""

import re
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, second

from .graph import Graph, Population, Projection

LAYER = 10  # places in the schedule for one layer
ARRIVE, MOVE, CLEAR, TEST, RESET = range(1, 6)
EQUATIONS = {
    "tau": "dv/dt = (v_leak - v + r*(x + bias))/tau : 1",
    "tau_mem": "dv/dt = (v_leak - v + r*I)/tau_mem : 1\ndI/dt = (w_in*(x + bias) - I)/tau_syn : 1",
    "": "dv/dt = r*(x + bias)/second : 1",
}
PARAMETERS = ("r", "w_in", "v_leak", "v_threshold", "v_reset")
TIMES = ("tau", "tau_mem", "tau_syn")


def network_of(graph: Graph) -> Network:
    """The network of a graph."""
    names = _names(graph)
    ranks = _ranks(graph)
    made: dict[str, Any] = {}
    for name, population in graph.populations.items():
        if population.is_source:
            made[name] = SpikeGeneratorGroup(
                population.size, [], [] * second, name=names[name], when="start",
                dt=graph.dt * second,
            )  # fmt: skip
        else:
            made[name] = _group(population, names[name], LAYER * ranks[name], graph.dt)
    synapses = [
        _synapses(p, made, f"{names[p.source]}_to_{names[p.target]}", number, graph, ranks)
        for number, p in enumerate(graph.projections)
    ]
    return Network(*made.values(), *synapses)


def _names(graph: Graph) -> dict[str, str]:
    """Names that Brian2 takes, each once."""
    found: dict[str, str] = {}
    for name in graph.populations:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "neurons"
        plain = plain if plain[0].isalpha() else f"n_{plain}"
        while plain in found.values():
            plain += "_"
        found[name] = plain
    return found


def _ranks(graph: Graph) -> dict[str, int]:
    """Layer of each population: behind those that feed it, as far as there is no circle."""
    ranks = dict.fromkeys(graph.populations, 0)
    order = list(graph.populations)
    forward = [p for p in graph.projections if not _returns(graph, p, order)]
    for _ in order:
        for projection in forward:
            least = ranks[projection.source] + 1
            ranks[projection.target] = max(ranks[projection.target], least)
    return ranks


def _returns(graph: Graph, projection: Projection, order: list[str]) -> bool:
    """Whether a projection closes a circle, and is not the way into it."""
    reached, fresh = {projection.target}, {projection.target}
    while fresh:
        fresh = {p.target for p in graph.projections if p.source in fresh} - reached
        reached |= fresh
    if projection.source not in reached:
        return False
    return order.index(projection.target) <= order.index(projection.source)


def _group(population: Population, name: str, place: int, dt: float) -> NeuronGroup:
    values = population.values
    kind = next((time for time in ("tau_mem", "tau") if time in values), "")
    parameters = [f"{p} : 1" for p in PARAMETERS if p in values]
    parameters += [f"{time} : second" for time in TIMES if time in values]
    fires: dict[str, Any] = {}
    if population.spikes:
        fires = {"threshold": "v > v_threshold", "reset": "v = v_reset"}
    group = NeuronGroup(
        population.size, "\n".join([EQUATIONS[kind], "x : 1", "bias : 1", *parameters]),
        method="euler", name=name, dt=dt * second, **fires,
    )  # fmt: skip
    for key, value in values.items():
        setattr(group, key, value * second if key in TIMES else value)
    if population.bias is not None:
        group.bias = population.bias
    group.state_updater.order = place + MOVE
    group.run_regularly("x = 0", when="groups", order=place + CLEAR, dt=dt * second)
    if population.spikes:
        for part, order in ((group.thresholder, TEST), (group.resetter, RESET)):
            part["spike"].when, part["spike"].order = "groups", place + order
    return group


def _synapses(
    projection: Projection, made: dict[str, Any], name: str, number: int, graph: Graph,
    ranks: dict[str, int],
) -> Synapses:  # fmt: skip
    pair = projection.source, projection.target
    again = sum((p.source, p.target) == pair for p in graph.projections[:number])
    synapses = Synapses(
        made[projection.source], made[projection.target], "w : 1", on_pre="x_post += w",
        name=f"{name}_{again + 1}" if again else name,
    )  # fmt: skip
    rows, columns = projection.weight.shape
    i, j = np.repeat(np.arange(columns), rows), np.tile(np.arange(rows), columns)
    synapses.connect(i=i, j=j)
    synapses.w = projection.weight.T.reshape(-1)
    if projection.delay is not None:
        synapses.delay = projection.delay[i] * second
    synapses.pre.when = "groups"
    synapses.pre.order = LAYER * ranks[projection.target] + ARRIVE
    return synapses
