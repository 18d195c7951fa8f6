"""Cells in space and the synapses between them: drawn once from a seed, as plain arrays."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mirrorneuron._memory import available_memory
from mirrorneuron.errors import BuildError

from ._contracts import Pairs, Pathway, Population, Wiring
from .anatomy import (
    FOOTPRINT,
    GLOMERULI,
    LAYERS,
    NEARNESS,
    PATHWAYS,
    POPULATIONS,
    TERMINALS,
)
from .pairs import Sites

Array = NDArray[Any]
SYNAPSE_BYTES = 160  # arrays of the wiring and what drawing them takes
NEURON_BYTES = 300


def counts(size: tuple[float, float], zones: int = 1) -> dict[str, int]:
    """Number of cells of each population over a footprint, and of glomeruli."""
    area = size[0] * size[1]
    found = {"glomerulus": max(round(GLOMERULI * _thickness("granular") * area), 4)}
    for name, population in POPULATIONS.items():
        least = max(population.least, zones if population.zonal else 1)
        found[name] = max(round(_expected(population, area, found)), least)
    return found


def _expected(population: Population, area: float, found: Mapping[str, int]) -> float:
    if population.per == "volume":
        return population.density * _thickness(population.layer) * area
    return population.density * (area if population.per == "area" else found[population.per])


def _thickness(layer: str) -> float:
    bottom, top = LAYERS[layer]
    return top - bottom


def expected_synapses(size: tuple[float, float]) -> int:
    """About how many synapses a circuit over a footprint has.

    A target keeps the sources that it has in the reference, but for parallel fibres: they end at
    the border of the volume, and are up to twice as long in a wider one.
    """
    cells = counts(size)
    longer = float(np.clip(size[0] / FOOTPRINT[0], 0.0, 2.0))
    total = 0.0
    for name, pathway in PATHWAYS.items():
        sources = min(pathway.pairs[0] or 1.0, cells[pathway.source])
        total += sources * cells[pathway.target] * (longer if name.startswith("parallel") else 1)
    return round(total)


def require_memory(asked: str, size: tuple[float, float]) -> None:
    """Raise a BuildError if the wiring of such a circuit would not fit into memory."""
    cells, synapses = sum(counts(size).values()), expected_synapses(size)
    needed, present = SYNAPSE_BYTES * synapses + NEURON_BYTES * cells, available_memory()
    if needed > present:
        largest = present / needed * size[0] * size[1] / (FOOTPRINT[0] * FOOTPRINT[1])
        raise BuildError(
            f"{asked}: {cells:,} cells with about {synapses:,} synapses need {needed / 1e9:.3g} GB"
            f" of memory, and {present / 1e9:.3g} GB are available. Connections are explicit"
            f" arrays. Write a smaller circuit, like scale={0.9 * largest:.2g}."
        )


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one part of a circuit, whatever the others draw."""
    return np.random.default_rng([seed, crc32(name.encode())])


def place(size: tuple[float, float], seed: int, zones: int = 1) -> Sites:
    """Positions of all cells, fibres and glomeruli, and the microzones of cells."""
    found, positions = counts(size, zones), {}
    for name, number in found.items():
        layer = LAYERS[POPULATIONS[name].layer if name in POPULATIONS else "granular"]
        rng, rows = generator(seed, name), POPULATIONS[name].rows if name in POPULATIONS else 0.0
        positions[name] = rng.uniform(0, 1, (number, 3))
        if rows:
            positions[name][:, :2] = _rows(number, size, rows, rng)
        positions[name] *= (*size, layer[1] - layer[0])
        positions[name][:, 2] += layer[0]
    fibre = _fibres(positions["glomerulus"], positions["mossy"], generator(seed, "fibre"))
    zone = {n: _zone(positions[n], zones) for n in POPULATIONS if POPULATIONS[n].zonal}
    return Sites(positions, fibre, {}, zone, zones)


def _zone(at: Array, zones: int) -> Array:
    """Zone of each cell: parts across the parallel fibres, of sizes that differ by one at most."""
    zone = np.empty(len(at), np.int64)
    zone[np.argsort(at[:, 1], kind="stable")] = np.arange(len(at)) * zones // len(at)
    return zone


def _rows(number: int, size: tuple[float, float], apart: float, rng: Any) -> Array:
    """Cells evenly along y in rows `apart` along x, skewed by 80°, as shares of the footprint."""
    rows = max(round(size[0] / apart), 1)
    step = np.arange(number) // rows
    y = (step + 0.5) / (step[-1] + 1)
    shift = y * size[1] * np.tan(np.radians(80)) / size[0]
    x = (np.arange(number) % rows / rows + shift + rng.random()) % 1.0
    return np.stack([x, y], 1)


def _fibres(glomeruli: Array, fibres: Array, rng: np.random.Generator) -> Array:
    """The mossy fibre of each glomerulus: one of those near, rather a near one."""
    chosen = _fibre(glomeruli, fibres, rng)
    lacking = np.setdiff1d(np.arange(len(fibres)), chosen)
    if len(glomeruli) >= len(fibres) and len(fibres) == POPULATIONS["mossy"].least:
        for fibre in lacking:  # a patch so small that it has the fewest fibres needs each of them
            spare = np.flatnonzero(np.bincount(chosen, minlength=len(fibres))[chosen] > 1)
            distance = ((glomeruli[spare] - fibres[fibre]) ** 2).sum(1)
            chosen[spare[distance.argmin()]] = fibre
    return chosen


def _fibre(glomeruli: Array, fibres: Array, rng: np.random.Generator) -> Array:
    at, to = glomeruli[:, :2], fibres[:, :2]
    from scipy.spatial import KDTree

    inside = KDTree(to / TERMINALS).query_ball_point(at / TERMINALS, 1.0, p=np.inf)
    there = np.fromiter(map(len, inside), np.int64, len(inside))
    near = np.concatenate([np.asarray(found, np.int64) for found in inside])
    of = np.repeat(np.arange(len(at)), there)
    order = np.lexsort((near, ((at[of] - to[near]) ** 2).sum(1), of))
    share = rng.uniform(0, 1, len(at)) * (1 - np.exp(-NEARNESS))
    rank = np.floor(-np.log1p(-share) / NEARNESS * there).astype(int)
    chosen, reached = np.empty(len(at), np.int64), there > 0
    first = np.cumsum(there) - there
    chosen[reached] = near[order[(first + rank)[reached]]]
    if not reached.all():
        from scipy.spatial import KDTree

        chosen[~reached] = KDTree(to).query(at[~reached])[1]
    return chosen


def wire(
    size: tuple[float, float], seed: int, condition: str, zones: int = 1
) -> tuple[Sites, dict[str, Wiring]]:
    """Positions, and the synapses of every pathway."""
    sites, found = place(size, seed, zones), {}
    for name, pathway in PATHWAYS.items():
        pairs = pathway.rule.draw(sites, pathway, generator(seed, name))
        sites.drawn[name] = pairs
        found[name] = _wiring(pathway, pairs, sites, condition)
    return sites, found


def _wiring(pathway: Pathway, pairs: Pairs, sites: Sites, condition: str) -> Wiring:
    sizes = (len(sites.positions[pathway.source]), len(sites.positions[pathway.target]))
    actual = pairs.contacts.sum() / sizes[1]
    factor = pathway.convergence / actual if pathway.convergence and actual else 1.0
    return Wiring(
        pathway=pathway,
        i=pairs.i,
        j=pairs.j,
        contacts=pairs.contacts,
        weight=pairs.contacts * (pathway.weight_in(condition) * factor),
        factor=float(factor),
        sizes=sizes,
    )
