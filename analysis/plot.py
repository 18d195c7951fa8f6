"""Figures of spike trains, states, learning and validation, in the conventions of the field.

Every `plot_*` draws into `ax`, or into a new figure, and returns the Axes. Values are SI and the
axes say in which unit they read. Time is in ms, neurons count upwards, excitation is blue and
inhibition red. Besides `validation_figures`, no file of `analysis` knows matplotlib.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mirrorneuron.errors import ShapeError

from .population import population, populations
from .smoothing import smoothed_rate
from .spike_train import SpikeTrains

STYLE = Path(__file__).with_name("mirrorneuron.mplstyle")
EXCITATORY, INHIBITORY = "#0072B2", "#C8102E"
LABELLED = 0.04  # of the height: names of lower groups would cover each other
GROUPS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE, MIRROR, GOOD, BAD = "#222222", "#0072B2", "#009E73", "#C8102E"

_PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6}


def plot_raster(
    trains: SpikeTrains | Any,
    inhibitory: Bool[np.ndarray, " neuron"] | None = None,
    ax: Axes | None = None,
    group: str | None = None,
    trial: int = 0,
    **style: Any,
) -> Axes:
    """Spikes as dots: time in ms, neurons upwards; several groups stand one above the other.

    Names stand beside groups that are tall enough; `group="cells"` draws one alone.

    Arguments:
        trains: Whatever has spikes: a `Recording`, a `Simulation`, a `SpikeMonitor`, a list of
            Neo's spike trains, `SpikeTrains`, or what `SpikeTrains.of` takes.
        inhibitory: True for inhibitory neurons of a single group; its spikes are then blue and
            red, not black.
        ax: Where to draw; a new figure without it.
        group: Which group, by default all.
        trial: Which trial of a recording.
        style: Passed to `Axes.plot`, `marker="|", markersize=6` for a handful of neurons.

    Raises:
        UnknownName: There is no such group.
        ShapeError: `inhibitory` has not one value a neuron.
        DomainError: There are no spikes, or no such trial.
    """
    found = populations(trains, trial)
    if group is not None or len(found) == 1:
        only = population(trains, group, trial)
        parts = [(color, only, rows) for color, rows in _split(only, inhibitory)]
        return _raster(parts, _axes(ax), style)
    ends = np.cumsum([0, *(len(each) for each in found.values())])
    colors = itertools.cycle(GROUPS)
    parts = [
        (next(colors), each, np.arange(start, start + len(each)))
        for each, start in zip(found.values(), ends, strict=False)
    ]
    ax = _raster(parts, _axes(ax), style)
    sizes, middles = np.diff(ends), (ends[1:] + ends[:-1] - 1) / 2
    shown = sizes >= LABELLED * ends[-1]
    ax.set_yticks(middles[shown], labels=[n for n, tall in zip(found, shown, strict=True) if tall])
    ax.set_ylabel("")
    return ax


def _raster(
    parts: Sequence[tuple[str, SpikeTrains, Int[np.ndarray, " _"]]], ax: Axes, style: dict[str, Any]
) -> Axes:
    """Draw trains, each with its colour and the rows of those neurons that are to be drawn."""
    base: dict[str, Any] = {"marker": ".", "markersize": 1, "linestyle": "none"}
    height, last = 1, 0.0
    for color, trains, rows in parts:
        neurons = rows if rows.size < len(trains) else np.arange(len(trains))
        times = np.concatenate([np.empty(0), *(trains.trains[n] for n in neurons)])
        look: dict[str, Any] = base | {"color": color} | style
        ax.plot(times * 1e3, np.repeat(rows, trains.counts[neurons]), **look)
        height = max(height, len(trains), int(rows.max(initial=0)) + 1)
        last = max(last, trains.duration)
    ax.set(xlim=(0, last * 1e3), ylim=(-0.5, height - 0.5))
    ax.set(xlabel="time (ms)", ylabel="neuron")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
    return ax


def plot_rate(
    trains: SpikeTrains | Any,
    width: float = 25e-3,
    dt: float = 1e-3,
    ax: Axes | None = None,
    group: str | None = None,
    trial: int = 0,
    **style: Any,
) -> Axes:
    """Mean rate of the population under a Gaussian window.

    Arguments:
        trains: The population, as in `plot_raster`.
        width: Standard deviation of the window [s].
        dt: Distance of the points [s].
        ax: Where to draw; a new figure without it.
        group: Which group, where there are several.
        trial: Which trial of a recording.
        style: Passed to `Axes.plot`.

    Raises:
        UnknownName: There is no such group.
        DomainError: There are several groups and none is named, or no spikes.
    """
    trains, ax = population(trains, group, trial), _axes(ax)
    dt = min(dt, trains.duration)
    rate = smoothed_rate(trains.pooled, trains.duration, width, dt) / max(len(trains), 1)
    look: dict[str, Any] = {"color": REFERENCE} | style
    ax.plot((np.arange(rate.size) + 0.5) * dt * 1e3, rate, **look)
    ax.set(xlim=(0, trains.duration * 1e3), xlabel="time (ms)", ylabel="rate (Hz)")
    _from_zero(ax)
    return ax


def plot_isi_histogram(
    trains: SpikeTrains,
    bins: int | Float[np.ndarray, " edge"] = 50,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Distribution of the inter-spike intervals of all neurons, as a density per ms.

    Arguments:
        trains: The population.
        bins: Number of bins up to the 99th percentile, or their edges [s].
        ax: Where to draw; a new figure without it.
        style: Passed to `Axes.stairs`.
    """
    ax = _axes(ax)
    intervals = trains.intervals
    if isinstance(bins, int):
        longest = float(np.quantile(intervals, 0.99)) if intervals.size else trains.duration
        bins = np.linspace(0, longest, bins + 1)
    counts, edges = np.histogram(intervals * 1e3, bins * 1e3)
    density = counts / (max(intervals.size, 1) * np.diff(edges))
    look: dict[str, Any] = {"color": REFERENCE, "linewidth": 1.1} | style
    ax.stairs(density, edges, **look)
    ax.set(xlabel="inter-spike interval (ms)", ylabel="density (1/ms)", xlim=edges[[0, -1]])
    _from_zero(ax)
    return ax


