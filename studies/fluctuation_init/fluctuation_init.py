r"""Fluctuation-driven initialisation: published values, laws, and what a start is worth.

`mn.init.fluctuation_driven` measures the potential that one spike causes, and draws weights with
which the membrane fluctuates by $\sigma_U$, its threshold off. Here it is held against what is
published:

* kernels and weights of the published neuron, to four digits;
* Dale's law: balance, variance and shares of a network of 128 excitatory and 32 inhibitory cells;
* the membrane of a neuron with thousands of Poisson inputs;
* randman (10 classes, 20 units that spike once each): 128 hidden neurons with $\sigma_U = 1$ and a
  leaky readout, whose largest potential decides. The published notebook reports 96.3 % on test data
  and an initial rate of 6.49 Hz;
* starts from $\sigma_U = 0.1$ to 10, of which those around 1 are to learn.

Differs from it: random numbers; Adam with a step of 0.005 instead of SMORMS3; the surrogate of the
source has a peak of 1, ours a mass of 1 (see `_network` for the neuron). The sweep is trained
without bounds of spike counts, which would revive silent layers.

Source: Rossbroich, Gygax & Zenke 2022, doi:10.1088/2634-4386/ac97bb, and its published code; data:
Zenke & Vogels 2021, doi:10.1162/neco_a_01367.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Hz
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from mirrorneuron import init
from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, REFERENCE

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, working_folder
from .._kit.report import publish, verdicts
from ._network import UNIT, dale, free_membranes, model_of, shallow, unit
from ._training import Run, Setting, same_spikes, trained

KERNELS = {  # tau_m, tau_s, dt [s] to the published integrals, the kernel sampled as there
    (20e-3, 10e-3, 0.1e-3): (1.0049e-2, 1.6834e-3),
    (20e-3, 10e-3, 1e-3): (1.0507e-2, 1.842e-3),
    (20e-3, 5e-3, 1e-3): (5.516e-3, 6.097e-4),
    (10e-3, 5e-3, 1e-3): (5.516e-3, 1.0178e-3),
}
DIGITS = 2e-4  # four digits; the published sums end after ten time constants
WEIGHTS = {"ih.w": 2.216, "ho.w": 0.876}
XI, ALPHA = 2.0, 0.9


@dataclass(frozen=True)
class FluctuationInit(Study):
    """See the module's docstring.

    Arguments:
        epochs: Passes over the training data with $\\sigma_U = 1$.
        sweep_epochs: The same for each start of the sweep.
        sigmas, seeds: Starts of the sweep, and how many of each.
        samples: Trials of each class.
        inputs, seconds: Of the free membranes: Poisson inputs, and how long they run.
        compared: Test trials in which Brian2 and the mirror are compared.
        target: Share of right answers to reach; None where training is too short for it.
    """

    title = "Fluctuation-driven initialisation: kernels, Dale's law, randman"
    epochs: int = 200
    sweep_epochs: int = 40
    sigmas: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    seeds: int = 3
    samples: int = 1000
    inputs: int = 5000
    seconds: float = 20.0
    compared: int = 5
    target: float | None = 0.95

    def quick(self) -> "FluctuationInit":
        """Short trainings on few trials: shows that everything runs."""
        return replace(
            self, epochs=6, sweep_epochs=2, sigmas=(0.1, 1.0), seeds=1, samples=100, inputs=500,
            seconds=2.0, compared=1, target=None,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Measure, train, sweep; a resumed run keeps trainings that are done, and goes on."""
        folder = working_folder(out / "trainings", resume)
        long = self.setting(1.0, self.epochs, self.seed)
        best = self.train(long, folder)
        sweep = {
            (sigma, k): replace(
                self.setting(sigma, self.sweep_epochs, self.seed + k), homeostasis=False
            )
            for k in range(self.seeds)
            for sigma in self.sigmas
        }
        runs = {
            key: self.train(setting, folder)
            for key, setting in tqdm(sweep.items(), disable=not progress, desc="starts")
        }
        found = Found(
            self, kernels(), weights(long), dale_laws(self.seed),
            membranes(self.inputs, self.seconds, self.seed), best, runs,
            same_spikes(long, best.weights, self.compared), activity(long, best),
        )  # fmt: skip
        drawings = (draw_training, draw_starts, draw_membrane, draw_activity)
        figures = draw_all(out, found, drawings)
        findings = (verdicts(found.metrics(), 5), table_of_starts(found))
        return publish(out, self.title, found.metrics(), findings, figures, str(__doc__))

    def setting(self, sigma: float, epochs: int, seed: int) -> Setting:
        """A training."""
        return Setting(sigma, epochs, seed, samples=self.samples, batch=min(250, self.samples))

    def train(self, setting: Setting, folder: Path) -> Run:
        """A training, or what it left."""
        kind = "bounded" if setting.homeostasis else "free"
        size = f"{setting.epochs}_{setting.samples}"  # a checkpoint belongs to one length
        name = f"{kind}_{setting.sigma:g}_{setting.seed}_{size}"
        return cached(
            folder / f"{name}.json", lambda: trained(setting, folder / name), Run.load,
            repr(setting),
        )  # fmt: skip


