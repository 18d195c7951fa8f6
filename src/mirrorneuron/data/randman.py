r"""randman: classes of spike times on smooth random manifolds.

A trial is a point $x$ of a manifold of dimension $d$, uniform in the unit cube. A unit spikes once,
at a time that varies smoothly with $x$:

$y = \prod_{k=1}^{d} \sum_{i=1}^{F-1} \theta^0_{ki} s_i
\sin 2\pi (i\, x_k \theta^1_{ki} + \theta^2_{ki})$, $s_i = 1/((i+1)^\alpha + 1)$,
$\theta \sim U(0, 1)$

Each class has a manifold of its own, and $y$ is stretched to $[0, 1]$ for each class and unit. The
larger $\alpha$, the smoother the manifold and the easier the classes are told apart.

Source: Zenke & Vogels 2021, section "Smooth random manifold data", doi:10.1162/neco_a_01367; the
published code generates the sum with $s_i$ as here and the cutoff $F = .001^{-1/\alpha}$, at most
1000.
Differs from it: random numbers are those of numpy.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mirrorneuron.errors import DomainError

from .._arguments import Index, checked

SMALLEST, MOST = 1e-3, 1000  # of the spectrum, and of its frequencies
Coordinates = Float[np.ndarray, "..."]


@checked
class SpikeDataset(NamedTuple):
    """Trials in which each unit spikes once.

    Arguments:
        steps: Time step of the spike of each unit, "batch neuron".
        labels: Class of each trial, " batch".
        length: Steps of a trial.
    """

    steps: Int[np.ndarray, "batch neuron"]
    labels: Int[np.ndarray, " batch"]
    length: Index

    def raster(self) -> Bool[np.ndarray, "time batch neuron"]:
        """The spikes, as `run(inputs=...)` takes them."""
        return self.steps == np.arange(self.length)[:, None, None]

    def some(self, index: Int[np.ndarray, " _"]) -> "SpikeDataset":
        """Trials chosen by their numbers."""
        return SpikeDataset(self.steps[index], self.labels[index], self.length)

    def split(self, *shares: float) -> "tuple[SpikeDataset, ...]":
        """Parts with these shares of the trials, in order.

        Raises:
            DomainError: A share is not positive, or they exceed the whole.
        """
        if min(shares, default=1.0) <= 0 or sum(shares) > 1 + 1e-9:
            raise DomainError(
                f"split{shares}: shares are positive and at most 1 together, as each trial is in"
                " one part. Write, say, split(0.8, 0.1, 0.1)."
            )
        ends = np.round(np.cumsum([0.0, *shares]) * len(self.labels)).astype(int)
        order = np.arange(len(self.labels))
        return tuple(self.some(order[a:b]) for a, b in pairwise(ends))


@checked
def randman(
    classes: int = 10,
    units: int = 20,
    samples: int = 1000,
    steps: int = 100,
    dimension: int = 1,
    alpha: float = 1.0,
    share: float = 0.5,
    seed: Index = 0,
) -> SpikeDataset:
    """Classes of spike times on smooth random manifolds: see the module's docstring.

    Arguments:
        classes, units: Number of classes, and of units that spike once each.
        samples: Trials of each class.
        steps: Time steps of a trial.
        dimension: Of the manifolds.
        alpha: Smoothness of the manifolds [1].
        share: Spikes fall into this first part of a trial [1].
        seed: Of all random numbers.

    Returns:
        The trials, shuffled.

    Raises:
        DomainError: A number of something is below one, `alpha` is not positive, or `share` is not
            above 0 and at most 1.

    Example:
        >>> data = randman(classes=2, units=3, samples=5, steps=10)
        >>> data.raster().shape
        (10, 10, 3)
    """
    _require_domain(classes, units, samples, steps, dimension, alpha, share)
    rng = np.random.default_rng(seed)
    made = [_manifold(rng, units, samples, dimension, alpha) for _ in range(classes)]
    step = np.minimum(np.floor(steps * share * np.concatenate(made)), steps - 1).astype(np.int64)
    order = rng.permutation(classes * samples)
    return SpikeDataset(step, np.repeat(np.arange(classes), samples), steps).some(order)


def _manifold(
    rng: np.random.Generator, units: int, samples: int, dimension: int, alpha: float
) -> Coordinates:
    """Coordinates of trials of one class, "batch neuron", in [0, 1]."""
    cutoff = int(min(np.ceil(SMALLEST ** (-1 / alpha)), MOST))
    theta = rng.random((units, dimension, 3, cutoff))
    points = rng.random((samples, dimension))
    made = np.stack([_unit(of_unit, points, alpha) for of_unit in theta], axis=1)
    low, high = made.min(axis=0), made.max(axis=0)
    return (made - low) / np.where(high > low, high - low, 1.0)


def _unit(theta: Float[np.ndarray, "_ 3 _"], points: Coordinates, alpha: float) -> Coordinates:
    """Coordinate of one unit, " batch"."""
    order = np.arange(1, theta.shape[2])
    spectrum = 1 / ((order + 1.0) ** alpha + 1)
    made = np.ones(len(points))
    for x, (size, pace, phase) in zip(points.T, theta[:, :, 1:], strict=True):
        waves = np.sin(2 * np.pi * (x[:, None] * (order * pace) + phase))
        made *= waves @ (size * spectrum)
    return made


def _require_domain(
    classes: int, units: int, samples: int, steps: int, dimension: int, alpha: float, share: float
) -> None:
    counts = {
        "classes": classes, "units": units, "samples": samples, "steps": steps,
        "dimension": dimension,
    }  # fmt: skip
    for name, count in counts.items():
        if count < 1 or count % 1:
            raise DomainError(
                f"randman({name}={count}): that is a number of {name}, a whole one from 1 on."
                f" Write, say, {name}=10."
            )
    if not 0 < alpha < np.inf:
        raise DomainError(
            f"randman(alpha={alpha}): the exponent with which the spectrum falls is positive, or"
            " the manifold is not smooth. Write, say, alpha=1."
        )
    if not 0 < share <= 1:
        raise DomainError(
            f"randman(share={share}): spikes fall into that share of a trial, above 0 and at most"
            " 1. Write, say, share=0.5."
        )
