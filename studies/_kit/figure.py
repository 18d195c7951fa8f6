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
        """Draw what was found."""
        ...


def trains(spikes: Spikes, duration: float) -> SpikeTrains:
    """Spikes of a simulation as trains."""
    return SpikeTrains.from_events(spikes.t, spikes.index, spikes.size, duration)


def save(figure: Figure, path: Path, dpi: float | None = 160) -> Path:
    """Write a figure and close it; without `dpi`, in the resolution of matplotlib's style."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    return path


def draw_all(
    out: Path,
    found: F,
    drawings: Sequence[Draw[F]],
    styled: bool = False,
    dpi: float | None = 160,
) -> dict[Path, str]:
    """Draw what was found: `draw_NAME` into `NAME.png`, with the docstring as its caption.

    Arguments:
        out: Folder of the figures.
        found: Given to each function.
        drawings: The functions.
        styled: Whether figures have the style of `mirrorneuron.analysis.plot`.
        dpi: As of `save`.

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
    """A name as a label."""
    return name.replace("_", " ")


def hide(axes: Any) -> None:
    """Make panels invisible that have nothing to show."""
    for ax in axes:
        ax.set_axis_off()


def around(
    spike_trains: Sequence[Any], events: Any, first: float, last: float
) -> list[Float[np.ndarray, " spike"]]:
    """Spike times around each event, one train after the other, counted from the event [s]."""
    return [
        t[(t > event + first) & (t < event + last)] - event
        for t in spike_trains
        for event in events
    ]


def draw_around(
    raster: Axes,
    histogram: Axes,
    aligned: Sequence[Float[np.ndarray, " spike"]],
    edges: Float[np.ndarray, " edge"],
    shown: int,
) -> None:
    """Raster and rate of spikes around an event at 0.

    Arguments:
        raster, histogram: Axes.
        aligned: Spike times from the event [s], for each repetition.
        edges: Of the bins of the rate [s].
        shown: Rows of the raster at most.
    """
    for row, times in enumerate(aligned[:shown]):
        raster.vlines(times * 1e3, row - 0.4, row + 0.4, color=REFERENCE, linewidth=0.8)
    rate = np.histogram(np.concatenate(aligned), edges)[0] / (len(aligned) * np.diff(edges))
    histogram.stairs(rate, edges * 1e3, color=EXCITATORY)
    for ax in (raster, histogram):
        ax.axvline(0, color=BAD, linewidth=1)
    histogram.set(ylim=(0, None), xlim=edges[[0, -1]] * 1e3)
