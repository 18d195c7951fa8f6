r"""Exact gradients of spiking networks whose synapses are differentiable: two tasks.

A synapse that answers the passage of the potential through a zone below threshold,
$\tau \dot s = -s + g(v)\,\dot v$, makes the whole network a smooth function of its parameters, step
by step. Its gradient is exact, without a surrogate: the study compares it with differences of
Brian2's own runs.

* Predictive coding on the scale of milliseconds: 30 cells without a leak write what two inputs have
  been over the last 10 ms. Theory says that fast synapses among the cells tell each what the others
  have written, $W_f \approx -U O$, so that currents nearly cancel and few spikes are enough. The
  training starts from random directions and half of that feedback.
* Delayed-memory XOR on the scale of behaviour: 80 theta neurons hold two pulses over delays and say
  at a cue whether they differed, were equal, or only one came.

After the trainings Brian2 runs the networks, and has the spikes of the mirror.

Source: Huh & Sejnowski 2018, Gradient descent for spiking neural networks, NeurIPS 31,
arXiv:1706.04698; theory of the first task: Boerlin, Machens & Denève 2013,
doi:10.1371/journal.pcbi.1003258; constants of the second: Salaj et al. 2021,
doi:10.7554/eLife.65459. The paper gives no figures to reach; the targets of the first task are
those of a network set by the theory, which the study runs beside, and those of the second are ours.
Differs from it: a spike raises s by one, and the first training does not start without feedback,
from where it ends in a code of rates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import EXCITATORY, INHIBITORY, REFERENCE
from mirrorneuron.bio.simulation._scope import preferring

from .._contracts import Metric, Result, Study
from .._kit.figure import draw_all
from .._kit.file import cached, working_folder
from .._kit.record import Record
from .._kit.report import publish
from ._coding import SLOW, Coded, Coding
from ._memory import NAMES, Answered, Memory
from ._network import Values


@dataclass(frozen=True)
class Kept(Record):
    """A training as plain data.

    Arguments:
        values: Parameters after it, by name.
        losses: Of each step.
    """

    values: Mapping[str, list[float]]
    losses: list[float]

    @property
    def arrays(self) -> Values:
        """Parameters as arrays."""
        return {key: np.array(value) for key, value in self.values.items()}


@dataclass(frozen=True)
class Found:
    """What was found.

    Arguments:
        gradients: Difference from Brian2's runs, by task.
        coded, before, analytic: The first task, after the training, before it, and by the theory.
        coding_losses: Of its training.
        answers, longer: The second task, one a seed, with delays as trained and longer ones.
        memory_losses: Of its trainings.
        identical: Whether Brian2 has the spikes of the mirror, by task.
        dts: Time steps [ms], by task.
    """

    gradients: Mapping[str, float]
    coded: Coded
    before: Coded
    analytic: Coded
    coding_losses: Sequence[float]
    answers: Sequence[Answered]
    longer: Sequence[Answered]
    memory_losses: Sequence[Sequence[float]]
    identical: Mapping[str, bool]
    dts: Mapping[str, float]


@dataclass(frozen=True)
class HuhSejnowski(Study):
    """See the module's docstring.

    Arguments:
        coding, memory: The tasks and their trainings.
        seeds: Trainings of the second task.
        longer: Longest delay of a test beyond what was trained [ms].
        checked: Duration of the runs that gradients are compared with [ms], by task.
        accuracy: Share of right answers to reach.
    """

    title = "exact gradients of differentiable synapses: predictive coding, delayed-memory XOR"
    coding: Coding = field(default_factory=Coding)
    memory: Memory = field(default_factory=Memory)
    seeds: int = 5
    longer: float = 250.0
    checked: tuple[float, float] = (60.0, 150.0)
    accuracy: float = 0.95

    def quick(self) -> "HuhSejnowski":
        """Few cells and steps: shows that everything runs."""
        return replace(
            self, coding=replace(self.coding, steps=4, batch=2, cells=10),
            memory=replace(self.memory, cells=8, steps=3, batch=4, longest=20.0), seeds=1,
            longer=40.0, checked=(30.0, 60.0),
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Compare gradients, train both tasks, run them in Brian2."""
        with preferring(codegen__target="numpy"):  # networks are small, and compiling takes longer
            return self._run(out, progress, resume)

    def _run(self, out: Path, progress: bool, resume: bool) -> Result:
        folder = working_folder(out / "trainings", resume)
        coding = replace(self.coding, seed=self.seed)
        first = self._trained(folder / "coding", coding, coding.learn, progress)
        answers: list[Answered] = []
        longer: list[Answered] = []
        losses: list[list[float]] = []
        same: list[bool] = []
        for seed in range(self.seeds):
            memory = replace(self.memory, seed=self.seed + seed)
            made = self._trained(folder / f"memory_{seed}", memory, memory.learn, progress)
            answers.append(memory.judged(made.arrays, memory.longest))
            longer.append(memory.judged(made.arrays, self.longer))
            losses.append(made.losses)
            same.append(memory.in_brian2(made.arrays))
        exact = replace(self.memory, dt=0.5, seed=self.seed)
        gradients = {
            "coding": coding.gradient_error(self.checked[0]),
            "xor": exact.gradient_error(self.checked[1]),
        }
        found = Found(
            gradients, coding.judged(first.arrays), coding.judged(coding.start()),
            coding.judged(coding.analytic()), first.losses, answers, longer, losses,
            {"coding": coding.in_brian2(first.arrays), "xor": all(same)},
            {"coding": coding.dt, "xor": self.memory.dt},
        )  # fmt: skip
        figures = draw_all(out, found, DRAWINGS, styled=True)
        tables = [coding_table(found), answers_table(found)]
        return publish(out, "Differentiable synapses", metrics(found, self.accuracy), tables,
                       figures, str(__doc__))  # fmt: skip

    @staticmethod
    def _trained(
        place: Path, settings: Any, learn: Callable[[Path, bool], Any], progress: bool
    ) -> Kept:
        """A training, done or read from its file."""

        def make() -> Kept:
            values, losses = learn(place, progress)
            return Kept({key: np.asarray(x).tolist() for key, x in values.items()}, losses)

        return cached(place.with_suffix(".json"), make, Kept.load, repr(settings))


