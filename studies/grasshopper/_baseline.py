"""Models of the spikes that are no neurons: Poisson, and linear-nonlinear Poisson."""

import numpy as np
from jaxtyping import Bool, Float, Int

from ._recording import DURATION, Session, Times


def homogeneous(data: Times, draws: int, rng: np.random.Generator) -> list[Times]:
    """Poisson processes of the recorded rate."""
    counts = rng.poisson(len(data), draws)
    return [np.sort(rng.uniform(0, DURATION, n)) for n in counts]


def linear_nonlinear(
    led: Session, heard: Session, draws: int, rng: np.random.Generator
) -> list[Times]:
    """Poisson processes whose rate is a function of the filtered logarithm of the sound.

    The filter is the smooth regression of the spikes on 16 ms of sound, the function the mean
    count in quantiles of its output; the strength of smoothing is chosen by the likelihood of
    left-out fifths of recording 1.

    Source: Chichilnisky 2001, doi:10.1088/0954-898X/12/2/306.
    """
    x, y = history(led), np.histogram(led.spikes, np.arange(len(led.sound) + 1) * led.dt)[0]
    folds = np.arange(len(y)) * 5 // len(y)
    ridges = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
    ridge = max(ridges, key=lambda r: sum(left_out(x, y, folds == k, r) for k in range(5)))
    rate = respond(history(heard), regress(x, y, ridge))
    counts = (rng.poisson(rate) for _ in range(draws))
    return [(np.flatnonzero(n) + 0.5) * heard.dt for n in counts]


LN = tuple[Float[np.ndarray, " lag"], Float[np.ndarray, " knot"], Float[np.ndarray, " knot"]]


def history(session: Session) -> Float[np.ndarray, "time lag"]:
    """Logarithm of the sound in the 16 ms before each step."""
    level = np.log(session.sound) / 0.69
    lags = round(16e-3 / session.dt)
    padded = np.concatenate([np.zeros(lags - 1), level])
    return np.lib.stride_tricks.sliding_window_view(padded, lags)[:, ::-1]


def regress(x: Float[np.ndarray, "time lag"], y: Int[np.ndarray, " time"], ridge: float) -> LN:
    """Filter, and the mean count over the quantiles of its output."""
    lags = x.shape[1]
    bend = np.diff(np.eye(lags), axis=0)
    penalty = ridge * len(x) * (0.02 * np.eye(lags) + bend.T @ bend)
    kernel = np.linalg.solve(x.T @ x + penalty, x.T @ (y - y.mean()))
    edges = np.quantile(x @ kernel, [*np.linspace(0, 0.95, 20), 0.975, 0.99, 1])
    bins = np.clip(np.searchsorted(edges, x @ kernel) - 1, 0, len(edges) - 2)
    size = np.bincount(bins, minlength=len(edges) - 1)
    mean = np.bincount(bins, y, minlength=len(edges) - 1) / np.maximum(size, 1)
    return kernel, (edges[1:] + edges[:-1]) / 2, np.maximum(mean, 1e-4)


def respond(x: Float[np.ndarray, "time lag"], model: LN) -> Float[np.ndarray, " time"]:
    """Expected count in each step."""
    kernel, knots, mean = model
    return np.interp(x @ kernel, knots, mean)


def left_out(
    x: Float[np.ndarray, "time lag"],
    y: Int[np.ndarray, " time"],
    out: Bool[np.ndarray, " time"],
    ridge: float,
) -> float:
    """Log likelihood of the steps that were left out."""
    expected = respond(x[out], regress(x[~out], y[~out], ridge))
    return float((y[out] * np.log(expected) - expected).sum())
