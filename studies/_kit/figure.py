"""Figures of spikes that several studies draw, and how figures are saved."""

from collections.abc import Sequence
from contextlib import nullcontext
from inspect import getdoc
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis import SpikeTrains, plot
from mirrorneuron.analysis.plot import BAD, EXCITATORY, REFERENCE
from mirrorneuron.bio.recording import Spikes

F = TypeVar("F", contravariant=True)


@runtime_checkable
class Draw(Protocol[F]):
    """A function `draw_NAME(found) -> Figure`, whose docstring is the caption."""

    __name__: str

    def __call__(self, found: F, /) -> Figure:
        """Draw the results."""
        ...


def trains(spikes: Spikes, duration: float) -> SpikeTrains:
    """Spikes of a simulation as trains."""
    return SpikeTrains.from_events(spikes.t, spikes.index, spikes.size, duration)


def save(figure: Figure, path: Path, dpi: float | None = 160.0) -> Path:
    """Write a figure and close it; without `dpi`, in the resolution of matplotlib's style."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    return path


def draw_all(
    out: Path,
    found: F,
    drawings: Sequence[Draw[F]],
    styled: bool = False,
    dpi: float | None = 160.0,
) -> dict[Path, str]:
    """Draw and save figures: `draw_NAME` gives `NAME.png`, and its docstring is the caption.

    Arguments:
        out: Folder of the figures.
        found: The results, given to each function.
        drawings: Functions that draw a figure.
        styled: Whether figures have the style of `mirrorneuron.analysis.plot`.
        dpi: Resolution, as in `save`.

    Returns:
        Captions by file.
    """
    captions: dict[Path, str] = {}
    with matplotlib.style.context(plot.STYLE) if styled else nullcontext():
        for draw in drawings:
            path = out / f"{draw.__name__.removeprefix('draw_')}.png"
            captions[save(draw(found), path, dpi)] = " ".join(str(getdoc(draw)).split())
    return captions


def spaced(name: str) -> str:
    """A name as a label, without underscores."""
    return name.replace("_", " ")


def hide(axes: Any) -> None:
    """Hide empty panels."""
    for ax in axes:
        ax.set_axis_off()


def around(
    spike_trains: Sequence[Any], events: Any, first: float, last: float
) -> list[Float[np.ndarray, " _"]]:
    """Spike times relative to each event [s], for each train and event."""
    return [
        t[(t > event + first) & (t < event + last)] - event
        for t in spike_trains
        for event in events
    ]


def draw_around(
    raster: Axes,
    histogram: Axes,
    aligned: Sequence[Float[np.ndarray, " _"]],
    edges: Float[np.ndarray, " edge"],
    shown: int,
    linewidth: float = 0.8,
) -> None:
    """Raster and rate of spikes around an event at 0.

    Arguments:
        raster, histogram: Axes.
        aligned: Spike times from the event [s], one row of the raster each.
        edges: Of the bins of the rate [s].
        shown, linewidth: Maximum number of rows, and line width of a spike.
    """
    for row, times in enumerate(aligned[:shown]):
        raster.vlines(times * 1e3, row - 0.4, row + 0.4, color=REFERENCE, linewidth=linewidth)
    rate = np.histogram(np.concatenate(aligned), edges)[0] / (len(aligned) * np.diff(edges))
    histogram.stairs(rate, edges * 1e3, color=EXCITATORY)
    for ax in (raster, histogram):
        ax.axvline(0, color=BAD, linewidth=1)
    histogram.set(ylim=(0, None), xlim=edges[[0, -1]] * 1e3)
