r"""The decoders as Brian2 networks: a recurrent one, and the feed-forward baseline.

$I_{n+1} = e^{-\Delta t/\tau_s} I_n + W x_{n-1} + V s_{n-1}$,
$u_{n+1} = (e^{-\Delta t/\tau_m} u_n + (1 - e^{-\Delta t/\tau_m}) I_n)(1 - s_n)$, $s = [u > 1]$, and
a readout without spikes. In Brian2 a step that is multiplied by $1 - s$ is one step of
refractoriness after a reset to 0, and $x_{n-1}$ a delay of two steps.

Source: Liu, Gygax, Rossbroich et al. 2024, arXiv:2409.01762, and its published code; baseline:
Yik et al. 2025, doi:10.1038/s41467-025-56739-4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, second
from jaxtyping import Float, Int
from numpy.typing import NDArray

import mirrorneuron as mn

DT = 4e-3
HEADS = ((10e-3, 50e-3), (5e-3, 20e-3), (20e-3, 20e-3), (10e-3, 30e-3), (30e-3, 100e-3))
CELL = """
dI/dt = -I/tau_s : 1
du/dt = (I - u)/tau_m : 1{refractory}
tau_s : second (constant)
tau_m : second (constant)
"""
BETA = 0.96  # of the baseline, by which a membrane decays in a step
SYNAPSES = ("ih", "hh", "ho")
TIMES = ("hidden.tau_s", "hidden.tau_m", "readout.tau_s", "readout.tau_m")
Array = NDArray[Any]


@dataclass(frozen=True)
class Spikes:
    """Input spikes: unit and step of each."""

    index: Int[np.ndarray, " spike"]
    step: Int[np.ndarray, " spike"]

    @staticmethod
    def of(raster: Array) -> "Spikes":
        """From a raster, "time channel"."""
        step, index = np.nonzero(raster)
        return Spikes(index, step)


@dataclass(frozen=True)
class Values:
    """What a decoder is besides its sizes: matrices "pre post" and time constants [s]; a matrix
    with zeros has no synapse there."""

    weights: Mapping[str, Float[np.ndarray, "pre post"]]
    times: Mapping[str, Float[np.ndarray, " neuron"]] = field(default_factory=dict[str, Array])

    def half(self) -> "Values":
        """Rounded to half precision, time constants in units of ms."""
        return Values(
            {k: w.astype(np.float16).astype(float) for k, w in self.weights.items()},
            {k: (t * 1e3).astype(np.float16).astype(float) / 1e3 for k, t in self.times.items()},
        )

    def whole_numbers(self) -> "Values":
        """Weights of 8 bit, each matrix with one scale."""
        scales = {k: np.abs(w).max() / 127 or 1.0 for k, w in self.weights.items()}
        return Values(
            {k: np.round(w / scales[k]) * scales[k] for k, w in self.weights.items()}, self.times
        )


def start(channels: int, hidden: int, heads: int, seed: int) -> Values:
    """Time constants as published, weights that have to be drawn."""
    rng = np.random.default_rng([seed, 5])
    softplus = np.log1p(np.exp(rng.uniform(0, 1, (2, hidden))))
    slow = np.repeat(np.array(HEADS[:heads]), 2, axis=0)
    return Values(
        {
            "ih": rng.standard_normal((channels, hidden)),
            "hh": rng.standard_normal((hidden, hidden)),
            "ho": rng.standard_normal((hidden, 2 * heads)),
        },
        {
            "hidden.tau_m": 20e-3 * softplus[0], "hidden.tau_s": 10e-3 * softplus[1],
            "readout.tau_s": slow[:, 0], "readout.tau_m": slow[:, 1],
        },
    )  # fmt: skip


def recurrent(values: Values, spikes: Spikes | None = None) -> Network:
    """The recurrent decoder, with the synapses that are not zero."""
    dt: Any = DT * second
    sizes = values.weights["ih"].shape[0], *values.weights["ho"].shape
    given = spikes or Spikes(np.zeros(0, int), np.zeros(0, int))
    source = SpikeGeneratorGroup(sizes[0], given.index, given.step * dt, dt=dt, name="stimulus")
    cells = NeuronGroup(
        sizes[1], CELL.format(refractory=" (unless refractory)"), threshold="u > 1", reset="u = 0",
        refractory=2 * dt, method="exponential_euler", dt=dt, name="hidden",
    )  # fmt: skip
    readout = NeuronGroup(
        sizes[2], CELL.format(refractory=""), method="exponential_euler", dt=dt, name="readout"
    )
    readout.u = -0.01
    for key, tau in values.times.items():
        owner, _, name = key.partition(".")
        setattr({"hidden": cells, "readout": readout}[owner], name, tau * second)
    ends = {"ih": (source, cells, 2), "hh": (cells, cells, 2), "ho": (cells, readout, 2)}
    joined = [
        _joined(a, b, values.weights[name], "I_post += w", name, late * dt)
        for name, (a, b, late) in ends.items()
    ]
    return Network(source, cells, readout, *joined)


def feed_forward(values: Values, spikes: Spikes | None = None) -> Network:
    """The baseline: no recurrence, one decay for all."""
    dt = DT * second
    given = spikes or Spikes(np.zeros(0, int), np.zeros(0, int))
    channels, hidden = values.weights["ih"].shape
    source = SpikeGeneratorGroup(channels, given.index, given.step * dt, dt=dt, name="stimulus")
    names = {"tau": -dt / np.log(BETA)}
    cells = NeuronGroup(
        hidden, "du/dt = -u/tau : 1", threshold="u > 1", reset="u -= 1", method="exact", dt=dt,
        name="hidden", namespace=names,
    )  # fmt: skip
    readout = NeuronGroup(
        2, "du/dt = -u/tau : 1", method="exact", dt=dt, name="readout", namespace=names
    )
    ends = {"ih": (source, cells), "ho": (cells, readout)}
    joined = [
        _joined(a, b, values.weights[name], "u_post += w", name, 0 * dt)
        for name, (a, b) in ends.items()
    ]
    return Network(source, cells, readout, *joined)


def _joined(source: Any, target: Any, w: Array, code: str, name: str, delay: Any) -> Synapses:
    made = Synapses(source, target, "w : 1", on_pre=code, delay=delay, name=name, dt=DT * second)
    i, j = np.nonzero(w)
    made.connect(i=i, j=j)
    made.w = w[i, j]
    return made


def mirrored(values: Values, plain: bool = False, dtype: torch.dtype = torch.float32) -> mn.Mirror:
    """The mirror of a decoder, all weights and time constants trained.

    Arguments:
        values: Of the decoder.
        plain: Whether it is the baseline.
        dtype: Of the mirror.
    """
    network = feed_forward(values) if plain else recurrent(values)
    names = [f"{name}.w" for name in values.weights]
    train: dict[str, Any] = {key: mn.Free() for key in names}
    train |= {key: mn.Positive() for key in values.times}
    return mn.mirror(network, train, mn.SuperSpike(width=0.05), "detach", dtype=dtype, namespace={})


def values_of(model: mn.Mirror, like: Values) -> Values:
    """Those of a trained mirror."""
    return Values(
        {name: np.asarray(mn.weights(model, f"{name}.w").matrix()) for name in like.weights},
        {key: model.parameter(key).detach().double().numpy() for key in like.times},
    )
