r"""Yin-Yang by the time of the first spike: exact gradients, and surrogate ones beside them.

Five input spikes, at times that are the coordinates of a point, drive 200 hidden cells and these
three outputs; the first output to spike names the class of the point. Cells are leaky integrators
with exponential currents, $\tau_m$ 20 ms, $\tau_s$ 5 ms, threshold 1, reset to 0. Adam with 6e-3,
times 0.95 in each epoch, in batches of 128.

* `EventProp`: the network runs from event to event and learns by the exact gradient.
* `BPTT`: the same network, loss and trials on a clock, by surrogate gradients.

The trained weights go back into Brian2, which runs the test samples on its own clock; its spikes
are compared with those of the mirror.

Source: data, Kriener et al. 2022, doi:10.1145/3517343.3517380; network, weights and loss,
Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z, with 98.1 % in 100 epochs.
Differs from it: batches of 128 with a learning rate of 6e-3 (32 and 5e-3 there), and 50 epochs.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Network, SpikeGeneratorGroup, SpikeMonitor, prefs, second
from jaxtyping import Bool, Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor
from tqdm.auto import tqdm

import mirrorneuron as mn
from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, REFERENCE
from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, whole, working_folder
from .._kit.report import publish
from ._network import PARTS, Training, accuracy, loss
from ._yin_yang import Samples, samples

START = "before a trial"
TRAIN, TEST = 42, 40  # published seeds of the data
REACHED, BY_SURROGATE = 0.975, 0.96
RULES: Mapping[str, mn.Rule[Any]] = {"eventprop": mn.EventProp(), "bptt": mn.BPTT()}
NAMES = {"eventprop": "exact", "bptt": "surrogate"}


@dataclass(frozen=True)
class Trained:
    """What one training gave.

    Arguments:
        losses: Of each update.
        times: First spikes of the outputs in the test [s], "sample neuron".
        weights: By parameter.
        cosine: Of the exact and the surrogate gradient, at the start and at the end.
    """

    losses: Sequence[float]
    times: Float[np.ndarray, "sample 3"]
    weights: Mapping[str, Float[np.ndarray, " synapse"]]
    cosine: tuple[float, float]

    def save(self, path: Path) -> None:
        """Write a file, complete or not at all."""
        plain = {
            "losses": list(self.losses),
            "times": np.where(np.isfinite(self.times), self.times, -1.0).tolist(),
            "weights": {key: x.tolist() for key, x in self.weights.items()},
            "cosine": self.cosine,
        }
        with whole(path) as file:
            file.write(json.dumps(plain))

    @staticmethod
    def load(path: Path) -> "Trained":
        """Read it."""
        plain = json.loads(path.read_text())
        times = np.array(plain["times"])
        weights = {key: np.array(x) for key, x in plain["weights"].items()}
        first, last = plain["cosine"]
        return Trained(plain["losses"], np.where(times < 0, np.inf, times), weights, (first, last))


@dataclass(frozen=True)
class EventPropStudy(Study):
    """See the module's docstring.

    Arguments:
        hidden: Hidden cells.
        points, tested: Samples of training and test.
        seeds: Trainings of each rule.
        dt: Time step of the trainings [s].
        duration: Of a trial [s].
        batch, epochs, lr, decay: Of the trainings.
        rerun, rerun_dt: Test samples that Brian2 runs, and its time step [s].
        workers: Trainings at the same time, each in a process with one thread.
    """

    title = "Yin-Yang by exact gradients of spike times, beside surrogate gradients"
    hidden: int = 200
    points: int = 5000
    tested: int = 1000
    seeds: int = 5
    dt: float = 0.5e-3
    duration: float = 45e-3
    batch: int = 128
    epochs: int = 50
    lr: float = 6e-3
    decay: float = 0.95
    rerun: int = 200
    rerun_dt: float = 0.1e-3
    workers: int = 2

    def quick(self) -> "EventPropStudy":
        """Few cells, samples and updates: shows that everything runs."""
        return replace(
            self, hidden=30, points=192, tested=100, seeds=1, batch=64, epochs=2, rerun=5, workers=1
        )

    def training(self, seed: int) -> Training:
        """A training of either rule."""
        return Training(self.hidden, self.dt, self.duration, self.batch, self.epochs, self.lr,
                        self.decay, self.seed + seed)  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Train with each rule and seed, run the first in Brian2, report.

        A resumed run keeps the trainings that are done, and goes on with the one that is not.
        """
        with preferring(codegen__target="numpy"):  # networks are small, and compiling takes longer
            return self._run(out, progress, resume)

    def _run(self, out: Path, progress: bool, resume: bool) -> Result:
        folder = working_folder(out / "trainings", resume)
        test = samples(self.tested, TEST)
        cases = [(self, name, seed, folder) for seed in range(self.seeds) for name in RULES]
        found: dict[str, list[Trained]] = {name: [] for name in RULES}
        with ExitStack() as stack:
            done = map(_trained, cases)
            if self.workers > 1:
                pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _begin)
                done = stack.enter_context(pool).map(_trained, cases)
            for case, trained in zip(
                cases, tqdm(done, "trainings", len(cases), disable=not progress), strict=True
            ):
                found[case[1]].append(trained)
        again = {name: self.in_brian2(found[name][0], test) for name in RULES}
        return report_on(out, Found(found, test, again, self.rerun))

    def train(self, name: str, seed: int, folder: Path) -> Trained:
        """One training, from its checkpoint if there is one."""
        training, rule = self.training(seed), RULES[name]
        data, test = samples(self.points, TRAIN), samples(self.tested, TEST)
        before = cosine(training, training.model(), data)
        model, losses = training.fit(data, rule, folder)
        times = training.answers(model, test, name == "eventprop").double().numpy()
        weights = {key: model.parameter(key).detach().numpy().astype(float) for key in PARTS}
        return Trained(losses, times, weights, (before, cosine(training, model, data)))

    def in_brian2(self, trained: Trained, test: Samples) -> "Rerun":
        """First spikes of test samples in Brian2 and in a mirror on the same clock."""
        training = replace(self.training(0), dt=self.rerun_dt)
        network = training.network()
        for key in PARTS:
            owner, _, variable = key.partition(".")
            setattr(network[owner], variable, trained.weights[key])
        model = mn.mirror(network, dtype=torch.float64)
        few = Samples(test.points[: self.rerun], test.labels[: self.rerun])
        trial = training.shown(few.times(), few.labels, False)
        duration = self.duration * second
        spikes = model.run(duration, trial.inputs, len(few.labels)).spikes["out"]
        steps = trial.inputs["stimulus"].numpy()
        network.add(SpikeMonitor(network["out"], name="seen"))
        network.store(START)
        same = [
            np.array_equal(_brian2(network, steps[:, k], self.duration, self.rerun_dt),
                           spikes[:, k].numpy() > 0)
            for k in range(len(few.labels))
        ]  # fmt: skip
        silent = spikes.sum(0) == 0
        first = torch.where(silent, torch.inf, spikes.argmax(0) * self.rerun_dt)
        return Rerun(all(same), accuracy(first, few.labels))


