"""The registry of networks on which mirror and Brian2 have to agree.

An entry builds a network from explicit, seeded arrays and states what shows that it is alive:
the band of mean rates [Hz] of its groups, or how much a variable moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps

import numpy as np
from brian2 import Network, NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, ms, prefs

Build = Callable[[], Network]
LOCKED = 25 * ms


@dataclass(frozen=True)
class Entry:
    """A network, how long it runs, and what shows that it is alive.

    Arguments:
        build: Makes the network.
        duration: How long it is compared.
        rates: Lowest and highest mean rate of each group listed [Hz].
        spikes: Number of spikes that it gives at least.
        seed: Seed of its random numbers.
        moves: Least standard deviation, over time and elements, of each variable listed
            ("cells.v"), in SI units.
        locked: How long it is compared step by step, which is slower.
    """

    build: Build
    duration: Quantity
    rates: Mapping[str, tuple[float, float]]
    spikes: int
    seed: int
    moves: Mapping[str, float]
    locked: Quantity

    def __post_init__(self) -> None:
        if not self.rates and not self.moves:
            raise ValueError(f"{self.build.__name__}: say by rates or moves when it is alive")


networks: dict[str, Entry] = {}


def entry(
    duration: Quantity,
    spikes: int = 0,
    seed: int = 0,
    moves: Mapping[str, float] | None = None,
    locked: Quantity = LOCKED,
    **rates: tuple[float, float],
) -> Callable[[Build], Build]:
    """Register a network under the name of the function that builds it."""

    def register(made: Build) -> Build:
        build = _by_numpy(made)
        if build.__name__ in networks:
            raise ValueError(f"two networks are called {build.__name__!r}")
        networks[build.__name__] = Entry(build, duration, rates, spikes, seed, moves or {}, locked)
        return build

    return register


def _by_numpy(build: Build) -> Build:
    """Let Brian2 evaluate text in numpy while it builds: nothing to compile, the same values."""

    @wraps(build)
    def built() -> Network:
        target = prefs.codegen.target
        prefs.codegen.target = "numpy"
        try:
            return build()
        finally:
            prefs.codegen.target = target

    return built


def random_edges(
    rng: np.random.Generator, n_pre: int, n_post: int, degree: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (i, j), each present with the probability that gives the mean in-degree."""
    return np.nonzero(rng.random((n_pre, n_post)) < degree / n_pre)


def feed(
    source: NeuronGroup, target: NeuronGroup, rng: np.random.Generator, w: float, name: str
) -> Synapses:
    """Synapses of uneven weights (mean w) and delays (0 to 5 ms), 25 onto each target."""
    synapses = Synapses(source, target, "w : 1", on_pre="v += w", name=name)
    i, j = random_edges(rng, len(source), len(target), 25)
    synapses.connect(i=i, j=j)
    synapses.w = rng.uniform(0, 2 * w, len(i))
    synapses.delay = rng.uniform(0, 5, len(i)) * ms
    return synapses


def scattered(
    rng: np.random.Generator, n: int, spikes: int, milliseconds: int, name: str
) -> SpikeGeneratorGroup:
    """Given spikes: `spikes` for each of n neurons, at different steps."""
    steps = [np.sort(rng.permutation(milliseconds * 10)[:spikes]) for _ in range(n)]
    return SpikeGeneratorGroup(
        n, np.repeat(np.arange(n), spikes), np.concatenate(steps) * 0.1 * ms, name=name
    )