# ---- what is measured without training


def kernels() -> dict[tuple[float, float, float], tuple[float, float]]:
    """Integrals of the kernel of each published neuron."""
    found: dict[tuple[float, float, float], tuple[float, float]] = {}
    for case in KERNELS:
        row = init.fluctuation_driven(unit(*case), 5 * Hz)["ee.w"]
        found[case] = float(row.kernel.mean[0]), float(row.kernel.square[0])
    return found


def weights(setting: Setting) -> dict[str, float]:
    """Standard deviation of both weights of the shallow network.

    The source draws those of the readout with the kernel of the hidden layer, so that the readout
    gets its time constants here.
    """
    model = model_of(shallow(setting.inputs, 128, setting.classes, setting.dt, UNIT[0]))
    start = init.fluctuation_driven(model, 5 * Hz, sigma_u={"hidden": 1.0, "readout.u": 1.0})
    return {key: float(start[key].deviation[0]) for key in WEIGHTS}


def dale_laws(seed: int) -> dict[str, float]:
    """By how much balance, variance and share of a network under Dale's law are missed."""
    model = dale(20, 128, 32, 1e-3)
    start = init.fluctuation_driven(
        model, {"stimulus": 5 * Hz, "e": 8 * Hz, "i": 12 * Hz}, xi=XI, alpha=ALPHA, seed=seed
    )
    missed = {"balance": 0.0, "variance": 0.0, "share": 0.0}
    for post in "ei":
        rows = [start[f"{pre}{post}.w"] for pre in "xei"]
        gain = [r.fan_in * r.rate * r.kernel.mean * r.mean for r in rows]
        power = [2 * r.fan_in * r.rate * r.kernel.square * r.mean**2 for r in rows]
        of_x = power[0] / (power[0] + power[1])
        one = {"balance": sum(gain) / gain[0], "variance": sum(power) * XI**2 - 1}
        one["share"] = of_x - (ALPHA if post == "e" else 0.5)  # i has no excitation of its own
        for law, values in one.items():
            missed[law] = max(missed[law], float(np.abs(values).max()))
    return missed


@dataclass(frozen=True)
class Membranes:
    """Free membranes under Poisson inputs.

    Arguments:
        trace: Potential, "time neuron".
        dt: Time step [s].
        wanted: $\\sigma_U$.
    """

    trace: Float[np.ndarray, "time neuron"]
    dt: float
    wanted: float

    @property
    def deviation(self) -> float:
        """Standard deviation over time, root mean square over neurons."""
        return float(np.sqrt(np.square(self.trace - self.trace.mean(0)).mean()))


def membranes(inputs: int, seconds: float, seed: int) -> Membranes:
    """Potential of neurons with many inputs of 3 Hz, for $\\xi = 2$ and a threshold of 1."""
    dt, cells, nu = 1e-3, 20, 3.0
    model = free_membranes(inputs, cells, dt)
    init.fluctuation_driven(model, nu * Hz, sigma_u={"cells.u": 1 / XI}, seed=seed)
    rng, parts, state = np.random.default_rng([seed, 3]), list[torch.Tensor](), None
    for _ in range(round(seconds)):
        given = rng.random((1000, 1, inputs)) < nu * dt
        with torch.no_grad():
            seen = model.run_steps(1000, {"stimulus": given}, state=state, record=["cells.u"])
        state = seen.state
        parts.append(seen["cells.u"][:, 0])
    return Membranes(torch.cat(parts).double().numpy()[300:], dt, 1 / XI)


@dataclass(frozen=True)
class Activity:
    """One test trial at the start and after training.

    Arguments:
        inputs: Step of the spike of each unit.
        hidden: Steps and neurons of spikes, before and after.
        readout: Potentials, before and after, "time class".
        label: The right class.
        dt: Time step [s].
    """

    inputs: Any
    hidden: tuple[Any, Any]
    readout: tuple[Any, Any]
    label: int
    dt: float


