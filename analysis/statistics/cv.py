"""Coefficient of variation of the inter-spike intervals."""

import numpy as np
from jaxtyping import Bool, Float

from .. import _elephant
from .._contracts import statistic
from ..spike_train import per_intervals


@statistic(unit="1", label="CV")
def cv(
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
) -> Float[np.ndarray, " neuron"]:
    r"""Spread of the inter-spike intervals: 0 for a clock, 1 for a Poisson process.

    $CV = \sigma_I / \bar I$, with $\sigma_I^2 = \frac{1}{n} \sum_{i=1}^{n} (I_i - \bar I)^2$

    Arguments:
        spikes: True where a neuron spikes in a step.
        dt: Length of a step [s].

    Returns:
        $CV$ of each neuron, nan with fewer than two intervals [1].

    Source: Dayan & Abbott 2001, Theoretical Neuroscience, section 1.4, ISBN 978-0-262-04199-7.
    Differs from it: nan, not 0, for a single interval, which has no spread.

    Example:
        >>> cv(np.eye(4, 1, dtype=bool), dt=1e-3)
        array([nan])
    """
    return per_intervals(_elephant.cv, spikes, dt)
