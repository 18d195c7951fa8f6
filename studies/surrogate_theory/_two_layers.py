r"""Two stochastic layers, every pattern of the hidden one enumerated: what is biased, and how much.

$h_i \sim Ber(\sigma_\beta(\sum_j W_{ij} x_j))$, $S \sim Ber(\sigma_\beta(\sum_i v_i h_i))$. With
all $2^n$ patterns the gradient of $E[S]$ is known, as are the expectations of the surrogate
gradient, $v_i \sigma_\beta'(v \cdot h)\, \sigma_\beta'(a_i)\, x_j$, which smooths each node by
itself, and of stochastic automatic differentiation, $(E[S | h_i = 1] - E[S | h_i = 0])\,
\sigma_\beta'(a_i)\, x_j$, which carries the finite change of a spike through the second layer.

Source: Gygax & Zenke 2025, doi:10.1162/neco_a_01752; Arya et al. 2022, arXiv:2210.08572.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

STEP = 1e-30  # imaginary, so that no difference is taken
Matrix = Float[np.ndarray, "hidden input"]


class Gradients(NamedTuple):
    """Expected gradients of the mean output by the weights of the hidden layer.

    Arguments:
        beta: Steepness.
        true: The gradient.
        stochastic: Of stochastic automatic differentiation.
        surrogate: Of the matching surrogate.
        spikes: Gradient of the hidden spikes.
        readout, readout_surrogate: True and surrogate gradient by the second weights.
    """

    beta: float
    true: Matrix
    stochastic: Matrix
    surrogate: Matrix
    spikes: Matrix
    readout: Float[np.ndarray, " hidden"]
    readout_surrogate: Float[np.ndarray, " hidden"]

    @property
    def cosine(self) -> float:
        """Between surrogate and true gradient."""
        norms = np.linalg.norm(self.true) * np.linalg.norm(self.surrogate)
        return float((self.true * self.surrogate).sum() / norms)

    @property
    def bias(self) -> float:
        """Distance of the surrogate gradient from the true one, as a share of that."""
        return _apart(self.surrogate, self.true)

    @property
    def stochastic_bias(self) -> float:
        """Distance of stochastic automatic differentiation from the true gradient.

        As a share of the gradient of the hidden spikes themselves: where the output saturates, the
        true gradient of it is a small difference of large numbers.
        """
        return float(np.linalg.norm(self.stochastic - self.true) / np.linalg.norm(self.spikes))

    @property
    def readout_bias(self) -> float:
        """That of the surrogate in the last layer, which no smoothed node follows."""
        return _apart(self.readout_surrogate, self.readout)


def _apart(one: Float[np.ndarray, "..."], other: Float[np.ndarray, "..."]) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def enumerate_layers(beta: float, hidden: int, inputs: int, seed: int) -> Gradients:
    """All patterns of a random network."""
    rng = np.random.default_rng(seed)
    x = (rng.random(inputs) < 0.5).astype(float)
    w = rng.normal(0, 1 / np.sqrt(max(x.sum(), 1)), (hidden, inputs))
    v = rng.normal(0, 2 / np.sqrt(hidden), hidden)
    a = w @ x
    p, slope = expit(beta * a), _slope(a, beta)
    patterns = ((np.arange(2**hidden)[:, None] >> np.arange(hidden)) & 1).astype(float)
    chance = np.where(patterns == 1, p, 1 - p).prod(axis=1)
    last = patterns @ v
    out, slope_out = expit(beta * last), _slope(last, beta)
    ways = np.where(patterns == 1, p, 1 - p)
    by_p = np.array([_by_chance(ways, patterns, i) @ out for i in range(hidden)])
    up, down = (expit(beta * (last[:, None] + (target - patterns) * v)) for target in (1, 0))
    by_change, by_slope = chance @ (up - down), (chance @ slope_out) * v
    true, stochastic, surrogate = (
        np.outer(some * slope, x) for some in (by_p, by_change, by_slope)
    )
    readout = (chance * slope_out) @ patterns
    turned = [patterns @ (v + STEP * 1j * unit) for unit in np.eye(hidden)]
    exact = np.array([(chance @ (1 / (1 + np.exp(-beta * z)))).imag / STEP for z in turned])
    spikes = np.outer(slope, x)
    return Gradients(beta, true, stochastic, surrogate, spikes, exact, readout)


def _by_chance(
    ways: Float[np.ndarray, "pattern hidden"], patterns: Float[np.ndarray, "pattern hidden"], i: int
) -> Float[np.ndarray, " pattern"]:
    """Derivative of the probability of each pattern by that of one neuron."""
    others = np.delete(ways, i, axis=1).prod(axis=1)
    return np.where(patterns[:, i] == 1, others, -others)


def _slope(x: Float[np.ndarray, "..."], beta: float) -> Float[np.ndarray, "..."]:
    return beta * expit(beta * x) * expit(-beta * x)
