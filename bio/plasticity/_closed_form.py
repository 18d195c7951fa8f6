"""Closed forms that several rules share: sums over pairs of spikes."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[Any]
INSTANT = 1e-7  # [s]: spikes that are nearer are at the same step


def lags(pre: Float[Array, " spike"], other: Float[Array, " other"]) -> Float[Array, "spike other"]:
    """How long after each presynaptic spike each other one comes, exactly 0 in the same step."""
    lag = other[None, :] - pre[:, None]
    return np.where(np.abs(lag) < INSTANT, 0.0, lag)


def within(lag: Float[Array, "*shape"], window: float) -> Float[Array, "*shape"]:
    """1 where a lag lies inside of the window, both ends excluded, else 0."""
    return ((lag > INSTANT) & (lag < window - INSTANT)).astype(float)


def after(lag: Float[Array, "*shape"], tau: float) -> Float[Array, "*shape"]:
    """Exponential trace of a spike that came before, or in the same step."""
    return np.where(lag >= 0, np.exp(-np.abs(lag) / tau), 0.0)


def before(lag: Float[Array, "*shape"], tau: float) -> Float[Array, "*shape"]:
    """Exponential trace of a spike that comes after."""
    return np.where(lag < 0, np.exp(-np.abs(lag) / tau), 0.0)


def events(pre: Float[Array, " spike"], other: Float[Array, " other"]) -> list[tuple[float, bool]]:
    """Spikes in the order of their times, with whether each is presynaptic, which is then first."""
    both = [(round(t / INSTANT), 1 - is_pre) for is_pre, ts in ((1, pre), (0, other)) for t in ts]
    return [(t * INSTANT, not is_post) for t, is_post in sorted(both)]
