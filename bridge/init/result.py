"""What was set, and why: the table of a fluctuation-driven start."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mirrorneuron._arguments import FromZero, checked
from mirrorneuron.errors import UnknownName
from mirrorneuron.units import Dimensions

from ..program import Array
from .kernel import Kernel


@checked
@dataclass(frozen=True)
class Row:
    """One kind of weights; all in SI units, and NaN for neurons that it does not reach.

    Arguments:
        key: Name of the weights.
        unit: Their dimensions.
        group: Whose membranes they move.
        source: Where their spikes come from.
        fan_in: Synapses that end at each neuron, " neuron".
        rate: Of each input [Hz].
        kernel: Integrals of the potential that a spike of unit weight causes, " neuron".
        mean, deviation: Of the weights, " neuron".
        exponential: Whether they have one sign and an exponential distribution, of which both
            magnitudes are $1/\\lambda$; else they are normal.
    """

    key: str
    unit: Dimensions
    group: str
    source: str
    fan_in: Array
    rate: FromZero
    kernel: Kernel
    mean: Array
    deviation: Array
    exponential: bool


@checked
@dataclass(frozen=True)
class FluctuationStart:
    """Weights that were set by `fluctuation_driven`; `print` shows them as a table.

    Arguments:
        rows: One for each kind of weights.
        rates: Mean rate of the inputs from each group [Hz]: as given, or as it was found.
        left: Trained weights that were not set, with the reason.
    """

    rows: tuple[Row, ...]
    rates: Mapping[str, float]
    left: Mapping[str, str]

    def __getitem__(self, key: str) -> Row:
        """The row of some weights.

        Raises:
            UnknownName: They were not set.
        """
        for row in self.rows:
            if row.key == key:
                return row
        raise UnknownName.among(f"start[{key!r}]", key, [row.key for row in self.rows])

    def __str__(self) -> str:
        head = ("weights", "from", "to", "fan-in", "rate", "mean", "deviation", "")
        lines = [head, *(_line(row) for row in self.rows)]
        width = [max(len(line[k]) for line in lines) for k in range(len(head))]
        shown = [
            "  ".join(f"{cell:<{w}}" for cell, w in zip(line, width, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*shown, *(f"{key} was left: {why}" for key, why in self.left.items())])


def _line(row: Row) -> tuple[str, ...]:
    unit = f" {row.unit}" if row.unit != Dimensions() else ""
    there = row.fan_in[row.fan_in > 0]
    return (
        row.key, row.source, row.group, _middle(there), f"{row.rate:.4g} Hz",
        _middle(row.mean) + unit, _middle(row.deviation) + unit,
        "exponential" if row.exponential else "normal",
    )  # fmt: skip


def _middle(values: Array) -> str:
    """One number for all neurons, or the mean of those."""
    found = float(np.nanmean(values)) if values.size else 0.0
    same = bool(np.nanmax(values) == np.nanmin(values)) if values.size else True
    return f"{found:.4g}" if same else f"{found:.4g} on average"