def activity(setting: Setting, run: Run) -> Activity:
    """The first test trial."""
    _, _, test = setting.data()
    one, model = test.some(np.array([0])), setting.start()
    hidden: list[Any] = []
    readout: list[Any] = []
    for trained_ in (False, True):
        if trained_:
            for key, value in run.weights.items():
                model.trained[key].write(torch.tensor(value))
        with torch.no_grad():
            seen = model.run_steps(setting.steps, {"stimulus": one.raster()}, record=["readout.u"])
        hidden.append(seen.events("hidden"))
        readout.append(seen["readout.u"][:, 0].numpy())
    return Activity(
        one.steps[0], (hidden[0], hidden[1]), (readout[0], readout[1]), int(one.labels[0]),
        setting.dt,
    )  # fmt: skip


# ---- what was found


@dataclass(frozen=True)
class Found:
    """All results.

    Arguments:
        study: Its settings.
        kernels, weights, laws: Of neurons without training.
        membranes: Free ones.
        best: Training from $\\sigma_U = 1$, spike counts bounded.
        runs: Sweep: $\\sigma_U$ and number of the seed to training.
        identical: Whether Brian2 and the mirror have equal spikes after training.
        activity: A test trial.
    """

    study: FluctuationInit
    kernels: Mapping[tuple[float, float, float], tuple[float, float]]
    weights: Mapping[str, float]
    laws: Mapping[str, float]
    membranes: Membranes
    best: Run
    runs: Mapping[tuple[float, int], Run]
    identical: bool
    activity: Activity

    def tests(self, sigma: float) -> list[float]:
        """Share of right answers from one start, for each seed."""
        return [run.test for (wanted, _), run in self.runs.items() if wanted == sigma]

    def metrics(self) -> dict[str, Metric]:
        """Every number beside its target."""
        found: dict[str, Metric] = {}
        for (tau_m, tau_s, dt), values in self.kernels.items():
            name = f"{tau_m * 1e3:g}_{tau_s * 1e3:g}_{dt * 1e3:g}_ms"
            for what, value, target in zip(
                ("mean", "square"), values, KERNELS[tau_m, tau_s, dt], strict=True
            ):
                found[f"kernel_{what}_{name}"] = Metric.near(value, "s", target, DIGITS * target)
        for key, target in WEIGHTS.items():
            found[f"sigma_w_{key[:2]}"] = Metric.near(self.weights[key], "1", target, 5e-4)
        for law, missed in self.laws.items():
            found[f"dale_{law}_missed"] = Metric.below(missed, "1", 1e-12)
        wanted = self.membranes.wanted
        found["sigma_u_free_membrane"] = Metric.near(
            self.membranes.deviation, "1", wanted, (0.05 if self.study.target else 0.15) * wanted
        )
        target = self.study.target
        found["test_accuracy"] = Metric.at_least(self.best.test, "1", target)
        found["initial_rate"] = Metric(self.best.rate, "Hz", 6.49)
        found["final_rate"] = Metric(self.best.final, "Hz")
        for sigma in self.study.sigmas:
            found[f"test_accuracy_sigma_{sigma:g}"] = Metric(float(np.mean(self.tests(sigma))), "1")
        found |= self._of_the_sweep()
        found["spikes_identical"] = Metric.holds(self.identical)
        return found

    def _of_the_sweep(self) -> dict[str, Metric]:
        """What starts from 1 and 0.1 reach, as shares of the best start and of that from 1; and how
        well rates at the start were predicted."""
        judged_ = self.study.target is not None
        means = {sigma: float(np.mean(self.tests(sigma))) for sigma in self.study.sigmas}
        low, high = means[0.1], means[1.0]
        firing = [run for run in self.runs.values() if max(run.rate, run.predicted) > 0.5]
        off = [abs(run.predicted / run.rate - 1) for run in firing]
        rates = Metric.below(max(off, default=0.0), "1", 0.2)
        plateau = high / max(means.values())
        return {
            "plateau": Metric.at_least(plateau, "1", 0.95 if judged_ else None),
            "collapse": Metric.below(low / high, "1", 0.8 if judged_ else None),
            "initial_rate_missed": rates if judged_ else replace(rates, target=None, ok=None),
        }


def table_of_starts(found: Found) -> Table:
    """Every start of the sweep."""
    rows: list[tuple[str, ...]] = []
    for sigma in found.study.sigmas:
        runs = [run for (wanted, _), run in found.runs.items() if wanted == sigma]
        tests, rates, told = (
            [getattr(run, name) for run in runs] for name in ("test", "rate", "predicted")
        )
        rows.append((
            f"{sigma:g}", f"{np.mean(told):.2f}", f"{np.mean(rates):.2f}",
            f"{100 * np.mean(tests):.1f} ({100 * min(tests):.1f} to {100 * max(tests):.1f})",
        ))  # fmt: skip
    columns = ("sigma_U", "rate predicted (Hz)", "rate found (Hz)", "right answers (%)")
    return Table("Starts", columns, tuple(rows))


# ---- figures