def metrics(found: Found, accuracy: float) -> dict[str, Metric]:
    """Numbers beside their targets."""
    coded = found.coded
    made = {
        f"gradient_error_{name}": Metric.below(error, "1", 1e-6)
        for name, error in found.gradients.items()
    }
    made |= {
        "coding_error": Metric.below(coded.error, "1", 0.02),
        "coding_rate": Metric.below(coded.rate, "Hz", 35.0),
        "coding_correlation": Metric.at_least(coded.correlation, "1", 0.8),
        "coding_slope": Metric.near(coded.slope, "1", 0.85, 0.15),
        "coding_balance": Metric.below(coded.balance, "1", 0.3),
        "coding_balance_step_by_step": Metric(coded.balance_raw, "1"),
        "coding_error_before": Metric(found.before.error, "1"),
        "coding_error_theory": Metric(found.analytic.error, "1"),
        "coding_rate_theory": Metric(found.analytic.rate, "Hz"),
        "coding_balance_theory": Metric(found.analytic.balance, "1"),
    }
    right = [answer.accuracy for answer in found.answers]
    made |= {
        "xor_accuracy": Metric.at_least(np.mean(right), "1", accuracy),
        "xor_accuracy_worst": Metric(min(right), "1"),
        "xor_accuracy_one_pulse": Metric(
            float(np.mean([a.accuracy_null for a in found.answers])), "1"
        ),
        "xor_accuracy_longer_delays": Metric(
            float(np.mean([a.accuracy for a in found.longer])), "1"
        ),
        "xor_rate": Metric(float(np.mean([a.rate for a in found.answers])), "Hz"),
        "spikes_identical": Metric.holds(all(found.identical.values())),
    }
    return made


def coding_table(found: Found) -> Table:
    """The first task."""
    rows = [
        (name, f"{x.error:.4f}", f"{x.rate:.1f}", f"{x.correlation:.2f}", f"{x.slope:.2f}",
         f"{x.balance:.2f}")
        for name, x in (("at the start", found.before), ("trained", found.coded),
                        ("set by the theory", found.analytic))
    ]  # fmt: skip
    columns = ("network", "squared error", "rate [Hz]", "corr(W, -UO)", "slope", "balance")
    return Table("Predictive coding", columns, tuple(rows))


def answers_table(found: Found) -> Table:
    """The second task."""
    rows = [
        (str(seed), f"{a.accuracy * 100:.1f}", f"{a.accuracy_null * 100:.1f}",
         f"{b.accuracy * 100:.1f}", f"{a.rate:.1f}")
        for seed, (a, b) in enumerate(zip(found.answers, found.longer, strict=True))
    ]  # fmt: skip
    columns = ("seed", "right", "right, one pulse", "right, longer delays", "rate [Hz]")
    return Table("Delayed-memory XOR (%)", columns, tuple(rows))


# ---- figures


