r"""Escape functions, their matching surrogates, and what the mirror makes of them.

A neuron spikes with probability $p(x)$, $x = v - \theta$. Its expected output has the derivative
$p'(x)$, so that a surrogate equal to $p'$ is its exact gradient. The mirror derives it from the
text of the threshold, `rand() < p(v)`.

Source: Gygax & Zenke 2025, section on escape noise, doi:10.1162/neco_a_01752 (sigmoid, fast sigmoid
and exponential); noise of the threshold, normal or uniform, has its cumulative distribution for p.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, pi, sqrt
from typing import Any

import numpy as np
import torch
from brian2 import Function, Network, NeuronGroup, ms
from jaxtyping import Float
from scipy.special import expit, ndtr

import mirrorneuron as mn

Values = Float[np.ndarray, "..."]
Map = Callable[[Values], Values]
STEEP, AT_THRESHOLD, WIDTH = 10.0, 2 / 3, 0.133  # beta, p0, Delta u of the published code
SIGMA, HALF = 0.1, 0.15  # of normal and uniform noise of the threshold
THETA = 1.0


@dataclass(frozen=True)
class Escape:
    """A row of the table.

    Arguments:
        name: Of the escape function.
        probability: Of a spike, over the distance to threshold.
        surrogate: Its derivative.
        text: The threshold of a Brian2 neuron with it.
        points: Distances at which it is tested; derivatives exist there.
    """

    name: str
    probability: Map
    surrogate: Map
    text: str
    points: tuple[float, ...] = (-0.12, -0.05, 0.0, 0.04, 0.11)


def _sigmoid(x: Values) -> Values:
    return expit(STEEP * x)


def _of_sigmoid(x: Values) -> Values:
    return STEEP * _sigmoid(x) * (1 - _sigmoid(x))


def _fast(x: Values) -> Values:
    return 0.5 * (1 + STEEP * x / (1 + STEEP * np.abs(x)))


def _of_fast(x: Values) -> Values:
    return 0.5 * STEEP / (1 + STEEP * np.abs(x)) ** 2


def _exponential(x: Values) -> Values:
    return np.minimum(AT_THRESHOLD * np.exp(x / WIDTH), 1.0)


def _of_exponential(x: Values) -> Values:
    inside = AT_THRESHOLD * np.exp(x / WIDTH) < 1
    return np.where(inside, AT_THRESHOLD / WIDTH * np.exp(x / WIDTH), 0.0)


def _normal(x: Values) -> Values:
    return ndtr(x / SIGMA)


def _of_normal(x: Values) -> Values:
    return np.exp(-0.5 * (x / SIGMA) ** 2) / (sqrt(2 * pi) * SIGMA)


def _uniform(x: Values) -> Values:
    return np.clip(0.5 + x / (2 * HALF), 0, 1)


def _of_uniform(x: Values) -> Values:
    return np.where(np.abs(x) < HALF, 1 / (2 * HALF), 0.0)


ESCAPES = (
    Escape("sigmoid", _sigmoid, _of_sigmoid, "rand() < 1/(1 + exp(-steep*(v - theta)))"),
    Escape(
        "fast_sigmoid", _fast, _of_fast,
        "rand() < 0.5*(1 + steep*(v - theta)/(1 + steep*abs(v - theta)))",
        (-0.12, -0.05, -0.02, 0.04, 0.11),
    ),
    Escape(
        "exponential", _exponential, _of_exponential,
        "rand() < clip(p_0*exp((v - theta)/width), 0, 1)", (-0.3, -0.12, -0.05, 0.02, 0.11),
    ),
    Escape("normal_noise", _normal, _of_normal, "rand() < normal_share((v - theta)/sigma)"),
    Escape(
        "uniform_noise", _uniform, _of_uniform, "rand() < clip(0.5 + (v - theta)/(2*half), 0, 1)",
        (-0.2, -0.12, 0.0, 0.04, 0.11),
    ),
)  # fmt: skip


def _share(x: Any) -> Any:
    return np.vectorize(lambda one: 0.5 * (1 + erf(one / sqrt(2))))(x)


def _share_of_tensors(x: torch.Tensor) -> torch.Tensor:
    return torch.special.ndtr(x)


NORMAL_SHARE: Any = Function(_share, arg_units=[1], return_unit=1)
NAMES = {
    "steep": STEEP, "theta": THETA, "p_0": AT_THRESHOLD, "width": WIDTH, "sigma": SIGMA,
    "half": HALF, "normal_share": NORMAL_SHARE,
}  # fmt: skip


def mirrored(escape: Escape, x: Values) -> Values:
    """Derivative of the expected spike of a neuron at each distance, as the mirror derives it."""
    mn.register(NORMAL_SHARE, _share_of_tensors)
    group = NeuronGroup(
        len(x), "v : 1", threshold=escape.text, reset="", name="cells", namespace=NAMES, dt=1 * ms
    )
    group.v = THETA + x
    model = mn.mirror(Network(group), ["cells.v"], dtype=torch.float64, namespace={})
    spikes = model.run(1 * ms, seed=0).spikes["cells"]
    v = model.parameter("cells.v")
    spikes.sum().backward()
    assert v.grad is not None
    return v.grad.numpy()


def monte_carlo(escape: Escape, samples: int, seed: int, reach: float = 0.01) -> Values:
    """Finite difference of the mean spike at the points, the same random numbers on both sides.

    One number lies in each of as many equal parts of the unit interval, so that a difference is
    known to about one in as many samples as it changes.
    """
    rng, found = np.random.default_rng(seed), list[float]()
    for x in escape.points:
        drawn = (np.arange(samples) + rng.random(samples)) / samples
        above, below = (
            float((drawn < escape.probability(np.array([x + step]))).mean())
            for step in (reach, -reach)
        )
        found.append((above - below) / (2 * reach))
    return np.array(found)


def mixed(probability: Values, slope: Values, spike: Values) -> Values:
    """The mix of both smoothed stochastic derivatives of a Bernoulli variable, whatever it gave.

    Right: $\\delta_R = p'/(1 - p)$ where it is 0; left: $\\delta_L = p'/p$ where it is 1; the mix
    is $(1 - p) \\delta_R + p \\delta_L$.

    Source: Arya et al. 2022, arXiv:2210.08572; the mix: Gygax & Zenke 2025.
    """
    right = np.where(spike == 0, slope / (1 - probability), 0.0)
    left = np.where(spike == 1, slope / probability, 0.0)
    return (1 - probability) * right + probability * left
