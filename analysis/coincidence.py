"""How many spikes of two trains meet: coincidence factor, F1, first divergence.

Elephant has none of these, so the formulas are here.
"""

import math

import numpy as np
from jaxtyping import Float, Real

from mirrorneuron._arguments import FromZero, checked
from mirrorneuron.errors import DomainError

from ._contracts import check_positive
from .spike_train import check_times


@checked
def coincidences(a: Real[np.ndarray, " a"], b: Real[np.ndarray, " b"], precision: FromZero) -> int:
    """Largest number of pairs, one spike of each train, not further apart than the precision.

    A spike is used once. Walking both trains from the left and pairing whenever possible is
    optimal, because of two candidates the earlier is never needed later.

    Arguments:
        a: Increasing times, or steps.
        b: Increasing times, or steps.
        precision: Largest distance within a pair, in the same unit.

    Returns:
        The number of pairs [1].

    Example:
        >>> coincidences(np.array([1, 2]), np.array([2, 9]), precision=1.0)
        1
    """
    reach = precision * (1 + 1e-9)  # so that rounding of k dt does not decide
    earlier, later = a.tolist(), b.tolist()
    i = j = pairs = 0
    while i < len(earlier) and j < len(later):
        distance = earlier[i] - later[j]
        pairs += abs(distance) <= reach
        i += distance <= reach
        j += distance >= -reach
    return pairs


@checked
def coincidence_factor(
    data: Float[np.ndarray, " data"],
    model: Float[np.ndarray, " model"],
    duration: float,
    precision: float = 4e-3,
) -> float:
    r"""Coincidences beyond chance: 1 for equal trains, 0 for a Poisson process of the same rate.

    $\Gamma = \frac{N_c - \langle N_c \rangle}{\frac12 (N_{data} + N_{model})}
    \frac{1}{1 - 2 \nu \Delta}$,
    with $\langle N_c \rangle = 2 \nu \Delta N_{data}$ and $\nu = N_{model} / T$

    Arguments:
        data: Spike times of the reference [s].
        model: Spike times of the model [s].
        duration: Length of the observation $T$ [s].
        precision: $\Delta$ [s].

    Returns:
        $\Gamma$, at most 1, nan if both trains are empty [1].

    Raises:
        DomainError: A train is unsorted or outside the observation, or $2 \nu \Delta \ge 1$.

    Source: Kistler, Gerstner & van Hemmen 1997, doi:10.1162/neco.1997.9.5.1015, where the factor is
        defined; Jolivet et al. 2008, the benchmark built on it, doi:10.1016/j.jneumeth.2007.11.006.
    Differs from it: a spike takes part in one coincidence only. The chance level counts
        coincidences of a Poisson process without that restriction, so the factor of unrelated
        trains is 0 while $2 \nu \Delta \ll 1$ and falls below it at higher rates.

    Example:
        >>> spikes = np.array([0.1, 0.5, 0.7])
        >>> round(coincidence_factor(spikes, spikes, duration=1.0), 6)
        1.0
    """
    asked = "coincidence_factor(data, model, duration, precision)"
    check_positive(duration, asked, "duration", "s")
    check_positive(precision, asked, "precision", "s")
    check_times(data, f"{asked}: data", duration)
    check_times(model, f"{asked}: model", duration)
    if data.size + model.size == 0:
        return math.nan
    chance = 2 * model.size / duration * precision
    if chance >= 1:
        raise DomainError(
            f"{asked}: 2 * rate * precision = {chance:.3g} for a model of "
            f"{model.size / duration:.4g} Hz and a precision of {precision} s. Chance alone then "
            "hits every spike, and the factor has no meaning. "
            f"Write precision={0.1 * precision / chance:.2g}."
        )
    excess = coincidences(data, model, precision) - chance * data.size
    return excess / (0.5 * (data.size + model.size)) / (1 - chance)


@checked
def f1(
    reference: Real[np.ndarray, " reference"],
    other: Real[np.ndarray, " other"],
    precision: FromZero,
) -> float:
    r"""Harmonic mean of the shares of spikes in either train that have a partner in the other.

    $F_1 = \frac{2 N_c}{N_a + N_b}$

    Arguments:
        reference: Increasing times [s], or steps.
        other: Increasing times [s], or steps.
        precision: Largest distance within a pair, in the same unit.

    Returns:
        $F_1$ between 0 and 1, nan if both trains are empty [1].

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7, ISBN 978-0-408-70929-3.
    Differs from it: a hit is a coincidence, each spike used once.

    Example:
        >>> f1(np.array([0.1, 0.2]), np.array([0.1]), precision=1e-3)
        0.6666666666666666
    """
    total = reference.size + other.size
    return 2 * coincidences(reference, other, precision) / total if total else math.nan


@checked
def first_divergence(
    reference: Float[np.ndarray, " reference"],
    other: Float[np.ndarray, " other"],
    precision: FromZero,
) -> float | None:
    r"""Time of the earliest spike that differs between two trains, None if none does.

    $\min_k \{\min(a_k, b_k) : |a_k - b_k| > \Delta\}$, a missing spike counting as infinitely late

    Arguments:
        reference: Spike times $a_k$ [s].
        other: Spike times $b_k$ [s].
        precision: $\Delta$ up to which two spikes are the same, half a time step for instance [s].

    Returns:
        The time [s], or None for equal trains.

    Raises:
        DomainError: A train is unsorted.

    Example:
        >>> first_divergence(np.array([0.1, 0.2]), np.array([0.1, 0.3]), precision=1e-4)
        0.2
    """
    asked = "first_divergence(reference, other, precision)"
    a = check_times(reference, f"{asked}: reference").tolist()
    b = check_times(other, f"{asked}: other").tolist()
    shared = min(len(a), len(b))
    for earlier, later in zip(a[:shared], b[:shared], strict=True):
        if abs(earlier - later) > precision:
            return min(earlier, later)
    rest = a[shared:] + b[shared:]
    return rest[0] if rest else None
