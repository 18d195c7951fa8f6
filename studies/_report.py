"""What the reports of several studies share: spikes as trains, the table of verdicts, figures."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis import SpikeTrains, Table
from mirrorneuron.bio.recording import Spikes

from ._contracts import Metric


def trains(spikes: Spikes, duration: float) -> SpikeTrains:
    """Spikes of a simulation as trains."""
    return SpikeTrains.from_events(spikes.t, spikes.index, spikes.size, duration)


def verdicts(metrics: Mapping[str, Metric], digits: int = 3) -> Table:
    """Every metric beside its target."""
    rows = (
        (
            name, f"{m.value:.{digits}g}", "-" if m.target is None else f"{m.target:.{digits}g}",
            m.unit, "" if m.ok is None else "hit" if m.ok else "missed",
        )
        for name, m in metrics.items()
    )  # fmt: skip
    return Table("Found beside target", ("", "found", "target", "unit", ""), tuple(rows))


def save(figure: Figure, path: Path, dpi: float | None = 160) -> Path:
    """Write a figure, with None in the resolution of matplotlib's style, and close it."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    return path
