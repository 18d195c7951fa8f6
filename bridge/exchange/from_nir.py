"""from_nir: a Brian2 network from a NIR graph."""

from os import PathLike
from pathlib import Path
from typing import Any

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ExportError

from .graph import refused
from .hdf5 import require_plain_file
from .nodes import Nodes
from .to_nir import nir_library

INSTEAD = (
    "from_nir reads Input, Output, LIF, LI, IF, I, CubaLIF, CubaLI, Linear, Affine, Scale, Delay"
    " and graphs of them, each with one axis. Convert the rest to these first."
)
STEP = 1e-4  # seconds; that of snnTorch, Norse and others


@checked
def from_nir(source: str | PathLike[str] | Any, dt: Any = None) -> Any:
    r"""A Brian2 network from a graph of NIR.

    Each population becomes a NeuronGroup whose equations are those of NIR, each chain of weights a
    Synapses object. Names are kept, with letters that Brian2 does not take as `_`. The inputs of
    the graph are SpikeGeneratorGroups without spikes: `mirror(net)(spikes)` gives them.

    The equations of NIR are continuous. Here they take Euler steps, $v \leftarrow v + dt\,\dot v$,
    as snnTorch does, and spikes pass all layers within a step, in the order of the layers: a LIF
    layer spikes in the same steps as `snntorch.Leaky`. Of a layer with a synaptic current both
    equations take their step at once, so that it spikes one step later than `snntorch.Synaptic`,
    which updates the current first.

    Arguments:
        source: Path of a file, or a `nir.NIRGraph`.
        dt: Time step, a Quantity [s]; by default that of the file, else 0.1 ms.

    Returns:
        A Brian2 `Network`.

    Raises:
        ExportError: Lists everything of the graph that has no equations here.
        DomainError: The time step is no time.
        MissingDependency: The library nir is not installed.

    Source: Pedersen et al. 2024, Table 1, doi:10.1038/s41467-024-52259-9.
    """
    from .build import network_of  # brings brian2

    nir = nir_library("from_nir(path)")
    whole = _read(nir, source) if isinstance(source, str | PathLike) else source
    if not isinstance(whole, nir.NIRGraph):
        raise ExportError(
            f"from_nir({type(whole).__name__}): that is no NIR graph. Write the path of a file, or"
            " a nir.NIRGraph."
        )
    reader = Nodes(nir, whole, _step(whole, dt))
    graph = reader.graph()
    if reader.unknown:
        raise refused("from_nir(...)", reader.unknown, INSTEAD)
    return network_of(graph)


def _read(nir: Any, source: Any) -> Any:
    """The graph of a file, which is looked at first.

    Raises:
        ExportError: It cannot be read.
    """
    path = Path(source)
    require_plain_file(path, f"from_nir({str(path)!r})")
    try:
        return nir.read(path)
    except Exception as error:  # of many types: assertions, missing keys, h5py's own
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ExportError(
            f"from_nir({str(path)!r}): the file is no NIR graph that can be read ({told}). Write it"
            " again with nir.write(path, graph)."
        ) from error


def _step(graph: Any, dt: Any) -> float:
    """The time step [s]."""
    from mirrorneuron.units import Dimensions, si

    if dt is None:
        written = graph.metadata.get("dt", STEP) if isinstance(graph.metadata, dict) else STEP
        return float(written)
    step = float(si(dt, Dimensions(s=1.0), "from_nir(dt=...)"))
    if not 0 < step < 1:
        raise DomainError(f"from_nir(dt={dt}): that is no time step. Write, say, dt=0.1*ms.")
    return step
