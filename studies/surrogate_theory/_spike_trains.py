r"""Matching of spike trains: two layers learn to draw a binary image, one neuron a row.

Frozen Poisson inputs (50 Hz), steps of 1 ms, no reset: $u = W (\epsilon * S)$,
$\epsilon(t) = e^{-t/\tau_m} - e^{-t/\tau_s}$, $\tau_m$ 10 and $\tau_s$ 5 ms, threshold 1, weights
fluctuation-driven with $\sigma_U = 1$. A hidden neuron spikes with probability
$\sigma(10 (u - 1))$, an output one with $\sigma(100 (u - 1))$, or both where $u > 1$. With
$\delta = (z - S_o) / .013$ and $\psi$ the surrogate,

$\Delta W_o = \eta_o \sum_t \delta\,(\epsilon * S_h)$,
$\Delta W_h = \eta_h \sum_t (W_o^T \delta)\,(\epsilon * [\psi(u_h)\,(\epsilon * x)])$

where $\psi$ is the derivative of the escape function, or $(1 + 10 |u - 1|)^{-2}$ for neurons that
are deterministic.

Source: Gygax & Zenke 2025, section on spike-train matching, doi:10.1162/neco_a_01752, and its
published code for the constants; the rule is that of Gardner, Sporea & Grüning 2015,
doi:10.1162/neco_a_00779.
Differs from it: the kernel has the scale for which its weights are drawn (there it is a fifth of
it); the target is a synthetic image, where the source has a photograph.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.signal import lfilter
from scipy.special import expit

from mirrorneuron.analysis import statistics

Raster = Float[np.ndarray, "..."]
TAU_M, TAU_S, DT, RATE = 10.0, 5.0, 1.0, 50e-3  # [ms], [1/ms]
BETA_H, BETA_O, SHARP = 10.0, 100.0, 0.013


@dataclass(frozen=True)
class Matching:
    """A training.

    Arguments:
        size: Inputs, hidden and output neurons.
        steps: Of a trial [ms].
        epochs: Steps of the training.
        trials: Averaged in each step; deterministic neurons need one.
        stochastic: Whether neurons are.
        seed: Of inputs, weights and spikes.
    """

    size: int
    steps: int
    epochs: int
    trials: int
    stochastic: bool
    seed: int

    def run(self) -> "Matched":
        """Train."""
        rng = np.random.default_rng([self.seed, int(self.stochastic)])
        frozen = np.random.default_rng(self.seed)
        z = image(self.size, self.steps)
        x = filtered((frozen.random((self.size, self.steps)) < RATE * DT).astype(float))
        weights = [frozen.normal(0, deviation(self.size), (self.size,) * 2) for _ in range(2)]
        errors, before = list[float](), None
        for _ in range(self.epochs):
            hidden, out = self._trial(weights, x, z, rng, learn=True)
            before = (hidden, out) if before is None else before
            errors.append(distance(out, z))
        hidden, out = self._trial(weights, x, z, rng, learn=False)
        assert before is not None
        return Matched(np.array(errors), z, before[1], hidden, out, distance(out, z))

    def _trial(
        self, weights: list[Float[np.ndarray, "neuron neuron"]], x: Raster, z: Raster,
        rng: np.random.Generator, learn: bool,
    ) -> tuple[Raster, Raster]:  # fmt: skip
        """Spikes of both layers in all trials; weights change if they are to be learnt."""
        w_h, w_o = weights
        u = w_h @ x
        trials = self.trials if self.stochastic else 1
        hidden = self._spikes(np.broadcast_to(u, (trials, *u.shape)), BETA_H, rng)
        shown = filtered(hidden)
        out = self._spikes(w_o @ shown, BETA_O, rng)
        if learn:
            delta = (z - out) / SHARP
            back = filtered((w_o.T @ delta)[..., ::-1])[..., ::-1].mean(0)
            p = expit(BETA_H * (u - 1))
            soft = BETA_H * p * (1 - p)
            psi = soft if self.stochastic else (1 + BETA_H * np.abs(u - 1)) ** -2.0
            w_o += self.step * np.einsum("bot,bht->oh", delta, shown, optimize=True) / trials
            w_h += 1e-5 * (psi * back) @ x.T
        return hidden, out

    @property
    def step(self) -> float:
        """Learning rate of the output weights."""
        return 1e-5 if self.stochastic else 1e-4

    def _spikes(self, u: Raster, beta: float, rng: np.random.Generator) -> Raster:
        if not self.stochastic:
            return (u > 1).astype(float)
        return (rng.random(u.shape) < expit(beta * (u - 1))).astype(float)


class Matched(NamedTuple):
    """What a training gave.

    Arguments:
        errors: Distance from the image in each step.
        target: The image, "neuron time".
        start: Output spikes before, "trial neuron time".
        hidden, out: Spikes after training, "trial neuron time".
        error: Distance after it.
    """

    errors: Float[np.ndarray, " epoch"]
    target: Raster
    start: Raster
    hidden: Raster
    out: Raster
    error: float

    def rate(self, spikes: Raster) -> float:
        """Mean rate [Hz]."""
        return float(spikes.mean() / (DT * 1e-3))

    def fano(self, spikes: Raster) -> float:
        """Variance of spike counts over trials by their mean, averaged over neurons that fire."""
        counts = spikes.sum(-1)
        mean = counts.mean(0)
        return float((counts.var(0, ddof=1)[mean > 0] / mean[mean > 0]).mean())

    def cv(self, spikes: Raster) -> float:
        """Mean coefficient of variation of the intervals in the first trial."""
        return float(np.nanmean(statistics["cv"](spikes[0].T > 0, DT * 1e-3)))


def filtered(spikes: Raster) -> Raster:
    """Convolution with the kernel along time, causal."""
    slow, fast = np.exp(-DT / TAU_M), np.exp(-DT / TAU_S)
    return np.asarray(lfilter([0.0, slow - fast], [1.0, -slow - fast, slow * fast], spikes))


def deviation(inputs: int) -> float:
    """Standard deviation of fluctuation-driven weights with the analytic kernel."""
    square = TAU_S**2 / (2 * (TAU_S + TAU_M)) * (TAU_M / TAU_S - 1) ** 2
    return float(1 / np.sqrt(inputs * RATE * square))


def image(rows: int, columns: int) -> Raster:
    """A disc, a ring and two bars, 0 and 1."""
    y, x = np.mgrid[0:rows, 0:columns] / np.array([rows, columns])[:, None, None]
    disc = (x - 0.28) ** 2 + (y - 0.68) ** 2 < 0.15**2
    radius = np.hypot(x - 0.7, y - 0.66)
    ring = (radius > 0.14) & (radius < 0.22)
    bars = (np.abs(y - 0.2 - 0.1 * np.sin(2 * np.pi * x)) < 0.06) | (np.abs(x - 0.5) < 0.03)
    return (disc | ring | bars).astype(float)


def distance(out: Raster, target: Raster) -> float:
    """Root of the number of wrong pixels, averaged over trials."""
    return float(np.sqrt(np.square(out - target).sum((-1, -2))).mean())
