r"""The readers as Brian2 networks: current-based neurons, recurrent or not, with spiking outputs.

$I_{n+1} = e^{-\Delta t/\tau_s} I_n + W x_n + V s_{n-1}$,
$u_{n+1} = (e^{-\Delta t/\tau_m} u_n + (1 - e^{-\Delta t/\tau_m}) I_n)(1 - s_n)$, $s = [u > 1]$,
$\tau_s = \tau_m / 10$. In Brian2 the last factor is one step of refractoriness after a reset to 0,
$x_n$ a delay of one step and $s_{n-1}$ one of two.

Source: Müller-Cleve et al. 2022, section 2.4, doi:10.3389/fnins.2022.951164.
Differs from it: the membrane averages the current, so that weights are larger by
$1 / (1 - e^{-\Delta t/\tau_m})$.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from brian2 import Hz, Network, NeuronGroup, SpikeGeneratorGroup, Synapses, second
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge._contracts import Surrogate

CELL = """
dI/dt = -I/tau_s : 1
du/dt = (I - u)/tau_m : 1 (unless refractory)
tau_s : second (constant)
tau_m : second (constant)
"""
TIMES = ("hidden.tau_m", "hidden.tau_s", "output.tau_m", "output.tau_s")
SCORES = 1.0  # fluctuations of outputs at the start
RATIO = 10.0  # of the time constants of membrane and synapse
Array = NDArray[Any]


@dataclass(frozen=True)
class Tall(Surrogate):
    """The published slope of a spike, $(1 + |m|/w)^{-2}$: 1 at threshold, whatever the width."""

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "w/(1 + abs(m)/w)**2"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """The slope times the width."""
        return width * (1 + torch.abs(margin) / width) ** -2


@dataclass(frozen=True)
class Reading:
    """Published settings for one threshold of the encoding.

    Arguments:
        theta: Threshold.
        slope: Of the fast sigmoid.
        bin: Length of a step [s].
        copies: Of each channel, with weights of their own.
        tau: $\\tau_m$ [s].
        forward, back: Scale of the weights at the start, and that of recurrent ones relative to it.
        spikes, squares: Cost of a spike, and of the square of a neuron's spikes in a trial.
    """

    theta: float
    slope: float
    bin: float
    copies: int
    tau: float
    forward: float
    back: float
    spikes: float
    squares: float

    @property
    def gain(self) -> float:
        """By how much weights are larger than published ones."""
        return float(1 / (1 - np.exp(-self.bin / self.tau)))


READINGS = {
    r.theta: r
    for r in (
        Reading(1.0, 5.0, 5e-3, 2, 60e-3, 1.0, 0.01, 0.004, 1e-6),
        Reading(2.0, 15.0, 3e-3, 8, 50e-3, 1.0, 0.02, 0.0015, 0.0),
        Reading(5.0, 10.0, 3e-3, 4, 70e-3, 1.5, 0.035, 0.001, 0.0),
        Reading(10.0, 10.0, 5e-3, 2, 70e-3, 4.0, 0.015, 0.0015, 0.0),
    )
}


@dataclass(frozen=True)
class Values:
    """What a reader is besides its sizes.

    Arguments:
        weights: "ih", "hh" (only where it is recurrent) and "ho", matrices "pre post".
        times: Time constants [s].
        late: Delays of the synapses, in steps, "pre post".
    """

    weights: Mapping[str, Float[np.ndarray, "pre post"]]
    times: Mapping[str, Float[np.ndarray, " neuron"]]
    late: Mapping[str, Int[np.ndarray, "pre post"]] = field(default_factory=dict[str, Array])

    @property
    def names(self) -> list[str]:
        """Of everything that training may change, as in Brian2."""
        return [*(f"{name}.w" for name in self.weights), *self.times]

    def by_name(self, key: str) -> Array:
        """One of these, as Brian2 orders it."""
        return self.times[key] if key in self.times else self.weights[key[:-2]].ravel()

    def zeros(self) -> "Values":
        """The same without weights, and with one time constant for all."""
        weights = {key: np.zeros_like(w) for key, w in self.weights.items()}
        return Values(weights, {k: np.full_like(t, 0.02) for k, t in self.times.items()}, self.late)


def published(
    reading: Reading, channels: int, hidden: int, classes: int, back: bool, seed: int
) -> Values:
    """Values before training, as published.

    Arguments:
        reading: Settings.
        channels, hidden, classes: Sizes.
        back: Whether it is recurrent.
        seed: Of the weights.
    """
    rng, scale = np.random.default_rng([seed, 41]), reading.forward * reading.gain
    inputs = channels * reading.copies

    def drawn(a: int, b: int, size: float) -> Array:
        return rng.standard_normal((a, b)) * size / np.sqrt(a)

    weights = {"ih": drawn(inputs, hidden, scale), "ho": drawn(hidden, classes, scale)}
    if back:
        weights["hh"] = drawn(hidden, hidden, scale * reading.back)
    sizes = dict(zip(TIMES, (hidden, hidden, classes, classes), strict=True))
    taus = {"m": reading.tau, "s": reading.tau / RATIO}
    return Values(weights, {key: np.full(n, taus[key[-1]]) for key, n in sizes.items()})


def improved(
    reading: Reading, channels: int, hidden: int, classes: int, rate: float, latest: float,
    seed: int,
) -> Values:  # fmt: skip
    """Values before training of a recurrent reader whose neurons differ.

    Time constants are gamma distributed around the published ones, delays of inputs uniform, and
    weights such that fluctuations reach the threshold.

    Arguments:
        reading, channels, hidden, classes, seed: As in `published`.
        rate: Of a channel [Hz].
        latest: Longest delay of an input [s].
    """
    values = published(replace(reading, copies=1), channels, hidden, classes, True, seed)
    rng = np.random.default_rng([seed, 43])
    times = {
        key: tau * np.maximum(rng.gamma(3.0, 1 / 3.0, len(tau)), 0.2)
        for key, tau in values.times.items()
    }
    late = {"ih": rng.integers(1, 1 + max(1, round(latest / reading.bin)), (channels, hidden))}
    values = Values(values.weights, times, late)
    model = mirrored(reading, values, times=True)
    mn.init.fluctuation_driven(
        model, {"stimulus": rate * Hz, "hidden": 10 * Hz}, alpha=0.9, seed=seed,
        sigma_u={"hidden": 1.0, "output": SCORES},
    )  # fmt: skip
    return values_of(model, values)


def network(reading: Reading, values: Values, raster: Array | None = None) -> Network:
    """The network, with what it is shown.

    Arguments:
        reading, values: Of the reader.
        raster: Whether a channel spikes, "time channel"; None is silence.
    """
    dt: Any = reading.bin * second
    inputs, hidden = values.weights["ih"].shape
    step, index = np.nonzero(raster) if raster is not None else (np.zeros(0, int),) * 2
    source = SpikeGeneratorGroup(inputs, index, step * dt, dt=dt, name="stimulus")
    groups = {
        name: NeuronGroup(
            n, CELL, threshold="u > 1", reset="u = 0", refractory=2 * dt,
            method="exponential_euler", dt=dt, name=name,
        )
        for name, n in (("hidden", hidden), ("output", values.weights["ho"].shape[1]))
    }  # fmt: skip
    for key, tau in values.times.items():
        owner, _, name = key.partition(".")
        setattr(groups[owner], name, tau * second)
    cells, output = groups["hidden"], groups["output"]
    ends = {"ih": (source, cells, 1), "hh": (cells, cells, 2), "ho": (cells, output, 1)}
    joined = [
        _joined(*ends[name], w, values.late.get(name), name, dt)
        for name, w in values.weights.items()
    ]
    return Network(source, cells, output, *joined)


def _joined(
    source: Any, target: Any, steps: int, w: Array, late: Array | None, name: str, dt: Any
) -> Synapses:
    made = Synapses(source, target, "w : 1", on_pre="I_post += w", name=name, dt=dt)
    made.connect()
    made.w = w.ravel()
    made.delay = (steps if late is None else late.ravel()) * dt
    return made


def mirrored(
    reading: Reading, values: Values, times: bool = False, dtype: torch.dtype = torch.float32
) -> mn.Mirror:
    """The mirror of a reader, its weights trained.

    Arguments:
        reading, values: Of the reader.
        times: Whether time constants are trained, too.
        dtype: Of the mirror.
    """
    train: dict[str, Any] = {f"{name}.w": mn.Free() for name in values.weights}
    train |= {key: mn.Positive() for key in values.times if times}
    return mn.mirror(
        network(reading, values),
        train,
        Tall(width=1 / reading.slope),
        "detach",
        dtype=dtype,
        namespace={},
    )


def values_of(model: mn.Mirror, like: Values) -> Values:
    """Those of a trained mirror."""
    weights = {name: np.asarray(mn.weights(model, f"{name}.w").matrix()) for name in like.weights}
    times = {
        key: model.parameter(key).detach().double().numpy() if key in model.limits else tau
        for key, tau in like.times.items()
    }
    return Values(weights, times, like.late)


def copied(raster: Bool[np.ndarray, "time trial channel"], values: Values) -> Array:
    """A raster as often as a reader has copies of each channel."""
    return np.tile(raster, values.weights["ih"].shape[0] // raster.shape[2])
