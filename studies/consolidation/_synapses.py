r"""Memories in Brian2: populations of synapses that are told random patterns, one after another.

Each memory strengthens or weakens each synapse, at random. The overlap of a pattern with the
strengths, averaged over memories, is the signal at an age; the spread of strengths over synapses is
the noise of one of them.

Sources: Benna & Fusi 2016, doi:10.1038/nn.4401; Fusi, Drew & Abbott 2005,
doi:10.1016/j.neuron.2005.02.001.
"""

import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    nS,
    second,
)
from brian2 import seed as brian2_seed
from jaxtyping import Float, Int

from mirrorneuron.bio import PlasticityRule, plasticity, synapses
from mirrorneuron.bio.plasticity.benna_fusi import chain
from mirrorneuron.bio.plasticity.benna_fusi import memory as chain_memory
from mirrorneuron.bio.plasticity.cascade import memory as cascade_memory

from .._kit.record import Record

RECEPTOR = synapses["exponential_conductance"]
PERIOD, STEPS, TRACE = 60e-3, 3, 3e-3  # between memories [s], steps in it, of pairs [s]
LAST = 2  # step of the second spike of a pair
BINS, AGES = 28, 6  # of ages, and how many ages of one are looked at

Patterns = Int[np.ndarray, "memory synapse"]
Strengths = Float[np.ndarray, "seen synapse"]


@dataclass(frozen=True)
class Retention(Record):
    """How a kind of synapse forgets.

    Arguments:
        ages: In memories.
        signal: Mean overlap with a pattern of this age, 1 for what is as strong as can be.
        theory: The same in closed form.
        noise: Standard deviation of one synapse.
    """

    ages: Sequence[float]
    signal: Sequence[float]
    theory: Sequence[float]
    noise: float

    def slopes(self, first: float | int, last: float | int) -> tuple[float, float]:
        """Exponents of the signal and of its closed form between two ages."""
        ages = np.array(self.ages)
        inside = (ages >= first) & (ages <= last)
        found = [
            np.polyfit(np.log(ages[inside]), np.log(np.maximum(np.array(y)[inside], 1e-12)), 1)[0]
            for y in (self.signal, self.theory)
        ]
        return float(found[0]), float(found[1])

    def lifetime(self, synapses: float) -> float:
        """Age at which the signal of some number of synapses falls to their noise."""
        ratio = np.sqrt(synapses) * np.array(self.signal) / self.noise
        below = np.flatnonzero(ratio < 1)
        if not len(below) or not below[0]:
            return float("nan")
        k, x, y = below[0], np.log(self.ages), np.log(np.maximum(ratio, 1e-12))
        return float(np.exp(x[k - 1] + (x[k] - x[k - 1]) * y[k - 1] / (y[k - 1] - y[k])))


def patterns(memories: int, size: int, seed: int) -> Patterns:
    """Random signs."""
    return 2 * np.random.default_rng([seed, 17]).integers(0, 2, (memories, size)) - 1


def retention(
    told: Patterns,
    strengths: Strengths,
    theory: Callable[[Float[np.ndarray, " age"]], Float[np.ndarray, " age"]],
    oldest: int,
    first: float = 0.0,
) -> Retention:
    """Signal and noise over ages, in bins that grow with the age.

    Arguments:
        told: Patterns.
        strengths: Right after each of them, on a scale on which a pattern moves between -1 and 1.
        theory: The signal of an age, in closed form.
        oldest: Largest age.
        first: Age of the last pattern when strengths are seen.
    """
    begun = len(told) // 4  # memories after which the strengths are stationary enough
    later = (strengths - strengths.mean(1, keepdims=True)).astype(np.float32)
    signs = told.astype(np.float32)
    exact = theory(np.arange(oldest + 1.0) + first)
    edges = np.unique(np.geomspace(1, oldest + 1, BINS + 1).round().astype(int))
    bins = [
        np.unique(np.linspace(a, b - 1, min(AGES, b - a)).round().astype(int))
        for a, b in itertools.pairwise(edges)
    ]

    def overlap(age: int) -> float:
        start = max(begun, age)
        pairs = np.einsum("ms,ms->m", later[start:], signs[start - age : len(signs) - age])
        return float(pairs.mean()) / later.shape[1]

    return Retention(
        [float(np.exp(np.log(b + first).mean())) for b in bins],
        [float(np.mean([overlap(int(age)) for age in b])) for b in bins],
        [float(exact[b].mean()) for b in bins],
        float(later[begun:].std()),
    )


@contextmanager
def clock(dt: float) -> Generator[None]:
    """Let objects without a time step of their own have this one [s]."""
    before = float(defaultclock.dt)
    defaultclock.dt = dt * second
    try:
        yield
    finally:
        defaultclock.dt = before * second


def run_pairs(rule: PlasticityRule, told: Patterns, **given: Any) -> Strengths:
    """Weights [nS] right after each memory but the last, of synapses between cells of their own.

    A pattern makes the presynaptic cell spike one step before the postsynaptic one, or after it.

    Arguments:
        rule: Of the synapses.
        told: Patterns.
        given: Parameters of the rule, and weights at the start.
    """
    dt = PERIOD / STEPS
    with clock(dt):
        return _run_pairs(rule, told, dt, given)


