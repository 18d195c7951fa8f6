"""Nodes: populations and projections of a NIR graph."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..program import Array
from .graph import Graph, Population, Projection, wrong_values

FIELDS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "IF": ("r", "v_threshold", "v_reset"),
    "I": ("r",),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
}
PASSING = ("Linear", "Affine", "Scale", "Delay", "Through")


@dataclass(frozen=True)
class Path:
    """What lies between a population and the one that it feeds.

    Arguments:
        source: Name of the node where it starts; None for a bias.
        weight: "target source"; a single number stands for one-to-one.
        delay: Of each source [s].
    """

    source: str | None
    weight: Array
    delay: Array | None = None


class Through:
    """The border of a graph within a graph, which changes nothing."""


@dataclass
class Nodes:
    """Reads a NIR graph.

    Arguments:
        nir: The library.
        whole: The graph.
        dt: Time step [s].

    Attributes:
        unknown: What has no equations here, a sentence each.
    """

    nir: Any
    whole: Any
    dt: float
    unknown: list[str] = field(default_factory=list[str])

    def graph(self) -> Graph:
        """Populations and projections of the graph."""
        self.nodes, self.edges = self._flat(self.whole, "")
        if not 1e-9 < self.dt < 1:
            self.unknown.append(f"the time step is {self.dt} s")
        for name, node in self.nodes.items():
            if self._kind(node) not in (*FIELDS, *PASSING, "Input", "Output"):
                self.unknown.append(f"{name!r}: {self._kind(node)}")
        self.unknown += [
            f"the edge {edge} leads to a node that is not there"
            for edge in self.edges
            if not {*edge} <= self.nodes.keys()
        ]
        if self.unknown:
            return Graph(self.dt, {}, [], [])
        found = {n: self._paths(n) for n, x in self.nodes.items() if self._kind(x) in FIELDS}
        populations = {n: p for n in self.nodes if (p := self._population(n, found.get(n, ())))}
        for population in populations.values():
            self.unknown += [f"{population.name!r}: {w}" for w in wrong_values(population)]
        projections = [
            made
            for name, paths in found.items()
            for path in paths
            if (made := self._projection(path, name, populations))
        ]
        outputs = [a for a, b in self.edges if self._kind(self.nodes[b]) == "Output"]
        return Graph(self.dt, populations, projections, outputs)

    def _kind(self, node: Any) -> str:
        return type(node).__name__

    def _flat(self, graph: Any, prefix: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Nodes and edges, those of graphs within the graph among them."""
        nodes: dict[str, Any] = {}
        edges: list[tuple[str, str]] = []
        borders: dict[str, tuple[str, str]] = {}
        for name, node in graph.nodes.items():
            whole = f"{prefix}{name}"
            if not isinstance(node, self.nir.NIRGraph):
                inner = prefix and self._kind(node) in ("Input", "Output")
                nodes[whole] = Through() if inner else node
                continue
            inner_nodes, inner_edges = self._flat(node, f"{whole}.")
            ends = [
                [f"{whole}.{n}" for n, x in node.nodes.items() if self._kind(x) == kind]
                for kind in ("Input", "Output")
            ]
            if any(len(names) != 1 for names in ends):
                self.unknown.append(f"{whole!r}: a graph with several inputs or outputs")
                continue
            borders[name] = ends[0][0], ends[1][0]
            nodes, edges = nodes | inner_nodes, edges + inner_edges
        for a, b in dict.fromkeys(map(tuple, graph.edges)):
            first = borders[a][1] if a in borders else f"{prefix}{a}"
            second = borders[b][0] if b in borders else f"{prefix}{b}"
            edges.append((first, second))
        return nodes, edges

    # ---- paths

    def _paths(self, name: str, depth: int = 0) -> list[Path]:
        """Everything that feeds a node."""
        if depth > 100:
            self.unknown.append(f"{name!r}: weights feed each other without a population between")
            return []
        found: list[Path] = []
        for source in (a for a, b in self.edges if b == name):
            node = self.nodes[source]
            if self._kind(node) in PASSING:
                found += self._passed(source, node, self._paths(source, depth + 1))
            elif self._kind(node) in (*FIELDS, "Input"):
                found.append(Path(source, np.ones(())))
            else:
                self.unknown.append(f"{source!r}: an output that feeds {name!r}")
        return found

    def _passed(self, name: str, node: Any, paths: list[Path]) -> Iterator[Path]:
        """Paths that pass a node."""
        kind = self._kind(node)
        if kind in ("Linear", "Affine"):
            weight = np.asarray(node.weight, dtype=float)
            if weight.ndim != 2 or not np.isfinite(weight).all():
                self.unknown.append(f"{name!r}: weights of {weight.ndim} axes, or not finite")
                return
            for path in paths:
                yield Path(path.source, self._product(weight, path.weight), path.delay)
            if kind == "Affine":
                yield Path(None, np.asarray(node.bias, dtype=float).reshape(-1))
        elif kind == "Scale":
            scale = np.asarray(node.scale, dtype=float).reshape(-1)
            for path in paths:
                yield Path(path.source, self._product(np.diag(scale), path.weight), path.delay)
        elif kind == "Delay":
            delay = np.asarray(node.delay, dtype=float).reshape(-1)
            for path in paths:
                yield from self._delayed(name, path, delay)
        else:
            yield from paths

    def _product(self, weight: Array, before: Array) -> Array:
        return weight if before.ndim == 0 else weight @ before

    def _delayed(self, name: str, path: Path, delay: Array) -> Iterator[Path]:
        if not (np.isfinite(delay).all() and (delay >= 0).all()):
            self.unknown.append(f"{name!r}: a delay that is negative or not finite")
        elif path.source is None or path.weight.ndim == 0 or len(set(delay)) == 1:
            total = delay if path.weight.ndim == 0 or path.source is None else delay[:1]
            before = 0.0 if path.delay is None else path.delay
            yield Path(path.source, path.weight, None if path.source is None else before + total)
        else:
            self.unknown.append(f"{name!r}: delays after weights, which differ between targets")

    # ---- records

    def _population(self, name: str, paths: "list[Path] | tuple[()]") -> Population | None:
        node = self.nodes[name]
        if self._kind(node) == "Input":
            shape = np.atleast_1d(next(iter(node.input_type.values())))
            return self._with_size(name, [int(n) for n in shape])
        if self._kind(node) not in FIELDS:
            return None
        values = {f: np.asarray(getattr(node, f), dtype=float) for f in FIELDS[self._kind(node)]}
        sizes = {x.size for x in values.values()} | {
            p.weight.shape[0] for p in paths if p.weight.ndim
        }
        size = max(sizes)
        if any(x.ndim > 1 for x in values.values()) or sizes - {1, size}:
            self.unknown.append(f"{name!r}: parameters of several axes, or of several sizes")
            return None
        values = {key: np.broadcast_to(x.reshape(-1), size).copy() for key, x in values.items()}
        biases = [np.broadcast_to(p.weight, size) for p in paths if p.source is None]
        return Population(name, size, values, sum(biases) if biases else None)  # type: ignore[arg-type]

    def _with_size(self, name: str, shape: list[int]) -> Population | None:
        if len(shape) != 1 or not 0 < shape[0] < 2**31:
            self.unknown.append(f"{name!r}: an input of the shape {tuple(shape)}")
            return None
        return Population(name, shape[0])

    def _projection(
        self, path: Path, target: str, populations: dict[str, Population]
    ) -> Projection | None:
        if path.source is None or target not in populations:
            return None
        source = populations.get(path.source)
        if source is None:
            return None
        if not source.spikes:
            self.unknown.append(f"{path.source!r}: neurons without a threshold feed {target!r}")
            return None
        weight = path.weight if path.weight.ndim else np.diag(np.ones(source.size))
        size = populations[target].size
        if weight.shape != (size, source.size):
            self.unknown.append(
                f"{target!r}: weights of the shape {weight.shape}, where {size} neurons get spikes"
                f" of {source.size}"
            )
            return None
        delay = path.delay
        if delay is not None:
            delay = np.broadcast_to(delay, source.size)
        return Projection(source.name, target, weight, delay)
