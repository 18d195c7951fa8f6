"""to_nir: a model as a NIR graph."""

from collections.abc import Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mirrorneuron._arguments import checked
from mirrorneuron.errors import ExportError, MissingDependency

from ..bundle.archive import write
from ..mirror import Mirror
from ..program import Array
from .graph import Graph, Population, Projection, refused, wrong_values
from .recognise import Recogniser

INSTEAD = (
    "NIR holds integrators with a threshold and a reset to a value, with or without a leak and a"
    " decaying synaptic current, and weights with a delay. mn.save(model, path) keeps any model."
)


@checked
def to_nir(model: Mirror, path: str | PathLike[str] | None = None) -> Any:
    r"""A model as a graph of NIR, for other simulators and for neuromorphic chips.

    Populations are recognised by their equations: LIF, LI, IF, I, CubaLIF and CubaLI; projections
    by what a spike does. Nothing is left out: what NIR has no word for is refused.

    NIR has no units, and its equations are continuous. What is written is in SI units. A spike
    that adds w to a potential becomes an input of 1 for one step of the model, as other tools have
    it: with $r = \tau/dt$ it adds the weight. NIR says nothing of states, the order within a step,
    or the integrator; the model's are not written.

    Arguments:
        model: What `mirror` made; the present values of its parameters are written.
        path: Of the file (HDF5); none is written without.

    Returns:
        The graph, a `nir.NIRGraph`.

    Raises:
        ExportError: Lists everything that NIR cannot say.
        MissingDependency: The library nir is not installed.

    Source: Pedersen et al. 2024, Table 1, doi:10.1038/s41467-024-52259-9.
    """
    nir = nir_library("to_nir(model)")
    reader = Recogniser(model.program, lambda key: _present(model, key))
    graph = reader.graph()
    found = [*reader.unknown, *_unsayable(graph)]
    if found:
        raise refused("to_nir(model)", found, INSTEAD)
    made = _nodes(nir, graph)
    if path is not None:
        _write(nir, made, Path(path))
    return made


def _write(nir: Any, graph: Any, path: Path) -> None:
    file = BytesIO()
    nir.write(file, graph)
    try:
        write(path, file.getvalue())
    except OSError as error:
        raise ExportError(
            f"to_nir(model, {str(path)!r}): the file could not be written ({error}). What was there"
            " before is untouched. Free some space, or name another place."
        ) from error


def nir_library(asked: str) -> Any:
    """The library.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise MissingDependency(asked, "nir", "nir") from error
    return nir


def _present(model: Mirror, key: str) -> Array:
    if key in model.keys:
        return model.present(key).detach().cpu().double().numpy()
    return np.asarray(model.program.initial(key))


def _unsayable(graph: Graph) -> Iterator[str]:
    """What no node can hold."""
    if not graph.populations:
        yield "the network has no neurons"
    for population in graph.populations.values():
        yield from (f"{population.name!r}: {line}" for line in wrong_values(population))
    for name in {p.source for p in graph.projections}:
        if not graph.populations[name].spikes:
            yield f"{name!r}: it has no threshold, and sends spikes"


def _nodes(nir: Any, graph: Graph) -> Any:
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    for population in graph.populations.values():
        nodes[population.name] = _node(nir, population)
    for number, projection in enumerate(graph.projections):
        first = next(k for k, p in enumerate(graph.projections) if p.target == projection.target)
        bias = graph.populations[projection.target].bias if first == number else None
        edges += _chain(nir, nodes, projection, bias)
    for name in graph.outputs:
        size = np.array([graph.populations[name].size])
        output = "output" if len(graph.outputs) == 1 else f"output_{name}"
        nodes[output] = nir.Output(output_type={"output": size})
        edges.append((name, output))
    metadata = {"dt": graph.dt, "made_with": "mirrorneuron"}
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata)


def _node(nir: Any, population: Population) -> Any:
    if population.is_source:
        return nir.Input(input_type={"input": np.array([population.size])})
    values = dict(population.values)
    if "tau_syn" in values:
        kind = nir.CubaLIF if population.spikes else nir.CubaLI
    elif "tau" in values:
        kind = nir.LIF if population.spikes else nir.LI
    else:
        kind = nir.IF if population.spikes else nir.I
    return kind(**values)


def _chain(
    nir: Any, nodes: dict[str, Any], projection: Projection, bias: Array | None
) -> list[tuple[str, str]]:
    """Nodes and edges from one population to another."""
    stem = name = f"{projection.source}_to_{projection.target}"
    number = 1
    while name in nodes:
        number += 1
        name = f"{stem}_{number}"
    weight = projection.weight
    nodes[name] = nir.Linear(weight) if bias is None else nir.Affine(weight, np.array(bias))
    if projection.delay is None:
        return [(projection.source, name), (name, projection.target)]
    delay = f"{name}_delay"
    nodes[delay] = nir.Delay(projection.delay)
    return [(projection.source, delay), (delay, name), (name, projection.target)]