def _run_pairs(
    rule: PlasticityRule, told: Patterns, dt: float, given: Mapping[str, Any]
) -> Strengths:
    memories, size = told.shape
    step = np.arange(memories)[:, None] * STEPS
    order, each = np.tile(np.arange(size), memories), np.arange(size)
    pre, post = (
        SpikeGeneratorGroup(size, order, (step + late).ravel() * dt * second)
        for late in (told < 0, told > 0)
    )
    text = f"v : 1\n{RECEPTOR.text('e')}"
    cells = NeuronGroup(size, text, threshold="v > 0.5", reset="v = 0", method="exponential_euler")
    cells.tau_e = 5 * ms
    drive = Synapses(post, cells, on_pre="v_post += 1")
    drive.connect(j="i")
    learning = rule.connect(
        pre, cells, RECEPTOR, "e", i=each, j=each, unit=1 * nS, tau_plus=TRACE * second,
        tau_minus=TRACE * second, delay=dt * second, **given,
    )  # fmt: skip
    seen = StateMonitor(learning, "w", record=True, dt=PERIOD * second, when="end")
    Network(pre, post, cells, drive, learning, seen).run(memories * PERIOD * second, namespace={})
    return np.asarray(seen.w).T[1:] * 1e9


PAIR = float(np.exp(-PERIOD / STEPS / TRACE))  # what is left of a trace one step later


def run_chain(levels: int, memories: int, size: int, oldest: int, seed: int) -> Retention:
    """Synapses of `bio/plasticity/benna_fusi.py`, whose time scale is the period of memories."""
    told, wide = patterns(memories, size, seed), 1e9 * nS
    found = run_pairs(
        chain(levels), told, w=0 * nS, w_0=0 * nS, w_min=-wide, w_max=wide, A_plus=nS / PAIR,
        A_minus=-nS / PAIR, tau=PERIOD * second,
    )  # fmt: skip
    late = (STEPS - LAST) / STEPS
    return retention(told[:-1], found, lambda age: chain_memory(age, levels, 1.0), oldest, late)


@dataclass(frozen=True)
class Lowered:
    """Metaplastic weights that pairs of spikes lower.

    Arguments:
        weights: After each pair, in Brian2, "pair synapse".
        expected: The same by the closed form.
    """

    weights: Strengths
    expected: Strengths


def run_metaplastic(pairs: int) -> Lowered:
    """Weights of `bio/plasticity/metaplastic.py`, from 0.05 to 1, lowered by 0.05 for each pair."""
    rule, start = plasticity["metaplastic"], np.linspace(0.05, 1, 20)
    told = np.full((pairs + 1, len(start)), -1)
    found = run_pairs(rule, told, w=start * nS, A_minus=-0.05 / PAIR * nS)
    p = rule.values(A_minus=-0.05 / PAIR, tau_plus=TRACE * second, tau_minus=TRACE * second)
    dt = PERIOD / STEPS
    times = np.arange(pairs) * PERIOD + dt
    expected = [
        [rule.change(times[:k] + dt, times[:k], p | {"w_start": w}) + w for w in start]
        for k in range(1, pairs + 1)
    ]
    return Lowered(np.vstack([start, found]), np.vstack([start, expected]))


TWO_STATES = """
p = 0
q = {chance}
"""
LEVELS = """
p = x**(k + 1)/(1 - x)*int(k < {last})
q = x**k*(1 + int(k == {last})*x/(1 - x))
"""
JUMP = """
r = rand()
same = int(event_pre*s > 0)
deep = same*int(r < p)
flip = (1 - same)*int(r < q)
s = s*(1 - 2*flip)
k = (k + deep)*(1 - flip)
"""


def run_contacts(
    code: str, levels: int, memories: int, size: int, seed: int
) -> tuple[Patterns, Strengths]:
    """Single contacts that jump at random: the strength `s` is -1 or 1, `k` the level from 0."""
    told = patterns(memories, size, seed)
    rng = np.random.default_rng([seed, 18])
    names = {"x": 0.5, "given": TimedArray(told.astype(float), dt=1 * ms)}
    with clock(1e-3):
        source = NeuronGroup(
            size, "event = given(t, i) : 1", threshold="event != 0", reset="", namespace=names
        )
        target = NeuronGroup(size, "v : 1")
        contacts = Synapses(source, target, "s : 1\nk : 1", on_pre=code + JUMP, namespace=names)
        contacts.connect(j="i")
        contacts.s = rng.choice([-1.0, 1.0], size)
        contacts.k = rng.integers(0, levels, size)
        seen = StateMonitor(contacts, "s", record=True, when="end")
        brian2_seed(seed)
        Network(source, target, contacts, seen).run(memories * ms, namespace={})
    return told, np.asarray(seen.s).T


def run_cascade(levels: int, memories: int, size: int, oldest: int, seed: int) -> Retention:
    """The cascade of `bio/plasticity/cascade.py`, its contacts one by one."""
    told, strengths = run_contacts(LEVELS.format(last=levels - 1), levels, memories, size, seed)
    return retention(told, strengths, lambda age: cascade_memory(age, levels, 0.5), oldest)


def run_two_states(chance: float, memories: int, size: int, oldest: int, seed: int) -> Retention:
    """Contacts with two states, which change with one probability."""
    told, strengths = run_contacts(TWO_STATES.format(chance=chance), 1, memories, size, seed)
    return retention(told, strengths, lambda age: chance * (1 - chance) ** age, oldest)
