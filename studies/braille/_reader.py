"""Training and test of the readers: spiking networks on events, an LSTM on frames."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from brian2 import Network, SpikeMonitor, second
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adamax, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

import mirrorneuron as mn

from .._kit.record import Record
from ._encoder import binned
from ._generator import Trials
from ._network import (
    READINGS,
    TIMES,
    Reading,
    Tall,
    Values,
    copied,
    improved,
    mirrored,
    network,
    published,
    values_of,
)

Kind = Literal["feed-forward", "recurrent", "improved"]
SLOWER = 0.2  # step of the logarithm of a time constant, relative to that of weights
LATEST = 50e-3  # of the delays of an improved reader [s]
Array = NDArray[Any]


class Shown(NamedTuple):
    """Encoded trials.

    Arguments:
        raster: Whether an event falls into a bin.
        label: Class of each trial.
    """

    raster: Bool[np.ndarray, "time trial channel"]
    label: Int[np.ndarray, " trial"]

    def some(self, index: Int[np.ndarray, " chosen"]) -> "Shown":
        """Those of the given indices."""
        return Shown(self.raster[:, index], self.label[index])


def shown(trials: Trials, reading: Reading, duration: float) -> Shown:
    """Encode trials for a reader.

    Arguments:
        trials: Signals.
        reading: Settings.
        duration: How much of them is shown [s].
    """
    steps = round(duration / reading.bin)
    rasters = [
        binned(x, t, reading.theta, reading.bin, steps)
        for x, t in zip(trials.taxels, trials.time, strict=True)
    ]
    return Shown(np.stack(rasters, 1), trials.label)


@dataclass(frozen=True)
class Setting:
    """One training of a spiking reader.

    Arguments:
        kind: Without recurrence, as published, or with neurons that differ.
        theta: Threshold of the encoding.
        seed: Of weights and order.
        hidden, classes: Sizes.
        epochs, batch, lr: Of the training; the step of Adamax is in published units of weights.
        own_lr: Relative step of an improved reader.
    """

    kind: Kind
    theta: float
    seed: int
    hidden: int = 450
    classes: int = 27
    epochs: int = 300
    batch: int = 128
    lr: float = 1.5e-3
    own_lr: float = 2e-2

    @property
    def reading(self) -> Reading:
        """Published settings; an improved reader has no copies of channels."""
        found = READINGS[self.theta]
        return replace(found, copies=1) if self.own else found

    @property
    def own(self) -> bool:
        """Whether it is the improved one."""
        return self.kind == "improved"

    def begin(self, data: Shown) -> Values:
        """Values before training."""
        channels, sizes = data.raster.shape[2], (self.hidden, self.classes)
        if self.own:
            rate = float(data.raster.mean() / self.reading.bin)
            return improved(self.reading, channels, *sizes, rate, LATEST, self.seed)
        back = self.kind == "recurrent"
        return published(self.reading, channels, *sizes, back, self.seed)

    def loss(self, recording: mn.Recording, trial: mn.Trial) -> Tensor:
        """Cross entropy of the counts of output spikes, and the cost of spikes."""
        entropy = nn.functional.cross_entropy(recording.spikes["output"].sum(0), trial.target)
        count = recording.spikes["hidden"].sum(0)
        reading = self.reading
        return entropy + reading.spikes * count.mean() + reading.squares * count.square().mean()

    def optimizer(self, model: mn.Mirror) -> Optimizer:
        """Adamax with the published step, or with relative ones, smaller for time constants."""
        groups = model.parameter_groups(self.own_lr)
        for group in groups:
            if not self.own:
                slope = float(model.trained[group["name"]].slope().max())
                group["lr"] = self.lr * self.reading.gain / slope
            elif group["name"] in TIMES:
                group["lr"] = SLOWER * self.own_lr
        return Adamax(groups, betas=(0.9, 0.995))

    def train(self, data: Shown, values: Values, folder: Path | None) -> tuple[Values, list[float]]:
        """Values after training, and the mean loss of each epoch."""
        model = mirrored(self.reading, values, self.own)
        batches = max(len(data.label) // self.batch, 1)
        updates = self.epochs * batches

        def trial(step: int) -> mn.Trial:
            epoch, k = divmod(step, batches)
            order = np.random.default_rng([self.seed, 7, epoch]).permutation(len(data.label))
            part = data.some(order[k * self.batch : (k + 1) * self.batch])
            given = {"stimulus": copied(part.raster, values)}
            return mn.Trial(given, torch.from_numpy(part.label), batch_size=len(part.label))

        with warnings.catch_warnings():  # outputs may be silent at a published start
            warnings.simplefilter("ignore", mn.TrainingWarning)
            done = mn.fit(
                model, mn.Task(len(data.raster) * self.reading.bin * second, self.loss, trial),
                steps=updates, seed=self.seed, optimizer=lambda _: self.optimizer(model),
                schedule=lambda o: CosineAnnealingLR(o, updates), checkpoint=folder, every=batches,
                clip=5.0, report=None,
            )  # fmt: skip
        losses = np.array(done.losses).reshape(self.epochs, batches).mean(1).tolist()
        return values_of(model, values), losses

    def answers(self, values: Values, data: Shown) -> tuple[Int[np.ndarray, " trial"], float]:
        """Class whose output spikes most often, and spikes of a hidden neuron in a trial."""
        model, found, spikes = mirrored(self.reading, values, self.own), list[Array](), 0.0
        with torch.no_grad():
            for index in np.split(np.arange(len(data.label)), range(250, len(data.label), 250)):
                seen = model.run_steps(
                    len(data.raster), {"stimulus": copied(data.some(index).raster, values)}
                )
                found.append(seen.spikes["output"].sum(0).argmax(1).numpy())
                spikes += float(seen.spikes["hidden"].sum()) / self.hidden
        return np.concatenate(found), spikes / len(data.label)

    def same_in_brian2(self, values: Values, data: Shown) -> tuple[bool, int]:
        """Whether Brian2 counts the same spikes of each neuron as the mirror, and how many.

        Trained values are written back into a network that starts with others.

        Arguments:
            values: After training.
            data: Trials that are shown, one run each.
        """
        same, spikes = True, 0
        for k in range(len(data.label)):
            raster = copied(data.some(np.array([k])).raster, values)
            net = network(self.reading, values.zeros(), raster[:, 0])
            model = mn.mirror(
                net, values.names, Tall(width=1 / self.reading.slope), "detach",
                dtype=torch.float64, namespace={},
            )  # fmt: skip
            for key in values.names:
                model.trained[key].write(torch.from_numpy(values.by_name(key)))
            model.write_back()
            with torch.no_grad():
                seen = model.run_steps(len(raster), {"stimulus": raster})
            theirs = _counts(net, len(raster) * self.reading.bin)
            for name, count in theirs.items():
                same &= bool(np.array_equal(count, seen.spikes[name].sum(0)[0].numpy()))
                spikes += int(count.sum())
        return same, spikes


def _counts(net: Network, duration: float) -> dict[str, Int[np.ndarray, " neuron"]]:
    """Spikes of each neuron in Brian2."""
    monitors = {name: SpikeMonitor(net[name], record=False) for name in ("hidden", "output")}
    net.add(*monitors.values())
    net.run(duration * second, namespace={})
    return {name: np.asarray(monitor.count) for name, monitor in monitors.items()}


@dataclass(frozen=True)
class Read(Record):
    """What a training gave.

    Arguments:
        accuracy: Share of the test's trials that were read correctly.
        losses: Mean loss of each epoch; none of an LSTM.
        answer, label: Of the test's trials.
        spikes: Of a hidden neuron in a trial.
        same, compared: Whether Brian2 counts the same spikes, and how many were compared.
        tau: Membrane time constants of the hidden neurons [s].
    """

    accuracy: float
    losses: Sequence[float]
    answer: Sequence[int]
    label: Sequence[int]
    spikes: float = 0.0
    same: bool = True
    compared: int = 0
    tau: Sequence[float] = ()


def read(setting: Setting, train: Shown, test: Shown, folder: Path | None, compared: int) -> Read:
    """Train and test a spiking reader.

    Arguments:
        setting: Of the training.
        train, test: Trials.
        folder: Of the checkpoint, or None.
        compared: Trials of the test that Brian2 runs, too.
    """
    values, losses = setting.train(train, setting.begin(train), folder)
    answer, spikes = setting.answers(values, test)
    same, count = setting.same_in_brian2(values, test.some(np.arange(min(compared, len(answer)))))
    return Read(
        float(np.mean(answer == test.label)), losses, answer.tolist(), test.label.tolist(),
        spikes, same, count, values.times["hidden.tau_m"].tolist(),
    )  # fmt: skip
