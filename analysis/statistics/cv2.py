"""Variation between neighbouring inter-spike intervals."""

import numpy as np
from jaxtyping import Bool, Float

from .. import _elephant
from .._contracts import statistic
from ..spike_train import per_intervals


@statistic(unit="1", label="CV2")
def cv2(
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
) -> Float[np.ndarray, " neuron"]:
    r"""Irregularity that a slow drift of the rate does not inflate, 1 for a Poisson process.

    $CV_2 = \frac{1}{n-1} \sum_{i=1}^{n-1} \frac{2 |I_{i+1} - I_i|}{I_{i+1} + I_i}$

    Arguments:
        spikes: True where a neuron spikes in a step.
        dt: Length of a step [s].

    Returns:
        $CV_2$ of each neuron, nan with fewer than two intervals [1].

    Source: Holt, Softky, Koch & Douglas 1996, definition of CV2, doi:10.1152/jn.1996.75.5.1806.
    Differs from it: nothing.

    Example:
        >>> cv2(np.array([[True], [True], [False], [False], [True]]), dt=1e-3)
        array([1.])
    """
    return per_intervals(_elephant.cv2, spikes, dt)