def draw_training(found: Found) -> Figure:
    """Share of right answers in validation over the training from a membrane that fluctuates by 1,
    and the published share on test data."""
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    scores = 100 * np.array(found.best.validation)
    ax.plot(np.arange(len(scores)), scores, color=EXCITATORY, label="validation")
    ax.plot(len(scores) - 1, 100 * found.best.test, "o", color=GOOD,
            label=f"test, {100 * found.best.test:.1f} %")  # fmt: skip
    ax.axhline(96.3, color="0.6", linestyle="--", label="published test, 96.3 %")
    ax.set(xlabel="epoch", ylabel="right answers (%)", ylim=(0, 102))
    ax.legend(loc="lower right", fontsize=8)
    return figure


def draw_starts(found: Found) -> Figure:
    """Right answers after short trainings over the fluctuations at the start, each seed a dot; and
    the rate of the hidden layer at the start, predicted and found."""
    figure, (share, rate) = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    sigmas = np.array(found.study.sigmas)
    share.plot(sigmas, [100 * np.mean(found.tests(s)) for s in sigmas], color=EXCITATORY)
    for (sigma, _), run in found.runs.items():
        share.plot(sigma, 100 * run.test, "o", color=EXCITATORY, markersize=4)
        rate.plot(sigma, run.rate, "o", color=EXCITATORY, markersize=5)
        rate.plot(sigma, run.predicted, "x", color=BAD, markersize=6)
    share.axhline(10, color="0.6", linestyle="--", linewidth=1)
    share.text(0.3, 4, "chance", fontsize=8, color="0.4")
    rate.plot([], [], "o", color=EXCITATORY, label="found on randman")
    rate.plot([], [], "x", color=BAD, label="predicted")
    rate.legend(fontsize=8)
    for ax in (share, rate):
        ax.set(xscale="log", xlabel=r"$\sigma_U$ at the start (threshold 1)")
    share.set(ylabel=f"right answers after {found.study.sweep_epochs} epochs (%)", ylim=(0, 102))
    top = max(max(run.rate, run.predicted) for run in found.runs.values())
    rate.set(ylabel="rate at the start (Hz)", yscale="symlog", ylim=(-0.1, 2 * top + 1))
    return figure


def draw_membrane(found: Found) -> Figure:
    """Potential of free membranes with many Poisson inputs, and the normal distribution whose
    standard deviation was asked for."""
    seen = found.membranes
    figure, (trace, density) = plt.subplots(
        1, 2, figsize=(8.4, 3), width_ratios=[3, 1], sharey=True, layout="constrained"
    )
    shown = min(len(seen.trace), 1000)
    time = np.arange(shown) * seen.dt * 1e3
    for k in range(3):
        trace.plot(time, seen.trace[:shown, k], linewidth=0.8)
    trace.axhline(1, color=BAD, linestyle="--", linewidth=1)
    trace.text(0, 1.04, "threshold (off)", fontsize=8, color=BAD)
    level = np.linspace(-2, 2, 200)
    normal = np.exp(-0.5 * (level / seen.wanted) ** 2) / np.sqrt(2 * np.pi) / seen.wanted
    around = seen.trace - seen.trace.mean(0)
    density.hist(around.ravel(), 60, density=True, orientation="horizontal", color="0.8")
    density.plot(normal, level, color=REFERENCE, linewidth=1)
    trace.set(xlabel="time (ms)", ylabel="u (threshold 1)")
    density.set(xlabel="density", ylim=(-2, 2))
    return figure


def draw_activity(found: Found) -> Figure:
    """A test trial at the start (left) and after training (right): inputs, spikes of the hidden
    layer, and the potentials of the readout, that of the right class in color."""
    seen = found.activity
    figure, axes = plt.subplots(
        3, 2, figsize=(8.4, 5.6), sharex=True, sharey="row", height_ratios=[1, 2, 2],
        layout="constrained",
    )  # fmt: skip
    ms = seen.dt * 1e3
    for k, title in enumerate(("at the start", "after training")):
        inputs, hidden, readout = axes[:, k]
        inputs.plot(seen.inputs * ms, np.arange(len(seen.inputs)), "|", color=REFERENCE)
        step, index = seen.hidden[k]
        hidden.plot(step * ms, index, ".", markersize=2, color=REFERENCE)
        potential = seen.readout[k]
        time = np.arange(len(potential)) * ms
        readout.plot(time, potential, color="0.7", linewidth=0.8)
        readout.plot(time, potential[:, seen.label], color=EXCITATORY, linewidth=1.6)
        readout.set_xlabel("time (ms)")
        inputs.set_title(title, fontsize=9)
    for ax, label in zip(axes[:, 0], ("input", "hidden neuron", "readout u"), strict=True):
        ax.set_ylabel(label)
    return figure
