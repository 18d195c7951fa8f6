"""Fano factor of the spike counts."""

import numpy as np
from jaxtyping import Bool, Float

from mirrorneuron.errors import DomainError

from .. import _elephant
from .._contracts import check_positive, statistic


@statistic(unit="1", label="Fano")
def fano(
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
    window: float = 0.1,
) -> Float[np.ndarray, " neuron"]:
    r"""Variability of the spike count over successive windows, 1 for a Poisson process.

    $F = \mathrm{Var}(N_W) / \overline{N_W}$, with $N_W$ the counts in windows of length $W$

    Arguments:
        spikes: True where a neuron spikes in a step.
        dt: Length of a step [s].
        window: $W$; a rest shorter than it is left out [s].

    Returns:
        $F$ of each neuron, nan without a spike or with fewer than two windows [1].

    Raises:
        DomainError: The window is shorter than a step.

    Source: Fano 1947, doi:10.1103/PhysRev.72.26; for spike counts Dayan & Abbott 2001,
        Theoretical Neuroscience, section 1.4, ISBN 978-0-262-04199-7.
    Differs from it: windows follow each other in one observation instead of repeated trials.

    Example:
        >>> fano(np.array([[True], [False], [True], [True]]), dt=0.05)
        array([0.16666667])
    """
    check_positive(window, "fano(spikes, dt, window)", "window", "s")
    steps = round(window / dt)
    if steps < 1:
        raise DomainError(
            f"fano(spikes, dt, window): window is {window} s, a step is {dt} s. A window holds at "
            f"least one step. Write window={10 * dt:g}."
        )
    n_windows = spikes.shape[0] // steps
    if n_windows < 2:
        return np.full(spikes.shape[1], np.nan)
    counts = spikes[: n_windows * steps].reshape(n_windows, steps, -1).sum(axis=1)
    return np.array([_elephant.fano_factor(column) for column in counts.T])
