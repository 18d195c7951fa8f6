"""The published protocol of E-GLIF cells in Brian2, a rest and steps of current, and its figures.

Rest for `rest`, in which the rate is taken; then steps of `step`, as long apart. The rate of a step
is the inverse of the mean first interval, the slope that of the line through all steps but the
first.

Source: Geminiani et al. 2019, doi:10.3389/fncom.2019.00035; De Schepper et al. 2022,
doi:10.1038/s42003-022-04213-y, whose published code tests the rates and slopes.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2 import Network, Quantity, TimedArray, amp, get_dimensions, ms, second
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis import SpikeTrains, first_interval_rate, slope
from mirrorneuron.analysis.plot import REFERENCE
from mirrorneuron.bio import neurons
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells import Cell, Claim
from mirrorneuron.bio.simulate import simulate

from .figure import hide, spaced, trains

PER_PA = 1e-12
Curve = Float[np.ndarray, " step"]


@dataclass(frozen=True)
class Measured:
    """Responses of one kind of cell.

    Arguments:
        rate: Mean rate at rest [Hz].
        silent: Share of the cells that do not fire at rest [1].
        currents: Of the steps [A].
        curve: Rate of the first interval in each step [Hz].
        slope: Of the curve [Hz/A]; None where the source says nothing of it.
        trains: Spikes of the last second of the rest.
    """

    rate: float
    silent: float
    currents: Curve
    curve: Curve
    slope: float | None
    trains: SpikeTrains


class Kind(NamedTuple):
    """A kind of cell in the protocol.

    Arguments:
        cell: The cell with its constants.
        claim: Steps of current, and the slope that its source claims.
        size: Number of copies, which differ in their random numbers.
    """

    cell: Cell
    claim: Claim
    size: int


@dataclass(frozen=True)
class Protocol:
    """The protocol for several kinds of E-GLIF cells at once.

    Arguments:
        kinds: By name.
        rest: Time without current [s].
        step: Length of a step of current, and of the pause after it [s].
    """

    kinds: Mapping[str, Kind]
    rest: float
    step: float

    @cached_property
    def bundles(self) -> dict[str, slice]:
        """Indices of the cells of each kind in the group."""
        ends = np.cumsum([0, *(kind.size for kind in self.kinds.values())])
        return {name: slice(*ends[k : k + 2]) for k, name in enumerate(self.kinds)}

    @property
    def steps(self) -> int:
        """Largest number of current steps of any kind."""
        return max(len(kind.claim.currents) for kind in self.kinds.values())

    @property
    def duration(self) -> float:
        """Of the simulation [s]."""
        return self.start(self.steps)

    def start(self, k: int) -> float:
        """When step k begins [s]."""
        return self.rest + 2 * k * self.step

    def currents(self, name: str) -> Curve:
        """Steps of a kind [A]."""
        return np.array([float(evaluate(text)) for text in self.kinds[name].claim.currents])

    def build(self) -> Network:
        """One group, and its steps of current."""
        table = [kind.cell for kind in self.kinds.values() for _ in range(kind.size)]
        with warnings.catch_warnings():  # a published set is unstable; it is measured like the rest
            warnings.filterwarnings("ignore", ".* is below leak_sign", UserWarning)
            group = neurons["eglif"].group(len(table), name="eglif", **values_of(table))
        cycles = round(self.rest / self.step)
        given = np.zeros((round(self.duration / self.step), len(table)))
        for name, cells in self.bundles.items():
            for k, current in enumerate(self.currents(name)):
                given[cycles + 2 * k, cells] = current
        group.namespace["steps"] = TimedArray(given * amp, dt=self.step * second)
        group.run_regularly("I = steps(t, i)", dt=10 * ms, when="start")
        return Network(group)

    def measure(
        self, seed: int, progress: bool, directory: Path | None = None
    ) -> dict[str, Measured]:
        """Run the protocol as a compiled program.

        Arguments:
            seed: Of the random numbers.
            progress: Whether to show progress.
            directory: Where the program is compiled, for reuse; by default a temporary folder.
        """
        run = simulate(
            self.build, self.duration * second, "cpp", seed=seed, directory=directory,
            namespace={}, report="text" if progress else None,
        )  # fmt: skip
        every = trains(run.spikes["eglif"], run.duration)
        rest = every.between(0.0, self.rest)
        late = every.between(self.rest - min(1.0, self.rest), self.rest)
        first = [
            first_interval_rate(every, self.start(k), self.start(k) + self.step)
            for k in range(self.steps)
        ]
        found: dict[str, Measured] = {}
        for name, cells in self.bundles.items():
            currents = self.currents(name)
            curve = np.array([_inverse_mean(first[k][cells]) for k in range(len(currents))])
            found[name] = Measured(
                float(rest.counts[cells].mean() / self.rest),
                float(np.mean(rest.counts[cells] == 0)),
                currents,
                curve,
                slope(currents[1:], curve[1:]) if self.kinds[name].claim.slope else None,
                SpikeTrains(late.trains[cells], late.duration),
            )
        return found


def _inverse_mean(rates: Float[np.ndarray, " neuron"]) -> float:
    """Rate of the mean interval [Hz], 0 where a cell has none."""
    return float(1 / np.mean(1 / rates)) if np.all(rates > 0) else 0.0


def values_of(table: Sequence[Cell]) -> dict[str, Any]:
    """Parameters of E-GLIF cells, and where they start, with a value for each cell."""
    values: dict[str, Any] = {}
    for name in (*neurons["eglif"].parameters, "v"):
        found = [evaluate(cell.parameters[name]) for cell in table]
        values[name] = Quantity([float(x) for x in found], dim=get_dimensions(found[0]))
    return values


# ---- figures


def draw_rests(
    trains: Mapping[str, SpikeTrains],
    claims: Mapping[str, Claim],
    dots: Mapping[str, tuple[str, Mapping[str, Any]]],
    claimed: str,
    height: float,
) -> tuple[Figure, Axes]:
    """Draw one second at rest of every kind of cell, and its rates beside the claimed one.

    Returns the figure and the axes of the rates. `dots` holds, by label, a color and marker
    ("blue o") and one or several rates of each kind [Hz]; `claimed` is the label of the claim.
    """
    names = list(claims)
    figure, (raster, rate) = plt.subplots(
        1, 2, figsize=(9.6, height), sharey=True, width_ratios=[2, 1], layout="constrained"
    )
    for row, name in enumerate(names):
        shown = min(len(trains[name].trains), 8)
        for k, times in enumerate(trains[name].trains[:shown]):
            y = row + 0.35 - 0.7 * (k + 0.5) / shown
            raster.vlines(times, y - 0.3 / shown, y + 0.3 / shown, color=REFERENCE, linewidth=0.9)
        rate.plot([claims[name].rate or 0.0] * 2, [row - 0.35, row + 0.35], color="0.6",
                  linewidth=4, zorder=1, label=None if row else claimed)  # fmt: skip
        for label, (mark, rates) in dots.items():
            color, marker = mark.split()
            values = np.atleast_1d(rates[name])
            rate.plot(values, [row] * len(values), marker, color=color, markersize=5,
                      label=None if row else label)  # fmt: skip
    raster.set_yticks(range(len(names)), [spaced(name) for name in names])
    raster.set(xlabel="time (s)", xlim=(0, trains[names[0]].duration))
    raster.set_ylim(len(names) - 0.4, -0.6)
    rate.set(xlabel="rate at rest (Hz)", xlim=(-3, None))
    return figure, rate


def draw_curve(
    ax: Axes,
    name: str,
    claim: Claim,
    currents: Curve,
    rates: Mapping[str, tuple[str, Curve]],
    claimed: str,
    linewidth: float,
) -> None:
    """Draw the rate of the first interval over current [A], and a line with the claimed slope.

    `rates` holds, by label, a color and marker ("blue o-") and a curve [Hz]. The line, with the
    label `claimed`, goes through the middle of the last curve.
    """
    _, last = [*rates.values()][-1]
    line = last[1:].mean() + (claim.slope or 0.0) * (currents - currents[1:].mean())
    ax.plot(currents * 1e12, line, color="0.6", linewidth=linewidth, label=claimed)
    for label, (mark, values) in rates.items():
        color, marker = mark.split()
        ax.plot(currents * 1e12, values, marker, color=color, label=label)
    ax.set_title(spaced(name), fontsize=9)
    ax.set(ylim=(0, None), xlim=(0, currents.max() * 1.08e12))


def label_curves(figure: Figure, axes: Any, empty: Sequence[Axes], label: str) -> None:
    """Labels of a grid of curves, in which some panels are empty."""
    hide(empty)
    for ax in axes[:, 0]:
        ax.set_ylabel(label)
    figure.supxlabel("current (pA)", fontsize=9)