def draw_coding(found: Found) -> Figure:
    """What the readouts write beside their target, spikes, and the currents of one cell."""
    figure, axes = plt.subplots(3, 1, figsize=(6, 5.4), layout="constrained", sharex=True)
    coded, dt = found.coded, found.dts["coding"]
    t = np.arange(len(coded.readout)) * dt
    for k, color in enumerate((EXCITATORY, INHIBITORY)):
        axes[0].plot(t, np.array(coded.target)[:, k], color=color, linewidth=3, alpha=0.3,
                     label=f"target {k + 1}")  # fmt: skip
        axes[0].plot(t, np.array(coded.readout)[:, k], color=color, linewidth=0.8,
                     label=f"readout {k + 1}")  # fmt: skip
    _legend(axes[0], 4)
    axes[0].set(ylabel="written")
    _raster(axes[1], coded.spikes, dt)
    wide = np.ones(round(SLOW / dt)) / round(SLOW / dt)
    feed, back = (np.convolve(x, wide, mode="same") for x in coded.currents)
    axes[2].plot(t, feed, color=EXCITATORY, label="from the input")
    axes[2].plot(t, back, color=INHIBITORY, label="from other cells")
    axes[2].plot(t, feed + back, color="black", linewidth=1, label="sum")
    axes[2].set(xlabel="time (ms)", ylabel="current (1/ms),\nmean of 10 ms", xlim=(0, t[-1]))
    _legend(axes[2], 3)
    return figure


def _legend(ax: Any, columns: int) -> None:
    """A legend above a panel."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def _raster(ax: Any, spikes: Sequence[Sequence[int]], dt: float) -> None:
    events = np.array(spikes).reshape(-1, 2)
    ax.scatter(events[:, 0] * dt, events[:, 1], marker="|", s=12, linewidth=0.8, color="black")
    ax.set(ylabel="cell")


def draw_feedback(found: Found) -> Figure:
    """Weights among the cells beside what theory says, before the training and after it."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained", sharey=True)
    for ax, (name, x) in zip(
        axes, (("start", found.before), ("trained", found.coded)), strict=True
    ):
        ax.axline((0, 0), slope=1, color=REFERENCE, linewidth=1)
        ax.plot(x.theory, x.found, ".", markersize=2, color=EXCITATORY)
        title = f"{name}: correlation {x.correlation:.2f}, slope {x.slope:.2f}"
        ax.set_title(title, fontsize="medium")
        ax.set(xlabel="$-U O$")
    axes[0].set(ylabel="$W_f$")
    return figure


def draw_learning(found: Found) -> Figure:
    """Loss over the training of both tasks; one line a seed in the second."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), layout="constrained")
    axes[0].plot(_smooth(found.coding_losses), color=EXCITATORY)
    axes[0].set(xlabel="training step", ylabel="error and cost of spikes", yscale="log",
                title="predictive coding")  # fmt: skip
    for losses in found.memory_losses:
        axes[1].plot(_smooth(losses), linewidth=1)
    axes[1].axhline(_chance(), color=REFERENCE, linestyle=":", label="chance")
    axes[1].set(xlabel="training step", ylabel="cross-entropy", title="delayed-memory XOR")
    axes[1].legend()
    return figure


def _chance() -> float:
    """Cross-entropy of the shares of the three answers."""
    shares = np.array([0.4, 0.4, 0.2])
    return float(-(shares * np.log(shares)).sum())


def _smooth(losses: Sequence[float]) -> Any:
    wide = min(10, 1 + len(losses) // 10)
    return np.convolve(losses, np.ones(wide) / wide, mode="valid")


def draw_memory(found: Found) -> Figure:
    """One trial of the second task: inputs, spikes and readouts."""
    figure, axes = plt.subplots(3, 1, figsize=(6, 5), layout="constrained", sharex=True)
    one, dt = found.answers[0], found.dts["xor"]
    t = np.arange(len(one.x)) * dt
    for k, (name, color) in enumerate((("pulses", EXCITATORY), ("cue", REFERENCE))):
        axes[0].plot(t, np.array(one.x)[:, k], color=color, label=name)
    axes[0].set(ylabel="input")
    _legend(axes[0], 2)
    _raster(axes[1], one.spikes, dt)
    for k, color in enumerate((EXCITATORY, INHIBITORY, REFERENCE)):
        axes[2].plot(t, np.array(one.readout)[:, k], color=color, label=NAMES[k])
    axes[2].set(xlabel="time (ms)", ylabel="readout", xlim=(0, t[-1]))
    _legend(axes[2], 3)
    return figure


def draw_answers(found: Found) -> Figure:
    """Share of each answer by what was right, over all seeds, with delays as trained and longer."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3), layout="constrained", sharey=True)
    both = ("delays as trained", found.answers), ("longer delays", found.longer)
    for ax, (title, answers) in zip(axes, both, strict=True):
        counts = np.sum([a.counts for a in answers], axis=0)
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for (row, column), share in np.ndenumerate(shares):
            ax.text(column, row, f"{share:.2f}", ha="center", va="center",
                    color="white" if share > 0.6 else "black")  # fmt: skip
        ax.set_xticks(range(len(NAMES)), NAMES)
        ax.set_yticks(range(len(NAMES)), NAMES)
        ax.set(xlabel="answer")
        ax.set_title(title, fontsize="medium")
    axes[0].set(ylabel="right")
    return figure


DRAWINGS = (draw_coding, draw_feedback, draw_learning, draw_memory, draw_answers)
