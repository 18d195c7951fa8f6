"""Training of the shallow network on randman, and what a run leaves on disk."""

import json
import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Hz, second

from mirrorneuron import (
    Fit,
    Mirror,
    Task,
    TrainingWarning,
    Trial,
    fit,
    init,
    losses,
    validate,
)
from mirrorneuron.data import SpikeDataset, randman

from .._kit.file import whole
from .._kit.record import Record
from ._network import model_of, shallow

DRAWS, TRIALS = 4, 250  # of a prediction
NU = 5.0  # rate of the inputs [Hz]: one spike in 200 ms


@dataclass(frozen=True)
class Setting:
    """One training.

    Arguments:
        sigma: $\\sigma_U$ of both layers at the start.
        epochs, batch, rate: Of the training: passes, trials of a step, step of Adam.
        samples: Trials of each class.
        seed: Of data, weights and order.
        homeostasis: Whether spike counts are bounded.
        hidden, inputs, classes: Sizes.
        steps, dt: Of a trial: number and length [s].
    """

    sigma: float
    epochs: int
    seed: int
    batch: int = 250
    rate: float = 5e-3
    samples: int = 1000
    homeostasis: bool = True
    hidden: int = 128
    inputs: int = 20
    classes: int = 10
    steps: int = 100
    dt: float = 2e-3

    @property
    def duration(self) -> float:
        """Of a trial [s]."""
        return self.steps * self.dt

    @property
    def loss(self) -> Any:
        """Cross entropy of the largest potential of each readout, and the bounds of counts."""
        loss = losses.cross_entropy("readout.u")
        if not self.homeostasis:
            return loss
        low, high = losses.at_least("hidden", 1e-3), losses.at_most("hidden", 4, over="neurons")
        return loss + 100 * low + 0.1 * high

    def data(self) -> tuple[SpikeDataset, ...]:
        """Trials for training, validation and test."""
        made = randman(
            self.classes, self.inputs, self.samples, self.steps, share=0.5, seed=self.seed
        )
        return made.split(0.8, 0.1, 0.1)

    def start(self) -> Mirror:
        """The network with fluctuation-driven weights."""
        network = shallow(self.inputs, self.hidden, self.classes, self.dt, self.duration)
        model = model_of(network)
        wanted = {"hidden": self.sigma, "readout.u": self.sigma}
        init.fluctuation_driven(model, NU * Hz, sigma_u=wanted, seed=self.seed)
        return model

    def predicted_rate(self, model: Mirror, train: SpikeDataset) -> float:
        """Rate of the hidden layer at the start [Hz], of other weights with other spikes.

        Weights have the moments of those of the model, and each unit spikes once, at a time that is
        drawn from those of all trials: no class, no manifold.
        """
        rng, other = np.random.default_rng([self.seed, 7]), deepcopy(model)
        size = float(model.parameter("ih.w").detach().std())
        rates: list[float] = []
        for _ in range(DRAWS):
            drawn = size * rng.standard_normal(self.inputs * self.hidden)
            other.trained["ih.w"].write(torch.from_numpy(drawn).to(other.dtype))
            steps = rng.choice(train.steps.ravel(), (TRIALS, self.inputs))
            given = SpikeDataset(steps, np.zeros(TRIALS, int), self.steps).raster()
            with torch.no_grad():
                rates.append(other.run_steps(self.steps, {"stimulus": given}).rates()["hidden"])
        return float(np.mean(rates))


@dataclass(frozen=True)
class Run(Record):
    """What a training gave.

    Arguments:
        losses: Mean loss of each epoch.
        validation: Share of right answers after each epoch, the start first.
        test: The same at the end, of trials that were never seen.
        rate, predicted, final: Rate of the hidden layer at the start, as it was predicted, and at
            the end [Hz].
        weights: At the end, by name.
    """

    losses: list[float]
    validation: list[float]
    test: float
    rate: float
    predicted: float
    final: float
    weights: Mapping[str, list[float]] = field(default_factory=dict[str, list[float]])


def trained(setting: Setting, folder: Path) -> Run:
    """Train the network, going on from a checkpoint in the folder where there is one."""
    train, validation, test = setting.data()
    model = setting.start()
    batches = max(len(train.labels) // setting.batch, 1)
    scores = _Scores(folder / "scores.json")
    before, predicted = judged(model, validation), setting.predicted_rate(model, train)

    def trial(step: int) -> Trial:
        epoch, k = divmod(step, batches)
        order = np.random.default_rng([setting.seed, epoch]).permutation(len(train.labels))
        part = train.some(order[k * setting.batch : (k + 1) * setting.batch])
        return Trial(inputs={"stimulus": part.raster()}, target=part.labels)

    def after(step: int, model: Mirror, done: Fit) -> None:
        if (step + 1) % batches == 0:
            scores.add((step + 1) // batches, judged(model, validation)[0])

    with warnings.catch_warnings():  # a start may be silent: that is what is compared
        warnings.simplefilter("ignore", TrainingWarning)
        done = fit(
            model, Task(setting.duration * second, setting.loss, trial),
            steps=setting.epochs * batches, seed=setting.seed, checkpoint=folder, every=batches,
            optimizer=lambda p: torch.optim.Adam(p, lr=setting.rate), callback=after, report=None,
        )  # fmt: skip
    share, rate = judged(model, test)
    return Run(
        np.array(done.losses).reshape(setting.epochs, batches).mean(1).tolist(),
        [before[0], *scores.of(setting.epochs)],
        share, before[1], predicted, rate,
        {key: model.parameter(key).detach().double().tolist() for key in model.limits},
    )  # fmt: skip


class _Scores:
    """Scores of epochs that outlive an interruption."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, epoch: int, score: float) -> None:
        """Keep one."""
        self.found[str(epoch)] = score
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.path) as file:
            file.write(json.dumps(self.found))

    def of(self, epochs: int) -> list[float]:
        """Those of all epochs."""
        return [self.found[str(epoch)] for epoch in range(1, epochs + 1)]


def same_spikes(setting: Setting, weights: Mapping[str, list[float]], trials: int) -> bool:
    """Whether Brian2, with the trained weights, spikes as the mirror does, in some test trials."""
    _, _, test = setting.data()
    verdicts: list[bool] = []
    for trial in range(trials):
        steps = test.steps[trial]
        given = np.arange(setting.inputs), steps * setting.dt
        network = shallow(
            setting.inputs, setting.hidden, setting.classes, setting.dt, setting.duration, given,
            weights,
        )  # fmt: skip
        twin = model_of(network, torch.float64)
        verdicts.append(validate(network, twin, setting.duration * second, namespace={}).identical)
    return all(verdicts)


def judged(model: Mirror, data: SpikeDataset) -> tuple[float, float]:
    """Share of right answers, and rate of the hidden layer [Hz]."""
    right, rates = 0, list[float]()
    with torch.no_grad():
        for start in range(0, len(data.labels), 250):
            part = data.some(np.arange(start, min(start + 250, len(data.labels))))
            seen = model.run_steps(part.length, {"stimulus": part.raster()}, record=["readout.u"])
            right += int((seen["readout.u"].amax(0).argmax(1).numpy() == part.labels).sum())
            rates.append(seen.rates()["hidden"])
    return right / len(data.labels), float(np.mean(rates))