def _begin() -> None:
    """Of a process that trains."""
    torch.set_num_threads(1)
    prefs.codegen.target = "numpy"


def _trained(case: tuple[EventPropStudy, str, int, Path]) -> Trained:
    """A training, done or read from its file."""
    study, name, seed, folder = case
    place = folder / f"{name}_{seed}"
    return cached(
        place.with_suffix(".json"),
        lambda: study.train(name, seed, place),
        Trained.load,
        repr(replace(study, workers=1, seeds=1)),
    )


@dataclass(frozen=True)
class Rerun:
    """Test samples in Brian2.

    Arguments:
        identical: Whether all output spikes are those of the mirror.
        accuracy: Share of the samples that are right.
    """

    identical: bool
    accuracy: float


def _brian2(
    network: Network, rows: Float[np.ndarray, "step 5"], duration: float, dt: float
) -> Bool[np.ndarray, "step 3"]:
    """Output spikes of one trial in Brian2."""
    network.restore(START)
    step, index = np.nonzero(rows)
    given = network["stimulus"]
    assert isinstance(given, SpikeGeneratorGroup)
    given.set_spikes(index, step * dt * second)
    network.run(duration * second, namespace={})
    seen = network["seen"]
    made = np.zeros((len(rows), 3), dtype=bool)
    made[np.round(np.asarray(seen.t) / dt).astype(int), np.asarray(seen.i)] = True
    return made


def cosine(training: Training, model: mn.Mirror, data: Samples) -> float:
    """Of the exact and the surrogate gradient of the first trials."""
    found: list[Tensor] = []
    for rule in RULES.values():
        model.zero_grad()
        trial = training.trial(data, isinstance(rule, mn.EventProp))(0)
        task = mn.Task(training.duration * second, loss)
        rule.step(rule.init(model), model, task, trial, 0, lambda: False)
        grads = [p.grad for p in model.parameters()]
        found.append(torch.cat([g.flatten() for g in grads if g is not None]))
    model.zero_grad()
    return float(torch.cosine_similarity(found[0], found[1], dim=0))


