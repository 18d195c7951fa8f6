r"""Five weights: the smallest network in which a surrogate gradient is no gradient.

$y = \sigma_\beta(u_1 \sigma_\beta(v_1 g) + u_2 \sigma_\beta(v_2 g))$, $g = \sigma_\beta(w x)$,
$x = 1$, $\sigma_\beta(z) = (1 + e^{-\beta z})^{-1}$; the order is $(w, v_1, v_2, u_1, u_2)$.
The surrogate gradient has $\beta_{SG}\,\sigma_{\beta_{SG}}(1 - \sigma_{\beta_{SG}})$ for the
derivative of each node; with $\beta_{SG} = \beta$ it is the gradient.

Source: Gygax & Zenke 2025, doi:10.1162/neco_a_01752, sections on the minimal network, and its
published code for the constants.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit

Weights = Float[np.ndarray, "... 5"]
Values = Float[np.ndarray, "..."]

D1 = np.array([0.1168134, -0.21802215, -0.8262966, 0.5019748, 0.06384699])
D2 = np.array([-0.30310827, -0.8068901, 0.36749288, 0.3028789, 0.1739747])
RADIUS, STEEP = 1.8, 1e4
BIASED = (0.05, 0.1, 1.0, -1.0)  # v1, v2, u1, u2
TURNED = (1.7, -1.3)  # v1, v2


def output(weights: Weights, beta: float) -> Values:
    """What the network gives."""
    return _forward(weights, beta)[-1]


def _forward(weights: Weights, beta: float) -> tuple[Values, Values, Values, Values, Values]:
    """Potentials of the first node, of both in the middle and of the last one, and the output."""
    w, v1, v2, u1, u2 = np.moveaxis(weights, -1, 0)
    g = expit(beta * w)
    last = u1 * expit(beta * v1 * g) + u2 * expit(beta * v2 * g)
    first, one, two, last = (np.asarray(x) for x in (w, v1 * g, v2 * g, last))
    return first, one, two, last, np.asarray(expit(beta * last))


def gradient(weights: Weights, beta: float, surrogate: float) -> Weights:
    """Surrogate gradient of the output; the gradient where both steepnesses are equal."""
    _, v1, v2, u1, u2 = np.moveaxis(weights, -1, 0)
    first, one, two, last, _ = _forward(weights, beta)
    g, h1, h2 = (expit(beta * x) for x in (first, one, two))
    d_last = _slope(last, surrogate)
    d1, d2 = d_last * u1 * _slope(one, surrogate), d_last * u2 * _slope(two, surrogate)
    d_first = (d1 * v1 + d2 * v2) * _slope(first, surrogate)
    return np.stack([d_first, d1 * g, d2 * g, d_last * h1, d_last * h2], axis=-1)


def _slope(x: Values, beta: float) -> Values:
    made = expit(beta * x)
    return np.asarray(beta * made * (1 - made))


class Loop(NamedTuple):
    """Integral along a circle around the origin.

    Arguments:
        angles: Of the points [rad].
        pace: Gradient times the direction of the circle, at each point.
    """

    angles: Float[np.ndarray, " point"]
    pace: Float[np.ndarray, " point"]

    @property
    def integral(self) -> float:
        """Around the whole circle; zero for the gradient of any function."""
        return float(self.pace.mean() * 2 * np.pi)

    @property
    def relative(self) -> float:
        """The same as a share of the integral of magnitudes."""
        return float(self.pace.mean() / np.abs(self.pace).mean())


def around(beta: float, surrogate: float, points: int = 6000) -> Loop:
    """Surrogate gradient along the published circle."""
    angles = np.arange(points) * (2 * np.pi / points)
    one, two = (d / np.linalg.norm(d) for d in (D1, D2))
    place = RADIUS * (np.sin(angles)[:, None] * one + np.cos(angles)[:, None] * two)
    step = RADIUS * (np.cos(angles)[:, None] * one - np.sin(angles)[:, None] * two)
    return Loop(angles, (gradient(place, beta, surrogate) * step).sum(-1))


class Bias(NamedTuple):
    """Where descent along a surrogate ends.

    Arguments:
        w: Values of the first weight.
        output: Of the network.
        slope: Surrogate derivative.
        rest: Where descent comes to rest from the middle, or the border at which it stops.
        wrong: Share of w at which the surrogate derivative has the wrong sign.
    """

    w: Float[np.ndarray, " point"]
    output: Float[np.ndarray, " point"]
    slope: Float[np.ndarray, " point"]
    rest: float
    wrong: float


def bias(surrogate: float, beta: float = 100.0, reach: float = 0.2, points: int = 40_001) -> Bias:
    """Surrogate derivative by the first weight, the others as published."""
    w = np.linspace(-reach, reach, points)
    place = np.concatenate([w[:, None], np.tile(BIASED, (points, 1))], axis=1)
    slope, true = (gradient(place, beta, s)[:, 0] for s in (surrogate, beta))
    wrong = float((np.sign(slope) != np.sign(true)).mean())
    upward = np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))
    if len(upward):
        rest = float(w[upward[np.abs(w[upward]).argmin()]])
    else:
        rest = float(w[0] if slope[points // 2] > 0 else w[-1])
    return Bias(w, output(place, beta), slope, rest, wrong)


def field(v1: Values, v2: Values, surrogate: float, beta: float = 20.0) -> tuple[Values, Values]:
    """Surrogate gradient by both weights of the middle, the others 1, 1 and -1."""
    w, u1, u2 = np.ones_like(v1), np.ones_like(v1), -np.ones_like(v1)
    found = gradient(np.stack([w, v1, v2, u1, u2], axis=-1), beta, surrogate)
    return found[..., 1], found[..., 2]
