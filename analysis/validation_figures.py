"""Figures of a validation: spikes of both sides, errors of steps, statistics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .plot import (
    BAD,
    GOOD,
    MIRROR,
    REFERENCE,
    STYLE,
    plot_isi_histogram,
    plot_raster,
    plot_rate,
)
from .spike_train import SpikeTrains
from .validation import Agreement, Locked

_SHOWN = 200  # neurons in the raster of a validation
_ALLOWED = "#E4F2EC"
_EXACT = 1e-17  # where a logarithmic axis shows an error of zero


def figure_spikes(name: str, reference: SpikeTrains, mirror: SpikeTrains) -> Figure:
    """What both sides of a validation spiked: raster, rates, intervals, rate of each neuron.

    Arguments:
        name: The object.
        reference, mirror: Its spikes on both sides.
    """
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(7.4, 4.6))
        halves: Any = figure.subfigures(1, 2, width_ratios=(2.1, 1))
        left, right = halves
        raster, rate = left.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
        intervals, neurons = right.subplots(2, 1)
        _raster_of_differences(reference, mirror, raster)
        _both(plot_rate, reference, mirror, rate)
        _both(plot_isi_histogram, reference, mirror, intervals, bins=_shared_bins(reference))
        _rate_of_each_neuron(reference, mirror, neurons)
        raster.set(title=f"Spikes of '{name}'", xlabel="")
        rate.set_title("Population rate, 25 ms window")
        intervals.set_title("Intervals")
        neurons.set_title("Rate of each neuron")
        rate.legend(loc="lower left", ncols=2)
    return figure


def figure_agreement(
    locked: Sequence[Locked], statistics: Sequence[Agreement], tolerance: float
) -> Figure:
    """Errors of the locked steps, and differences of the statistics; what is allowed is shaded.

    Arguments:
        locked: Largest error of each variable.
        statistics: How far the statistics agree.
        tolerance: Error that counts as rounding.
    """
    rows = max(len(locked), len(statistics), 4)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(7.4, 1.0 + 0.2 * rows))
        left, right = figure.subplots(1, 2)
        _errors(locked, tolerance, left)
        _differences([a for a in statistics if a.agrees is not None], right)
    return figure


def _both(
    plot: Callable[..., Axes],
    reference: SpikeTrains,
    mirror: SpikeTrains,
    ax: Axes,
    **settings: Any,
) -> None:
    plot(reference, ax=ax, color=REFERENCE, linewidth=2.4, alpha=0.35, label="Brian2", **settings)
    plot(mirror, ax=ax, color=MIRROR, linewidth=1.0, label="mirror", **settings)


def _shared_bins(trains: SpikeTrains) -> Float[np.ndarray, " edge"]:
    intervals = trains.intervals
    longest = np.quantile(intervals, 0.99) if intervals.size else trains.duration
    return np.linspace(0, longest, 41)


def _raster_of_differences(reference: SpikeTrains, mirror: SpikeTrains, ax: Axes) -> None:
    shown = np.unique(np.linspace(0, len(reference) - 1, min(len(reference), _SHOWN)).astype(int))
    few = len(shown) <= 10
    kinds: Mapping[str, tuple[str, float, Any]] = {
        "both": (REFERENCE, 1, np.intersect1d),
        "only Brian2": (BAD, 1.6, np.setdiff1d),
        "only mirror": (MIRROR, 1.6, lambda a, b: np.setdiff1d(b, a)),
    }
    for label, (color, size, combine) in kinds.items():
        pairs = ((reference.trains[n], mirror.trains[n]) for n in shown)
        part = SpikeTrains(tuple(combine(a, b) for a, b in pairs), reference.duration)
        if part.counts.sum() or label == "both":
            look: dict[str, Any] = {"marker": "|", "markersize": 8} if few else {"markersize": size}
            plot_raster(part, ax=ax, color=color, label=label, **look)
    if len(shown) < len(reference):
        ax.set_ylabel(f"{len(shown)} of {len(reference)} neurons")
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.35, 1.0), "borderpad": 0}
    ax.legend(**place, ncols=3, markerscale=1 if few else 5)


def _rate_of_each_neuron(reference: SpikeTrains, mirror: SpikeTrains, ax: Axes) -> None:
    x, y = reference.counts / reference.duration, mirror.counts / mirror.duration
    top = 1.05 * max(x.max(initial=0), y.max(initial=0), 1.0)
    ax.plot((0, top), (0, top), color="#BBBBBB", linewidth=0.8, zorder=0)
    ax.plot(x, y, ".", color=MIRROR, markersize=4, alpha=0.6, markeredgewidth=0)
    ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    ax.set(xlabel="Brian2 (Hz)", ylabel="mirror (Hz)")


def _errors(variables: Sequence[Locked], tolerance: float, ax: Axes) -> None:
    errors = np.array([v.error if np.isfinite(v.error) else 1.0 for v in variables])
    ax.set(title="Locked steps", xlabel="largest relative error", xscale="log")
    ax.set_xlim(_EXACT, max(10 * tolerance, 3 * errors.max(initial=0)))
    ends = np.maximum(errors, _EXACT)
    rows = np.arange(errors.size)
    ax.hlines(rows, _EXACT, ends, colors="#CCCCCC", linewidth=1)
    colors = [GOOD if v.within else BAD for v in variables]
    ax.scatter(ends, rows, c=colors, s=18, zorder=3, clip_on=False)
    for row in rows[errors == 0]:
        ax.annotate("exact", (_EXACT, row), (6, 0), textcoords="offset points", va="center")
    ax.axvspan(_EXACT, tolerance, color=_ALLOWED, zorder=0, linewidth=0)
    ax.minorticks_off()
    _rows(ax, [v.variable for v in variables])


def _differences(agreements: list[Agreement], ax: Axes) -> None:
    ax.set(title="Statistics", xlabel="mirror − Brian2 (% of Brian2)")
    rows = np.arange(len(agreements))
    percent = np.array([100 / (abs(a.reference) or abs(a.mirror) or 1.0) for a in agreements])
    allowed = np.array([a.allowed for a in agreements]) * percent
    difference = np.array([a.mirror - a.reference for a in agreements]) * percent
    ax.barh(rows, 2 * allowed, left=-allowed, height=0.8, color=_ALLOWED)
    ax.axvline(0, color="#999999", linewidth=0.8)
    ax.scatter(difference, rows, c=[GOOD if a.agrees else BAD for a in agreements], s=18, zorder=3)
    reach = 1.15 * max(allowed.max(initial=5), np.abs(difference).max(initial=0))
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    _rows(ax, [f"{a.object}: {a.statistic}" for a in agreements])


def _rows(ax: Axes, labels: list[str]) -> None:
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if not labels:
        ax.text(0.5, 0.5, "not compared", transform=ax.transAxes, ha="center", color="#888888")