@dataclass(frozen=True)
class Found:
    """All trainings and reruns.

    Arguments:
        trained: By rule, one a seed.
        test: What was tested.
        again: By rule, the first in Brian2.
        rerun: Number of samples there.
    """

    trained: Mapping[str, Sequence[Trained]]
    test: Samples
    again: Mapping[str, Rerun]
    rerun: int

    def accuracies(self, name: str) -> Float[np.ndarray, " seed"]:
        """Share of test samples that are right, by seed."""
        labels = self.test.labels
        return np.array([accuracy(torch.from_numpy(t.times), labels) for t in self.trained[name]])

    def metrics(self) -> dict[str, Metric]:
        """Accuracies beside their targets, cosines, and what Brian2 says."""
        found: dict[str, Metric] = {}
        for name, target in (("eventprop", REACHED), ("bptt", BY_SURROGATE)):
            right, trained = self.accuracies(name), self.trained[name]
            found[f"accuracy_{name}"] = Metric.at_least(right.mean(), "1", target)
            found[f"accuracy_worst_{name}"] = Metric(float(right.min()), "1")
            silent = np.mean([np.isinf(t.times).mean() for t in trained])
            found[f"silent_outputs_{name}"] = Metric(float(silent), "1")
            first, last = np.mean([t.cosine for t in trained], axis=0)
            found[f"cosine_start_{name}"] = Metric(float(first), "1")
            found[f"cosine_end_{name}"] = Metric(float(last), "1")
            found[f"accuracy_brian2_{name}"] = Metric(self.again[name].accuracy, "1")
        same = all(rerun.identical for rerun in self.again.values())
        found["spikes_identical"] = Metric.holds(same)
        return found


def report_on(out: Path, found: Found) -> Result:
    """Metrics, a table, figures and the page."""
    figures = draw_all(out, found, (draw_learning, draw_answers, draw_latencies))
    rows = [
        (NAMES[name], *(f"{x * 100:.2f}" for x in (right.mean(), right.min(), right.max())),
         f"{found.again[name].accuracy * 100:.1f}")
        for name in RULES
        for right in [found.accuracies(name)]
    ]  # fmt: skip
    columns = ("gradient", "mean", "worst", "best", f"Brian2, {found.rerun} samples")
    table = Table("Right answers in the test (%)", columns, tuple(rows))
    title = "Yin-Yang by the time of the first spike"
    return publish(out, title, found.metrics(), (table,), figures, str(__doc__))


# ---- figures

COLORS = {"eventprop": EXCITATORY, "bptt": REFERENCE}


def draw_learning(found: Found) -> Figure:
    """Loss of the updates, smoothed, one line a seed."""
    figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
    for name, all_trained in found.trained.items():
        for k, trained in enumerate(all_trained):
            losses = np.array(trained.losses)
            wide = min(20, len(losses))
            smooth = np.convolve(losses, np.ones(wide) / wide, mode="valid")
            label = NAMES[name] if k == 0 else None
            ax.plot(smooth, color=COLORS[name], linewidth=0.8, label=label)
    ax.set(xlabel="update", ylabel="loss", yscale="log")
    ax.legend()
    return figure


def draw_answers(found: Found) -> Figure:
    """Which output spikes first at each point of the test; wrong answers are crossed out."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained", sharey=True)
    for ax, (name, trained) in zip(axes, found.trained.items(), strict=True):
        answer, points = trained[0].times.argmin(1), found.test.points
        wrong = answer != found.test.labels
        ax.scatter(*points.T, c=answer, cmap="viridis", s=6)
        ax.scatter(*points[wrong].T, color=BAD, marker="x", s=20)
        ax.set(title=f"{NAMES[name]} gradient", xlabel="x", aspect="equal")
    axes[0].set_ylabel("y")
    return figure


def draw_latencies(found: Found) -> Figure:
    """First spike of each output over the figure, learnt by exact gradients."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
    times = found.trained["eventprop"][0].times * 1e3
    shown = np.where(np.isfinite(times), times, np.nan)
    for k, ax in enumerate(axes):
        dots = ax.scatter(*found.test.points.T, c=shown[:, k], s=6, cmap="magma_r")
        ax.set(title=f"output {k}", xlabel="x", aspect="equal")
        figure.colorbar(dots, ax=ax, label="first spike (ms)")
    axes[0].set_ylabel("y")
    return figure
