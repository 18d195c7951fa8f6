"""Oscillations of traces: their frequency and size, and how well neurons keep step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import Index, checked
from mirrorneuron.errors import DomainError

from ._contracts import check_positive

Traces = Float[np.ndarray, "time neuron"]


@checked
class Oscillation(NamedTuple):
    """Frequency of the largest peak of the spectrum [Hz] and size from trough to crest."""

    frequency: Float[np.ndarray, " neuron"]
    amplitude: Float[np.ndarray, " neuron"]


@checked
def oscillation(
    values: Float[np.ndarray, "time neuron"], dt: float, band: tuple[float, float] = (2.0, 14.0)
) -> Oscillation:
    """Frequency and size of the oscillation of each neuron within a band.

    Arguments:
        values: A trace of each neuron, in any unit.
        dt: Distance of two values [s].
        band: Lowest and highest frequency looked for [Hz].

    Returns:
        The frequency of the peak of the Hann periodogram, refined by a parabola through the peak
        and its neighbours [Hz], nan for a constant trace; the distance of the 1st and the 99th
        percentile of the values, in their unit.

    Raises:
        DomainError: The band is empty, or the trace too short or too coarse for it.

    Example:
        >>> t = np.arange(0, 4, 1e-3)[:, None]
        >>> found = oscillation(5 * np.sin(2 * np.pi * 6.3 * t), dt=1e-3)
        >>> found.frequency.round(1), found.amplitude.round(0)
        (array([6.3]), array([10.]))
    """
    from scipy.signal import periodogram  # takes a second to import

    _require(values, dt, band, "oscillation(values, dt, band)")
    frequency, power = periodogram(values, fs=1 / dt, window="hann", axis=0)
    inside = np.flatnonzero((frequency >= band[0]) & (frequency <= band[1]))
    peak = inside[np.argmax(power[inside], axis=0)]
    low, middle, high = (
        np.log(np.maximum(power[peak + k, np.arange(values.shape[1])], 1e-300)) for k in (-1, 0, 1)
    )
    bend = low - 2 * middle + high
    shift = np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, 1.0), 0.0)
    still = np.ptp(values, axis=0) == 0
    found = np.where(still, np.nan, (peak + np.clip(shift, -0.5, 0.5)) * frequency[1])
    return Oscillation(found, np.ptp(np.percentile(values, [1, 99], axis=0), axis=0))


@checked
def phase_coherence(
    values: Float[np.ndarray, "time neuron"], dt: float, band: tuple[float, float] = (2.0, 14.0)
) -> float:
    r"""Order of the neurons' phases: 1 if all keep step, about $0.9/\sqrt{N}$ if none does.

    $R = \overline{|\frac{1}{N} \sum_k e^{i \phi_k(t)}|}$, with $\phi_k$ the phase of the analytic
    signal of a trace that is filtered to the band (Butterworth, order 2, forwards and backwards).

    Arguments:
        values: A trace of each neuron, in any unit; clip spikes off first.
        dt: Distance of two values [s].
        band: Frequencies that are let through [Hz].

    Returns:
        $R$, the mean over time without the first and last cycle [1].

    Raises:
        DomainError: The band is empty, or the trace too short or too coarse for it.

    Source: Kuramoto 1984, Chemical Oscillations, Waves, and Turbulence, section 5.4,
    doi:10.1007/978-3-642-69689-3.
    Differs from it: the phases are those of an analytic signal.

    Example:
        >>> t = np.arange(0, 4, 1e-3)[:, None]
        >>> together = np.sin(2 * np.pi * 6 * t + np.zeros(8))
        >>> spread = np.sin(2 * np.pi * 6 * t + 2 * np.pi * np.arange(8) / 8)
        >>> round(phase_coherence(together, 1e-3), 2), round(phase_coherence(spread, 1e-3), 2)
        (1.0, 0.0)
    """
    from scipy.signal import butter, hilbert, sosfiltfilt

    _require(values, dt, band, "phase_coherence(values, dt, band)")
    sos = butter(2, band, "bandpass", fs=1 / dt, output="sos")
    filtered = np.asarray(sosfiltfilt(sos, values - values.mean(axis=0), axis=0))
    phase = np.angle(np.asarray(hilbert(filtered, axis=0)))
    cycle = round(1 / (band[0] * dt))
    return float(np.abs(np.exp(1j * phase).mean(axis=1))[cycle:-cycle].mean())


@checked
def coupling_coefficient(
    before: Float[np.ndarray, " neuron"], during: Float[np.ndarray, " neuron"], injected: Index
) -> Float[np.ndarray, " neuron"]:
    """Steady deflection of each neuron over that of the neuron that gets a current.

    Arguments:
        before: Potential of each neuron without the current.
        during: The same with the current, once it is steady.
        injected: The neuron that gets it.

    Returns:
        1 for that neuron itself, 0 for one that is not coupled to it [1].

    Raises:
        DomainError: There is no such neuron, or it does not move.
        ShapeError: There are not as many potentials before as during.

    Example:
        >>> coupling_coefficient(np.array([-60.0, -60.0]), np.array([-70.0, -60.5]), injected=0)
        array([1.  , 0.05])
    """
    if injected >= len(before):
        raise DomainError(
            f"coupling_coefficient(before, during, injected={injected}): there are {len(before)}"
            " neurons. Give the index of one of them, counted from 0."
        )
    deflection = during - before
    if deflection[injected] == 0:
        raise DomainError(
            f"coupling_coefficient(before, during, injected={injected}): that neuron does not move,"
            " so that nothing can be compared with it. Give the index of the neuron that gets the"
            " current, and potentials before and during it."
        )
    return deflection / deflection[injected]


def _require(values: Traces, dt: float, band: tuple[float, float], asked: str) -> None:
    check_positive(dt, asked, "dt", "s")
    low, high = band
    if not 0 < low < high < 0.5 / dt:
        raise DomainError(
            f"{asked}: band is {band} Hz. It has to rise from above zero, and to end below half the"
            f" sampling frequency, {0.5 / dt:g} Hz. Write band=(2.0, 14.0), or sample more finely."
        )
    if len(values) * dt * low < 3:
        raise DomainError(
            f"{asked}: the trace is {len(values) * dt:g} s long. Below three cycles of"
            f" {low:g} Hz there is no frequency. Give at least {3 / low:g} s."
        )
