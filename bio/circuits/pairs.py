"""Rules of connection: which cells come so near to each other that they connect.

Every rule is drawn with numpy from a generator that is given, without a loop over cells, and none
asks a simulator for a random number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._contracts import Pairs, Pathway

Array = NDArray[Any]
Bounds = tuple[float, float]
EVERYWHERE: Bounds = (-np.inf, np.inf)
NEIGHBOURS = 160  # gloms looked at for a granule cell: twice what lies within its reach
ROWS = 20_000
STRIP = 600e-6  # width of a strip of targets, twice the column [m]


@dataclass(frozen=True, eq=False)
class Sites:
    """Where everything is.

    Arguments:
        positions: Of the cells, fibres and glomeruli, "neuron 3" [m]; x along the parallel fibres.
        fibre: Mossy fibre of each glomerulus.
        drawn: Pairs of the pathways drawn so far.
        zone: Microzone of each cell of the groups that are divided into such.
        zones: Number of microzones.
    """

    positions: Mapping[str, Array]
    fibre: Array
    drawn: dict[str, Pairs]
    zone: Mapping[str, Array] = field(default_factory=dict)
    zones: int = 1

    def glomerulus_granule(self) -> Pairs:
        """Four glomeruli of each granule cell."""
        return self.drawn["glomerulus_granule"]


def picks(total: int, p: float, rng: np.random.Generator) -> Array:
    """Numbers below `total`, each with probability p, in order: the gaps are geometric."""
    if p >= 1:
        return np.arange(total)
    if p <= 0 or total <= 0:
        return np.arange(0)
    found, last = [], -1
    while last < total:
        expected = (total - last) * p
        gaps = rng.geometric(p, int(expected + 4 * np.sqrt(expected)) + 8)
        found.append(last + np.cumsum(gaps))
        last = int(found[-1][-1])
    numbers = np.concatenate(found)
    return numbers[numbers < total]


def near(
    source: Array, target: Array, p: float, bounds: tuple[Bounds, Bounds, Bounds],
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Pairs of which the source lies within `bounds` of the target, each with probability p.

    Targets are taken in strips across x, each with the sources in its reach: time and memory grow
    with the number of pairs.
    """
    (low, high), strip = bounds[0], np.floor(target[:, 0] / STRIP).astype(np.int64)
    found_i, found_j = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for k in np.unique(strip):
        here = np.flatnonzero(strip == k)
        reach = (source[:, 0] >= k * STRIP + low) & (source[:, 0] <= (k + 1) * STRIP + high)
        there = np.flatnonzero(reach)
        i, j = _near(source[there], target[here], p, bounds, rng)
        found_i.append(there[i])
        found_j.append(here[j])
    return np.concatenate(found_i), np.concatenate(found_j)


