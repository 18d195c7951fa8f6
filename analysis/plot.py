"""Figures of spike trains, states, learning and validation, in the conventions of the field.

Every `plot_*` draws into `ax`, or into a new figure, and returns the Axes. Values are SI and the
axes say in which unit they read. Time is in ms, neurons count upwards, excitation is blue and
inhibition red. This is the only file of `analysis` that knows matplotlib.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mirrorneuron.errors import ShapeError

from .smoothing import smoothed_rate
from .spike_train import SpikeTrains
from .validate import Agreement, Locked, Validation

STYLE = Path(__file__).with_name("mirrorneuron.mplstyle")
EXCITATORY, INHIBITORY = "#0072B2", "#C8102E"
REFERENCE, MIRROR, GOOD, BAD = "#222222", "#0072B2", "#009E73", "#C8102E"

_PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6}
_SHOWN = 200  # neurons in the raster of a validation
_ALLOWED = "#E4F2EC"
_EXACT = 1e-17  # where a logarithmic axis shows an error of zero


def plot_raster(
    trains: SpikeTrains,
    inhibitory: Bool[np.ndarray, " neuron"] | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Spikes as dots: time in ms, neurons upwards.

    Arguments:
        trains: The population.
        inhibitory: True for inhibitory neurons; the spikes are then blue and red, not black.
        ax: Where to draw; a new figure without it.
        style: Passed to `Axes.plot`, `marker="|", markersize=6` for a handful of neurons.

    Raises:
        ShapeError: `inhibitory` has not one value a neuron.
    """
    ax = _axes(ax)
    for color, neurons in _split(trains, inhibitory):
        times = np.concatenate([np.empty(0), *(trains.trains[n] for n in neurons)])
        index = np.repeat(neurons, trains.counts[neurons])
        look: dict[str, Any] = {
            "marker": ".",
            "markersize": 1,
            "linestyle": "none",
            "color": color,
        } | style
        ax.plot(times * 1e3, index, **look)
    ax.set(xlim=(0, trains.duration * 1e3), ylim=(-0.5, max(len(trains), 1) - 0.5))
    ax.set(xlabel="time (ms)", ylabel="neuron")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
    return ax


def plot_rate(
    trains: SpikeTrains,
    width: float = 25e-3,
    dt: float = 1e-3,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Mean rate of the population under a Gaussian window.

    Arguments:
        trains: The population.
        width: Standard deviation of the window [s].
        dt: Distance of the points [s].
        ax: Where to draw; a new figure without it.
        style: Passed to `Axes.plot`.
    """
    ax = _axes(ax)
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


def figure_spikes(validation: Validation, name: str) -> Figure:
    """What both sides of a validation spiked: raster, rates, intervals, rate of each neuron.

    Arguments:
        validation: The validation.
        name: The object.
    """
    reference, mirror = validation.comparison.trains(name)
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


def figure_agreement(validation: Validation) -> Figure:
    """Errors of the locked steps, and differences of the statistics; what is allowed is shaded.

    Arguments:
        validation: The validation.
    """
    rows = max(len(validation.locked), len(validation.statistics), 4)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(7.4, 1.0 + 0.2 * rows))
        left, right = figure.subplots(1, 2)
        _errors(validation.locked, validation.tolerance, left)
        _differences([a for a in validation.statistics if a.agrees is not None], right)
    return figure


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
        return pyplot.subplots(figsize=(5, 2.8))[1]


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


def _errors(variables: tuple[Locked, ...], tolerance: float, ax: Axes) -> None:
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
