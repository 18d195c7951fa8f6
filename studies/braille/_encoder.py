r"""Sigma-delta encoding: events where a signal has moved by a threshold.

A level starts at the first sample. Between two extrema of the integer signal, where it only rises
or only falls, an ON (OFF) event is emitted each time it has risen (fallen) by $\theta$ from the
level of the last event, which moves with it. Its time is interpolated linearly between samples.

Source: Müller-Cleve et al. 2022, section 2.2, doi:10.3389/fnins.2022.951164.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDED = 1e-9  # steps of a threshold that are missed by less are made


@dataclass(frozen=True)
class Events:
    """Events of one signal, in the order of time.

    Arguments:
        time: Of each [s].
        on: Whether the signal rose; else it fell.
    """

    time: Float[np.ndarray, " event"]
    on: Bool[np.ndarray, " event"]


def encoded(
    signal: Int[np.ndarray, " sample"], time: Float[np.ndarray, " sample"], threshold: float
) -> Events:
    """Events of a signal.

    Arguments:
        signal: Whole numbers.
        time: Of its samples [s], rising.
        threshold: $\\theta$, in units of the signal.
    """
    level, times, signs = float(signal[0]), list[float](), list[bool]()
    for before, after, first, last in zip(signal, signal[1:], time, time[1:], strict=False):
        count = int(abs(after - level) / threshold + ROUNDED)
        sign = 1.0 if after > level else -1.0
        for _ in range(count):
            level += sign * threshold
            share = (level - float(before)) / (float(after) - float(before))
            times.append(float(first + share * (last - first)))
            signs.append(sign > 0)
    return Events(np.array(times, float), np.array(signs, bool))


def counts(
    signals: Int[np.ndarray, "signal sample"], threshold: float
) -> Int[np.ndarray, " signal"]:
    """How many events each of many signals has, without their times."""
    level = signals[:, 0].astype(float)
    found = np.zeros(len(signals), int)
    for value in signals.T[1:]:
        steps = np.trunc((value - level) / threshold + ROUNDED * np.sign(value - level))
        level += steps * threshold
        found += np.abs(steps).astype(int)
    return found


def binned(
    taxels: Int[np.ndarray, "sample taxel"], time: Float[np.ndarray, " sample"], threshold: float,
    width: float, steps: int,
) -> Bool[np.ndarray, "time channel"]:  # fmt: skip
    """Whether an event falls into a bin: ON of taxel k in channel 2k, OFF in channel 2k + 1.

    Arguments:
        taxels, time: The signals, and when they were sampled [s]; the first bin starts with them.
        threshold: $\\theta$.
        width: Of a bin [s].
        steps: Number of bins; later events are left out.
    """
    raster = np.zeros((steps, 2 * taxels.shape[1]), bool)
    for k, signal in enumerate(taxels.T):
        events = encoded(signal, time, threshold)
        row = np.floor((events.time - time[0]) / width + ROUNDED).astype(int)
        inside = row < steps
        raster[row[inside], 2 * k + np.where(events.on[inside], 0, 1)] = True
    return raster