def _near(
    source: Array, target: Array, p: float, bounds: tuple[Bounds, Bounds, Bounds],
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    order = np.argsort(source[:, 1], kind="stable")
    (low, high), y = bounds[1], source[order, 1]
    first = np.searchsorted(y, target[:, 1] + low, side="left")
    count = np.searchsorted(y, target[:, 1] + high, side="right") - first
    ends = np.cumsum(count)
    drawn = picks(int(ends[-1]) if len(ends) else 0, p, rng)
    j = np.searchsorted(ends, drawn, side="right")
    i = order[first[j] + drawn - (ends - count)[j]]
    kept = np.ones(len(i), bool)
    for axis in (0, 2):
        low, high = bounds[axis]
        if np.isfinite(low) or np.isfinite(high):
            distance = source[i, axis] - target[j, axis]
            kept &= (distance >= low) & (distance <= high)
    return i[kept], j[kept]


def collapse(i: Array, j: Array, contacts: Array, targets: int) -> Pairs:
    """Each pair once, in the order of sources and then targets, with all its contacts."""
    key, inverse = np.unique(i.astype(np.int64) * targets + j, return_inverse=True)
    total = np.bincount(inverse, contacts, minlength=len(key)).astype(np.int32)
    return Pairs((key // targets).astype(np.int32), (key % targets).astype(np.int32), total)


def contacts_of(count: int, pathway: Pathway, rng: np.random.Generator) -> Array:
    """How many contacts each pair has, at least one."""
    mean, sd = pathway.contacts
    if sd == 0:
        return np.full(count, int(mean), np.int32)
    return np.maximum(np.floor(rng.normal(mean, sd, count)), 1).astype(np.int32)


def finished(i: Array, j: Array, sites: Sites, pathway: Pathway, rng: Any) -> Pairs:
    """Pairs without those of a cell with itself, in order, with their contacts."""
    if pathway.source == pathway.target:
        others = i != j
        i, j = i[others], j[others]
    targets = len(sites.positions[pathway.target])
    i, j, _ = collapse(i, j, np.ones(len(i)), targets)
    return Pairs(i, j, contacts_of(len(i), pathway, rng))


@dataclass(frozen=True)
class Box:
    """Sources in a box around the target, each with probability p.

    Arguments:
        p: Share of what lies in reach that connects.
        x: How far the source may lie from the target, lowest and highest [m].
        y: The same across the parallel fibres.
        z: The same in depth.
        rise: How far above its cell body the source's axon passes, which is what counts [m].
    """

    p: float
    x: Bounds
    y: Bounds
    z: Bounds = EVERYWHERE
    rise: float = 0.0

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs."""
        at = sites.positions[pathway.source] + (0.0, 0.0, self.rise)
        i, j = near(at, sites.positions[pathway.target], self.p, (self.x, self.y, self.z), rng)
        return finished(i, j, sites, pathway, rng)


@dataclass(frozen=True)
class Sphere:
    """Sources within a radius of the target, each with probability p.

    Arguments:
        p: Share of what lies in reach that connects.
        radius: Reach [m].
    """

    p: float
    radius: float

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs."""
        at, to = sites.positions[pathway.source], sites.positions[pathway.target]
        i, j = within(at, to, self.radius, self.p, rng)
        return finished(i, j, sites, pathway, rng)


def within(at: Array, to: Array, radius: float, p: float, rng: Any) -> tuple[Array, Array]:
    """Pairs that are at most `radius` apart, each with probability p."""
    side = (-radius, radius)
    i, j = near(at, to, p, (side, side, side), rng)
    kept = ((at[i] - to[j]) ** 2).sum(1) <= radius**2
    return i[kept], j[kept]


@dataclass(frozen=True)
class Claws:
    """Glomeruli of a granule cell, each of another mossy fibre, at random within a radius.

    Arguments:
        number: Glomeruli of a granule cell.
        radius: Reach; where there are too few fibres within it, the nearest outside [m].
    """

    number: int
    radius: float

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """Pairs of mossy fibres and granule cells."""
        glomeruli, cells = sites.positions["glomerulus"], sites.positions["granule"]
        from scipy.spatial import KDTree

        tree = KDTree(glomeruli)
        chosen = np.concatenate(
            [
                self._choose(tree, cells[k : k + ROWS], sites.fibre, rng)
                for k in range(0, len(cells), ROWS)
            ]
        )
        i, j = chosen.ravel(), np.repeat(np.arange(len(cells)), self.number)
        sites.drawn["glomerulus_granule"] = Pairs(i, j, np.ones(len(i), np.int32))
        return finished(sites.fibre[i], j, sites, pathway, rng)

    def _choose(self, tree: Any, cells: Array, fibre: Array, rng: np.random.Generator) -> Array:
        """Glomeruli of some cells, "neuron number"."""
        looked = min(NEIGHBOURS, tree.n)
        distance, index = tree.query(cells, k=np.arange(1, looked + 1))
        key = np.where(distance <= self.radius, rng.random(distance.shape), 1 + distance)
        chosen = self._distinct(key, index, fibre)
        short = np.flatnonzero((chosen < 0).any(1))
        if len(short) and looked < tree.n:
            distance, index = tree.query(cells[short], k=np.arange(1, tree.n + 1))
            key = np.where(distance <= self.radius, rng.random(distance.shape), 1 + distance)
            chosen[short] = self._distinct(key, index, fibre)
        return chosen

    def _distinct(self, key: Array, index: Array, fibre: Array) -> Array:
        """The lowest keys of as many fibres, -1 where there are too few."""
        rows, owner = np.arange(len(key)), fibre[index]
        chosen = np.full((len(key), self.number), -1)
        for claw in range(self.number):
            best = key.argmin(1)
            there = np.isfinite(key[rows, best])
            chosen[there, claw] = index[rows, best][there]
            key[owner == owner[rows, best][:, None]] = np.inf
        return chosen


@dataclass(frozen=True)
class Terminals:
    """Mossy fibres whose glomeruli lie within a radius of the target.

    Arguments:
        radius: Reach [m].
    """

    radius: float

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs; a contact is a glomerulus."""
        to = sites.positions[pathway.target]
        i, j = within(sites.positions["glomerulus"], to, self.radius, 1.0, rng)
        return collapse(sites.fibre[i], j, np.ones(len(i)), len(to))


@dataclass(frozen=True)
class ThroughGlomeruli:
    """Every granule cell on the glomeruli nearest to the source.

    Arguments:
        number: Glomeruli of a source.
        radius: Farthest of them [m].
    """

    number: int
    radius: float

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs; a contact is a glomerulus that they share."""
        at, glomeruli = sites.positions[pathway.source], sites.positions["glomerulus"]
        claws, cells = sites.glomerulus_granule(), len(sites.positions[pathway.target])
        looked = np.arange(1, min(self.number, len(glomeruli)) + 1)
        from scipy.spatial import KDTree

        tree: Any = KDTree(glomeruli)
        distance, index = tree.query(at, k=looked)
        source, column = np.nonzero(distance <= self.radius)
        order = np.argsort(claws.i, kind="stable")
        size = np.bincount(claws.i, minlength=len(glomeruli))
        of = index[source, column]
        count, first = size[of], (np.cumsum(size) - size)[of]
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        j = claws.j[order[np.repeat(first, count) + step]]
        return collapse(np.repeat(source, count), j, np.ones(len(j)), cells)


@dataclass(frozen=True)
class AnyPair:
    """Pairs at random, wherever they are.

    Arguments:
        p: Probability of a pair in the reference volume. In a larger one it falls, so that a
            target keeps its sources. Where zones divide them, a target has as many sources as
            before in its own, or all that there are.
        sources: Number of sources in the reference volume.
    """

    p: float
    sources: int

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs."""
        n = len(sites.positions[pathway.source])
        targets = len(sites.positions[pathway.target])
        divided = pathway.zonal and sites.zones > 1
        p = self.p * min(1.0, self.sources / n)
        if divided:
            p = min(1.0, self.p * self.sources * sites.zones / n)
        flat = picks(n * targets, p, rng)
        i, j = flat % n, flat // n
        if divided:
            same = sites.zone[pathway.source][i] == sites.zone[pathway.target][j]
            i, j = i[same], j[same]
        return finished(i, j, sites, pathway, rng)


@dataclass(frozen=True)
class OneSource:
    """One source of its zone for each target; sources have as equal numbers of them as can be."""

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs."""
        of, to = sites.zone[pathway.source], sites.zone[pathway.target]
        parts = [(np.flatnonzero(of == z), np.flatnonzero(to == z)) for z in range(sites.zones)]
        i = [source[rng.permutation(len(target)) % len(source)] for source, target in parts]
        j = [target for _, target in parts]
        return finished(np.concatenate(i), np.concatenate(j), sites, pathway, rng)


@dataclass(frozen=True)
class Spillover:
    """Interneurons that contact a Purkinje cell of the source.

    Arguments:
        climbing: Pathway of the source to the Purkinje cells.
        contact: Pathway of the target to the Purkinje cells.
    """

    climbing: str
    contact: str

    def draw(self, sites: Sites, pathway: Pathway, rng: np.random.Generator) -> Pairs:
        """The pairs."""
        climbing, contact = sites.drawn[self.climbing], sites.drawn[self.contact]
        fibre = np.full(len(sites.positions["purkinje"]), -1)
        fibre[climbing.j] = climbing.i
        i = fibre[contact.j]
        return finished(i[i >= 0], contact.i[i >= 0], sites, pathway, rng)