def plot_traces(
    values: Float[np.ndarray, "time neuron"],
    dt: float,
    unit: str = "mV",
    quantity: str = "membrane potential",
    scale_bars: bool = False,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """A state variable over time, one line a neuron.

    Arguments:
        values: The variable, in SI units.
        dt: Distance of two values [s].
        unit: Unit on the axis: "mV", "nS", "pA", "1"; a prefix is taken into account.
        quantity: What the axis is called.
        scale_bars: Draw a bar for each axis in place of ticks.
        ax: Where to draw; a new figure without it.
        style: Passed to `Axes.plot`.
    """
    ax = _axes(ax)
    ax.plot(np.arange(values.shape[0]) * dt * 1e3, values / _factor(unit), **style)
    ax.set(xlabel="time (ms)", ylabel=_label(quantity, unit))
    ax.set_xlim(0, max(values.shape[0], 1) * dt * 1e3)
    if scale_bars:
        add_scale_bars(ax, unit)
    return ax


def plot_learning_curve(
    loss: Float[np.ndarray, " step"] | Sequence[float],
    smooth: int = 1,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Loss over optimisation steps, logarithmic if it is positive.

    Arguments:
        loss: Loss of each step [1].
        smooth: Steps over which a bold line averages, above a faint one of single steps.
        ax: Where to draw; a new figure without it.
        style: Passed to `Axes.plot`.
    """
    ax, loss = _axes(ax), np.asarray(loss, dtype=float)
    look: dict[str, Any] = {"color": REFERENCE} | style
    faint: dict[str, Any] = {"alpha": 0.25, "linewidth": 0.8, "label": None}
    ax.plot(np.arange(loss.size), loss, **(look | (faint if smooth > 1 else {})))
    if 1 < smooth <= loss.size:
        mean = np.convolve(loss, np.full(smooth, 1 / smooth), mode="valid")
        ax.plot(np.arange(mean.size) + (smooth - 1) / 2, mean, **look)
    if loss.size and np.nanmin(loss) > 0:
        ax.set_yscale("log")
    ax.set(xlabel="optimisation step", ylabel="loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return ax


def plot_weights(
    weights: Float[np.ndarray, " synapse"],
    before: Float[np.ndarray, " synapse"] | None = None,
    unit: str = "nS",
    bins: int = 50,
    ax: Axes | None = None,
) -> Axes:
    """Distribution of synaptic weights, and of what they were before training.

    Arguments:
        weights: Weights, in SI units.
        before: The same before training.
        unit: Unit on the axis; a prefix is taken into account.
        bins: Number of bins over the range of both.
        ax: Where to draw; a new figure without it.
    """
    ax = _axes(ax)
    sets = {"after training": weights} if before is not None else {None: weights}
    if before is not None:
        sets = {"before training": before} | sets
    edges = np.histogram_bin_edges(np.concatenate(list(sets.values())) / _factor(unit), bins)
    for (label, values), filled in zip(sets.items(), (len(sets) == 2, False), strict=False):
        counts, _ = np.histogram(values / _factor(unit), edges)
        color = "#BBBBBB" if filled else EXCITATORY
        ax.stairs(counts, edges, fill=filled, color=color, linewidth=1.1, label=label)
    ax.set(xlabel=_label("weight", unit), ylabel="synapses")
    if before is not None:
        ax.legend()
    return ax


def add_scale_bars(ax: Axes, unit: str) -> None:
    """Replaces both axes by a bar of a round length each, below and left of the data.

    Arguments:
        ax: Axes with time in ms.
        unit: Unit of the vertical axis, as it is to be read.
    """
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    width, height = _round_length((right - left) / 4), _round_length((top - bottom) / 4)
    corner = right - width, bottom
    bars = [corner[0] + width, corner[0] + width, corner[0]], [bottom + height, bottom, bottom]
    ax.plot(*bars, color="black", linewidth=1.5, clip_on=False, solid_joinstyle="miter")
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "annotation_clip": False}
    ax.annotate(
        f"{width:g} ms", (right - width / 2, bottom), (0, -4), ha="center", va="top", **text
    )
    ax.annotate(
        f"{height:g} {unit}", (right, bottom + height / 2), (4, 0), ha="left", va="center", **text
    )
    ax.set_axis_off()
    ax.set(xlim=(left, right), ylim=(bottom, top))


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure in the resolution of the style and returns its path.

    Arguments:
        figure: The figure.
        path: The file; its ending says the format.
    """
    with matplotlib.style.context(STYLE):
        figure.savefig(path)
    return path


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    with matplotlib.style.context(STYLE):
        made = pyplot.subplots(figsize=(5, 2.8))[1]
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(
        interactive
    )  # the first figure of a notebook sets it, the context ends it
    return made


def _from_zero(ax: Axes) -> None:
    """Leaves room for everything drawn so far, by earlier calls too."""
    highest = ax.dataLim.y1
    ax.set_ylim(0, 1.05 * highest if np.isfinite(highest) and highest > 0 else 1)


def _split(
    trains: SpikeTrains, inhibitory: Bool[np.ndarray, " _"] | None
) -> list[tuple[str, Int[np.ndarray, " neuron"]]]:
    everyone = np.arange(len(trains))
    if inhibitory is None:
        return [(REFERENCE, everyone)]
    if inhibitory.size != len(trains):
        raise ShapeError(
            f"plot_raster(trains, inhibitory): inhibitory has {inhibitory.size} values, trains has "
            f"{len(trains)} neurons. Each neuron is one or the other. "
            "Write inhibitory=np.arange(n_neurons) >= n_excitatory."
        )
    return [(EXCITATORY, everyone[~inhibitory]), (INHIBITORY, everyone[inhibitory])]


def _factor(unit: str) -> float:
    return _PREFIXES.get(unit[0], 1.0) if len(unit) > 1 else 1.0


def _label(quantity: str, unit: str) -> str:
    return quantity if unit == "1" else f"{quantity} ({unit.replace('u', 'µ')})"


def _round_length(length: float) -> float:
    magnitude = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * magnitude <= length) * magnitude)
